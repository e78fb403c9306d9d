//! Schemas by id: what consumers ask for. An id's schema never changes.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::subjects::{ListParameters, SubjectVersion};
use super::wire::{Answer, CONTENT_TYPE, Parameters, Segments, flag, schema_id};
use crate::avro::Schema;
use crate::canonical::whole;
use crate::error::{Error, Failed, Malformed, Missing, Refused, Result};
use crate::reference::Reference;
use crate::store::{CachedSchema, Page, Store};

/// How many schemas a list has at most, and without `limit`.
const LIMIT: i64 = 1000;

/// A schema without its subject.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SchemaText {
    pub schema: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// With `fetchMaxId`: the highest id that was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<i32>,
}

/// How a schema is to be given.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct TextParameters {
    /// `resolved`: with the schemas that it refers to written out in it.
    pub format: String,
    /// Also tell the highest id.
    #[serde(deserialize_with = "flag")]
    pub fetch_max_id: bool,
}

/// Which part of a list is wanted.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct PageParameters {
    /// Only the latest version of every subject.
    #[serde(deserialize_with = "flag")]
    pub latest_only: bool,
    /// How many to leave out.
    pub offset: i32,
    /// How many to give: 1000 at most, which it also is without.
    pub limit: i32,
}

/// Where a schema is registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    pub subject: String,
    pub version: i32,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct UsageParameters {
    /// Also soft-deleted versions.
    #[serde(deserialize_with = "flag")]
    pub deleted: bool,
    /// Only this subject.
    pub subject: Option<String>,
}

/// The registered versions with their schemas, in order of subject and version.
#[utoipa::path(get, path = "/schemas", tag = "schemas", params(ListParameters, PageParameters), responses(
    (status = 200, body = Vec<SubjectVersion>, content_type = "application/vnd.schemaregistry.v1+json"),
    Malformed, Refused, Failed
))]
pub async fn list(
    State(store): State<Store>,
    Parameters(list): Parameters<ListParameters>,
    Parameters(page): Parameters<PageParameters>,
) -> Result<Answer<Vec<SubjectVersion>>> {
    let Some(prefix) = list.prefix()? else {
        return Ok(Answer(Vec::new()));
    };
    let limit = i64::from(page.limit);
    let part = Page {
        offset: i64::from(page.offset.max(0)),
        limit: if (1..=LIMIT).contains(&limit) {
            limit
        } else {
            LIMIT
        },
    };
    let found = store
        .list(prefix, list.which(), page.latest_only, part)
        .await?;
    Ok(Answer(
        found.into_iter().map(SubjectVersion::from).collect(),
    ))
}

/// The types of schema that can be stored.
#[utoipa::path(get, path = "/schemas/types", tag = "schemas", responses(
    (status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json")
))]
pub async fn types() -> Answer<[&'static str; 1]> {
    Answer(["AVRO"])
}

/// The schema of an id.
#[utoipa::path(get, path = "/schemas/ids/{id}", tag = "schemas",
    params(("id" = i32, Path, description = "As in the header of a record"), TextParameters),
    responses(
        (status = 200, body = SchemaText, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 304, description = "The client has it"),
        Malformed,
        Missing,
        Refused,
        Failed
    ))]
pub async fn by_id(
    State(store): State<Store>,
    Segments(id): Segments<String>,
    Parameters(parameters): Parameters<TextParameters>,
    headers: HeaderMap,
) -> Result<Response> {
    let schema = find(&store, &id, &parameters).await?;
    if parameters.fetch_max_id {
        // The one part of the answer that changes.
        let max_id = Some(store.max_id().await?);
        return Ok(Answer(SchemaText::of(&schema, max_id)).into_response());
    }
    Ok(unless_known(&headers, &schema, |schema| {
        Answer(SchemaText::of(schema, None)).into_response()
    }))
}

/// The schema of an id, as it is.
#[utoipa::path(get, path = "/schemas/ids/{id}/schema", tag = "schemas",
    params(("id" = i32, Path, description = "As in the header of a record"), TextParameters),
    responses(
        (status = 200, body = serde_json::Value, description = "The Avro schema", content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 304, description = "The client has it"),
        Malformed,
        Missing,
        Refused,
        Failed
    ))]
