//! Subjects and their versions: registration, lookup, deletion.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::{NormalizeParameter, SchemaRequest};
use super::wire::{Answer, Body, CONTENT_TYPE, Parameters, Segments, flag, subject, version};
use crate::compatibility::check;
use crate::error::{
    Conflict, Error, Failed, Malformed, Missing, OtherType, Refused, Result, TooLong,
};
use crate::reference::Reference;
use crate::store::{Registered, Store, Which};

/// The id of a schema.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaId {
    pub id: i32,
}

/// A schema under a subject.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubjectVersion {
    pub subject: String,
    pub version: i32,
    pub id: i32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    pub schema: String,
}

impl From<Registered> for SubjectVersion {
    fn from(registered: Registered) -> Self {
        let Registered {
            subject,
            version,
            id,
            schema,
            references,
            ..
        } = registered;
        Self {
            subject,
            version,
            id,
            references,
            schema,
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct ListParameters {
    /// Only subjects that begin with it.
    pub subject_prefix: String,
    /// Also what is soft-deleted.
    #[serde(deserialize_with = "flag")]
    pub deleted: bool,
    /// Only what is soft-deleted.
    #[serde(deserialize_with = "flag")]
    pub deleted_only: bool,
}

impl ListParameters {
    pub fn which(&self) -> Which {
        match self {
            Self {
                deleted_only: true, ..
            } => Which::Deleted,
            Self { deleted: true, .. } => Which::All,
            _ => Which::Live,
        }
    }
    /// Without the context, which is the default one or, with `:*:`, any; `None` for another, where
    /// nothing is.
    pub fn prefix(&self) -> Result<Option<&str>> {
        let prefix = self.subject_prefix.as_str();
        if prefix.contains('\0') {
            return Err(Error::InvalidSubject(prefix.to_owned()));
        }
        let plain = prefix
            .strip_prefix(":*:")
            .or_else(|| prefix.strip_prefix(":.:"))
            .unwrap_or(prefix);
        Ok((!plain.starts_with(":.")).then_some(plain))
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct DeletedParameter {
    /// Also what is soft-deleted.
    #[serde(deserialize_with = "flag")]
    pub deleted: bool,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct PermanentParameter {
    /// Delete for good what is soft-deleted.
    #[serde(deserialize_with = "flag")]
    pub permanent: bool,
}

/// The subjects, in order.
#[utoipa::path(get, path = "/subjects", tag = "subjects", params(ListParameters), responses(
    (status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json"),
    Malformed, Refused, Failed
))]
pub async fn list(
    State(store): State<Store>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Answer<Vec<String>>> {
    Ok(Answer(match parameters.prefix()? {
        Some(prefix) => store.subjects(prefix, parameters.which()).await?,
        None => Vec::new(),
    }))
}

/// Whether a schema is registered under a subject, and as what.
#[utoipa::path(post, path = "/subjects/{subject}", tag = "subjects",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), DeletedParameter, NormalizeParameter),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = SubjectVersion, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, TooLong, OtherType, Refused, Failed
    ))]
pub async fn lookup(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<DeletedParameter>,
    Parameters(NormalizeParameter { normalize }): Parameters<NormalizeParameter>,
    Body(request): Body<SchemaRequest>,
) -> Result<Answer<SubjectVersion>> {
    let subject = subject(name)?;
    let candidate = request.read(&store, &subject, normalize).await?;
    let found = store
        .find(&candidate.under(&subject), parameters.deleted)
        .await?;
    if let Some(found) = found {
        return Ok(Answer(found.into()));
    }
    Err(if exists(&store, &subject, parameters.deleted).await? {
        Error::SchemaNotFound
    } else {
        Error::SubjectNotFound(subject)
    })
}

/// Deletes a subject: softly first, then for good.
#[utoipa::path(delete, path = "/subjects/{subject}", tag = "subjects",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), PermanentParameter),
    responses(
        (status = 200, body = Vec<i32>, description = "The deleted versions", content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn delete(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<PermanentParameter>,
) -> Result<Answer<Vec<i32>>> {
    Ok(Answer(
        store
            .delete_subject(&subject(name)?, parameters.permanent)
            .await?,
    ))
}

/// The version numbers of a subject, in order.
#[utoipa::path(get, path = "/subjects/{subject}/versions", tag = "subjects",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), ListParameters),
    responses(
        (status = 200, body = Vec<i32>, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn versions(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Answer<Vec<i32>>> {
    let subject = subject(name)?;
    let versions = store.versions(&subject, parameters.which()).await?;
    // Asked for deleted ones only, a subject may have none.
    if versions.is_empty() && !exists(&store, &subject, parameters.deleted_only).await? {
        return Err(Error::SubjectNotFound(subject));
    }
    Ok(Answer(versions))
}

/// Registers a schema under a subject; what is there already keeps its id and version.
#[utoipa::path(post, path = "/subjects/{subject}/versions", tag = "subjects",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), NormalizeParameter),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = SchemaId, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Conflict, TooLong, OtherType, Refused, Failed
    ))]
pub async fn register(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(NormalizeParameter { normalize }): Parameters<NormalizeParameter>,
    Body(request): Body<SchemaRequest>,
) -> Result<Answer<SchemaId>> {
    let subject = subject(name)?;
    let candidate = request.read(&store, &subject, normalize).await?;
    let id = store.register(candidate.under(&subject), |settings, history| {
        let reasons = check(&candidate.schema, history, settings.level);
        if reasons.is_empty() {
            Ok(())
        } else {
            Err(Error::Incompatible {
                subject: subject.clone(),
                reasons,
            })
        }
    });
    Ok(Answer(SchemaId { id: id.await? }))
}

/// One version of a subject.
#[utoipa::path(get, path = "/subjects/{subject}/versions/{version}", tag = "subjects",
    params(
        ("subject" = String, Path, description = "Such as TOPIC-value"),
        ("version" = String, Path, description = "A number, latest or -1"),
        DeletedParameter
    ),
    responses(
        (status = 200, body = SubjectVersion, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn one_version(
    State(store): State<Store>,
    Segments((name, wanted)): Segments<(String, String)>,
    Parameters(parameters): Parameters<DeletedParameter>,
) -> Result<Answer<SubjectVersion>> {
    Ok(Answer(
        find(&store, name, &wanted, parameters.deleted)
            .await?
            .into(),
    ))
}

/// The schema of one version, as it is.
#[utoipa::path(get, path = "/subjects/{subject}/versions/{version}/schema", tag = "subjects",
    params(
        ("subject" = String, Path, description = "Such as TOPIC-value"),
        ("version" = String, Path, description = "A number, latest or -1"),
        DeletedParameter
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "The Avro schema", content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn version_text(
    State(store): State<Store>,
    Segments((name, wanted)): Segments<(String, String)>,
    Parameters(parameters): Parameters<DeletedParameter>,
) -> Result<Response> {
    let found = find(&store, name, &wanted, parameters.deleted).await?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], found.schema).into_response())
}

/// The ids of the schemas that refer to a version.
#[utoipa::path(get, path = "/subjects/{subject}/versions/{version}/referencedby", tag = "subjects",
    params(
        ("subject" = String, Path, description = "Such as TOPIC-value"),
        ("version" = String, Path, description = "A number, latest or -1")
    ),
    responses(
        (status = 200, body = Vec<i32>, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn referenced_by(
    State(store): State<Store>,
    Segments((name, wanted)): Segments<(String, String)>,
) -> Result<Answer<Vec<i32>>> {
    let found = find(&store, name, &wanted, true).await?;
    let ids = store.referenced_by(&found.subject, found.version).await?;
    Ok(Answer(ids))
}

/// Deletes one version: softly first, then for good.
#[utoipa::path(delete, path = "/subjects/{subject}/versions/{version}", tag = "subjects",
    params(
        ("subject" = String, Path, description = "Such as TOPIC-value"),
        ("version" = String, Path, description = "A number, latest or -1"),
        PermanentParameter
    ),
    responses(
        (status = 200, body = i32, description = "The deleted version", content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn delete_version(
    State(store): State<Store>,
    Segments((name, wanted)): Segments<(String, String)>,
    Parameters(parameters): Parameters<PermanentParameter>,
) -> Result<Answer<i32>> {
    let (subject, wanted) = (subject(name)?, version(&wanted)?);
    Ok(Answer(
        store
            .delete_version(&subject, wanted, parameters.permanent)
            .await?,
    ))
}

async fn find(store: &Store, name: String, wanted: &str, with_deleted: bool) -> Result<Registered> {
    let (subject, wanted) = (subject(name)?, version(wanted)?);
    if let Some(found) = store.version(&subject, wanted, with_deleted).await? {
        return Ok(found);
    }
    Err(if exists(store, &subject, with_deleted).await? {
        Error::VersionNotFound(wanted)
    } else {
        Error::SubjectNotFound(subject)
    })
}

/// Whether a subject has a version.
async fn exists(store: &Store, subject: &str, with_deleted: bool) -> Result<bool> {
    let which = if with_deleted {
        Which::All
    } else {
        Which::Live
    };
    Ok(!store.versions(subject, which).await?.is_empty())
}
