//! Whether a schema could be registered, without registering it.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::request::SchemaRequest;
use super::wire::{Answer, Body, Parameters, Segments, flag, subject, version};
use crate::compatibility::{Level, Previous, check};
use crate::error::{Error, Failed, Malformed, Missing, OtherType, Refused, Result, TooLong};
use crate::store::{Store, Wanted};

/// The verdict.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verdict {
    pub is_compatible: bool,
    /// With `verbose`: what is incompatible, where, with which version, under which level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct CheckParameters {
    /// Also say why.
    #[serde(deserialize_with = "flag")]
    pub verbose: bool,
    /// Put the schema into its normal form first.
    #[serde(deserialize_with = "flag")]
    pub normalize: bool,
}

/// Checks a schema against one version, under the subject's level.
#[utoipa::path(post, path = "/compatibility/subjects/{subject}/versions/{version}",
    tag = "compatibility",
    params(
        ("subject" = String, Path, description = "Such as TOPIC-value"),
        ("version" = String, Path, description = "A number, latest or -1"),
        CheckParameters
    ),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = Verdict, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, TooLong, OtherType, Refused, Failed
    ))]
pub async fn with_version(
    State(store): State<Store>,
    Segments((name, wanted)): Segments<(String, String)>,
    Parameters(parameters): Parameters<CheckParameters>,
    Body(request): Body<SchemaRequest>,
) -> Result<Answer<Verdict>> {
    let (subject, wanted) = (subject(name)?, version(&wanted)?);
    let found = store.version(&subject, wanted, false).await?;
    // Before anything is registered, everything is compatible with the latest.
    if found.is_none() && wanted != Wanted::Latest {
        return Err(Error::VersionNotFound(wanted));
    }
    let level = store.settings(Some(&subject)).await?.level;
    let previous = match found {
        Some(found) => vec![store.previous(found).await?],
        None => Vec::new(),
    };
    verdict(&store, &subject, request, level, &previous, &parameters).await
}

/// Checks a schema as its registration would: against the latest version, or against all when the
/// subject's level is transitive.
#[utoipa::path(post, path = "/compatibility/subjects/{subject}/versions", tag = "compatibility",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), CheckParameters),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = Verdict, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, TooLong, OtherType, Refused, Failed
    ))]
pub async fn with_subject(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<CheckParameters>,
    Body(request): Body<SchemaRequest>,
) -> Result<Answer<Verdict>> {
    let subject = subject(name)?;
    let level = store.settings(Some(&subject)).await?.level;
    let history = store.history(&subject, level).await?;
    verdict(&store, &subject, request, level, &history, &parameters).await
}

async fn verdict(
    store: &Store,
    subject: &str,
    request: SchemaRequest,
    level: Level,
    previous: &[Previous],
    parameters: &CheckParameters,
) -> Result<Answer<Verdict>> {
    let candidate = request.read(store, subject, parameters.normalize).await;
    let reasons = match candidate {
        Ok(candidate) => check(&candidate.schema, previous, level),
        // Who asks why is told so, too.
        Err(Error::InvalidSchema(reason)) if parameters.verbose => vec![reason],
        Err(e) => return Err(e),
    };
    Ok(Answer(Verdict {
        is_compatible: reasons.is_empty(),
        messages: parameters.verbose.then_some(reasons),
    }))
}