pub async fn text(
    State(store): State<Store>,
    Segments(id): Segments<String>,
    Parameters(parameters): Parameters<TextParameters>,
    headers: HeaderMap,
) -> Result<Response> {
    let schema = find(&store, &id, &parameters).await?;
    Ok(unless_known(&headers, &schema, |schema| {
        (
            [(header::CONTENT_TYPE, CONTENT_TYPE)],
            schema.text.to_string(),
        )
            .into_response()
    }))
}

/// The subjects that an id is registered under.
#[utoipa::path(get, path = "/schemas/ids/{id}/subjects", tag = "schemas",
    params(("id" = i32, Path, description = "As in the header of a record"), UsageParameters),
    responses(
        (status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed,
        Missing,
        Failed
    ))]
pub async fn subjects(
    State(store): State<Store>,
    Segments(id): Segments<String>,
    Parameters(parameters): Parameters<UsageParameters>,
) -> Result<Answer<Vec<String>>> {
    let usages = usages(&store, &id, parameters).await?;
    let mut subjects: Vec<String> = usages.into_iter().map(|usage| usage.subject).collect();
    subjects.dedup();
    Ok(Answer(subjects))
}

/// The subjects and versions that an id is registered under.
#[utoipa::path(get, path = "/schemas/ids/{id}/versions", tag = "schemas",
    params(("id" = i32, Path, description = "As in the header of a record"), UsageParameters),
    responses(
        (status = 200, body = Vec<Usage>, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed,
        Missing,
        Failed
    ))]
pub async fn versions(
    State(store): State<Store>,
    Segments(id): Segments<String>,
    Parameters(parameters): Parameters<UsageParameters>,
) -> Result<Answer<Vec<Usage>>> {
    Ok(Answer(usages(&store, &id, parameters).await?))
}

impl SchemaText {
    fn of(schema: &CachedSchema, max_id: Option<i32>) -> Self {
        Self {
            schema: schema.text.to_string(),
            references: schema.references.to_vec(),
            max_id,
        }
    }
}

async fn known(store: &Store, id: &str) -> Result<(i32, CachedSchema)> {
    let id = schema_id(id)?;
    let schema = store.schema(id).await?;
    Ok((id, schema.ok_or(Error::IdNotFound(id))?))
}

async fn find(store: &Store, id: &str, parameters: &TextParameters) -> Result<CachedSchema> {
    let (_, schema) = known(store, id).await?;
    if parameters.format != "resolved" || schema.references.is_empty() {
        return Ok(schema);
    }
    let references = store.texts(&schema.references).await?;
    let resolved = Schema::parse_with(&schema.text, &references)
        .ok()
        .and_then(|schema| whole(&schema));
    let text = resolved.ok_or_else(|| {
        Error::InvalidSchema("Its references cannot be written out in it.".into())
    })?;
    Ok(CachedSchema {
        text: text.into(),
        fingerprint: format!("{}-resolved", schema.fingerprint).into(),
        ..schema
    })
}

async fn usages(store: &Store, id: &str, parameters: UsageParameters) -> Result<Vec<Usage>> {
    let (id, _) = known(store, id).await?;
    let usages = store.usages(id, parameters.deleted).await?;
    let wanted = |subject: &str| {
        parameters
            .subject
            .as_deref()
            .is_none_or(|only| only == subject)
    };
    let usages = usages.into_iter().filter(|(subject, _)| wanted(subject));
    Ok(usages
        .map(|(subject, version)| Usage { subject, version })
        .collect())
}

/// The answer with what lets clients keep it, or 304 when they have it.
fn unless_known(
    headers: &HeaderMap,
    schema: &CachedSchema,
    answer: impl FnOnce(&CachedSchema) -> Response,
) -> Response {
    let tag = format!("\"{}\"", schema.fingerprint);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let known = known.is_some_and(|known| known == "*" || known.contains(&tag));
    let keep = [
        (header::ETAG, tag),
        (
            header::CACHE_CONTROL,
            "public, max-age=86400, immutable".to_owned(),
        ),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, keep).into_response()
    } else {
        (keep, answer(schema)).into_response()
    }
}
