//! Configuration (the compatibility level) and mode, of all subjects or of one.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wire::{Answer, Body, Parameters, Segments, flag, subject};
use crate::error::{Error, Failed, Malformed, Missing, OtherType, Refused, Result, TooLong};
use crate::store::{Config, Mode, Store};

/// A configuration as it is read.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigAnswer {
    /// `NONE`, `BACKWARD`, `FORWARD`, `FULL`, or one of the last three with `_TRANSITIVE`.
    pub compatibility_level: &'static str,
    /// Whether schemas are put into their normal form, where that was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
}

/// A configuration as it is set; what is left out stays as it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigRequest {
    /// `NONE`, `BACKWARD`, `FORWARD`, `FULL`, or one of the last three with `_TRANSITIVE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "FULL")]
    pub compatibility: Option<String>,
    /// Whether schemas are put into their normal form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Not supported, and refused rather than ignored.
    #[serde(default, skip_serializing)]
    pub alias: Option<String>,
    /// Not supported, and refused rather than ignored.
    #[serde(default, skip_serializing)]
    pub compatibility_group: Option<String>,
}

/// A mode, read or set.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ModeBody {
    /// `READWRITE`, `READONLY`, `READONLY_OVERRIDE` or `IMPORT`.
    #[serde(default)]
    #[schema(example = "READWRITE")]
    pub mode: Option<String>,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub struct ForceParameter {
    /// Set IMPORT even where schemas are registered.
    #[serde(deserialize_with = "flag")]
    pub force: bool,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct GlobalParameter {
    /// Give what holds for all subjects when this one has no setting of its own.
    #[serde(deserialize_with = "flag")]
    pub default_to_global: bool,
}

/// The level of all subjects that have none of their own.
#[utoipa::path(get, path = "/config", tag = "config", responses(
    (status = 200, body = ConfigAnswer, content_type = "application/vnd.schemaregistry.v1+json"),
    Failed
))]
pub async fn config(State(store): State<Store>) -> Result<Answer<ConfigAnswer>> {
    let own = store.config("").await?.unwrap_or_default();
    config_answer(&store, own).await
}

/// Sets the level of all subjects that have none of their own.
#[utoipa::path(put, path = "/config", tag = "config",
    request_body(content = ConfigRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ConfigRequest, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, TooLong, OtherType, Refused, Failed
    ))]
pub async fn set_config(
    State(store): State<Store>,
    Body(request): Body<ConfigRequest>,
) -> Result<Answer<ConfigRequest>> {
    change(&store, None, request).await
}

/// Puts the level of all subjects back to its default.
#[utoipa::path(delete, path = "/config", tag = "config", responses(
    (status = 200, body = ConfigAnswer, description = "What it was", content_type = "application/vnd.schemaregistry.v1+json"),
    Refused, Failed
))]
pub async fn delete_config(State(store): State<Store>) -> Result<Answer<ConfigAnswer>> {
    let own = store.config("").await?.unwrap_or_default();
    let was = config_answer(&store, own).await?;
    store.delete_config(None).await?;
    Ok(was)
}

/// The level of a subject.
#[utoipa::path(get, path = "/config/{subject}", tag = "config",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), GlobalParameter),
    responses(
        (status = 200, body = ConfigAnswer, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn subject_config(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<GlobalParameter>,
) -> Result<Answer<ConfigAnswer>> {
    let subject = subject(name)?;
    let own = match store.config(&subject).await? {
        Some(own) => own,
        None if parameters.default_to_global => store.config("").await?.unwrap_or_default(),
        None => return Err(Error::CompatibilityNotConfigured(subject)),
    };
    config_answer(&store, own).await
}

/// Sets the level of a subject.
#[utoipa::path(put, path = "/config/{subject}", tag = "config",
    params(("subject" = String, Path, description = "Such as TOPIC-value")),
    request_body(content = ConfigRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ConfigRequest, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, TooLong, OtherType, Refused, Failed
    ))]
pub async fn set_subject_config(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Body(request): Body<ConfigRequest>,
) -> Result<Answer<ConfigRequest>> {
    change(&store, Some(subject(name)?), request).await
}

/// Takes a subject's own level away.
#[utoipa::path(delete, path = "/config/{subject}", tag = "config",
    params(("subject" = String, Path, description = "Such as TOPIC-value")),
    responses(
        (status = 200, body = ConfigAnswer, description = "What it was", content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn delete_subject_config(
    State(store): State<Store>,
    Segments(name): Segments<String>,
) -> Result<Answer<ConfigAnswer>> {
    let subject = subject(name)?;
    let own = store.config(&subject).await?;
    let own = own.ok_or_else(|| Error::SubjectNotFound(subject.clone()))?;
    let was = config_answer(&store, own).await?;
    store.delete_config(Some(&subject)).await?;
    Ok(was)
}

/// The mode of all subjects that have none of their own.
#[utoipa::path(get, path = "/mode", tag = "mode", responses(
    (status = 200, body = ModeBody, content_type = "application/vnd.schemaregistry.v1+json"),
    Failed
))]
pub async fn mode(State(store): State<Store>) -> Result<Answer<ModeBody>> {
    Ok(mode_body(store.settings(None).await?.mode))
}

/// Sets the mode of all subjects that have none of their own.
#[utoipa::path(put, path = "/mode", tag = "mode", params(ForceParameter),
    request_body(content = ModeBody, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ModeBody, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, TooLong, OtherType, Refused, Failed
    ))]
pub async fn put_mode(
    State(store): State<Store>,
    Parameters(parameters): Parameters<ForceParameter>,
    Body(request): Body<ModeBody>,
) -> Result<Answer<ModeBody>> {
    set_mode(&store, None, request, parameters.force).await
}

/// The mode of a subject.
#[utoipa::path(get, path = "/mode/{subject}", tag = "mode",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), GlobalParameter),
    responses(
        (status = 200, body = ModeBody, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn subject_mode(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<GlobalParameter>,
) -> Result<Answer<ModeBody>> {
    let subject = subject(name)?;
    if parameters.default_to_global {
        return Ok(mode_body(store.settings(Some(&subject)).await?.mode));
    }
    let own = store.mode(&subject).await?;
    Ok(mode_body(own.ok_or(Error::ModeNotConfigured(subject))?))
}

/// Sets the mode of a subject.
#[utoipa::path(put, path = "/mode/{subject}", tag = "mode",
    params(("subject" = String, Path, description = "Such as TOPIC-value"), ForceParameter),
    request_body(content = ModeBody, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ModeBody, content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, TooLong, OtherType, Refused, Failed
    ))]
pub async fn put_subject_mode(
    State(store): State<Store>,
    Segments(name): Segments<String>,
    Parameters(parameters): Parameters<ForceParameter>,
    Body(request): Body<ModeBody>,
) -> Result<Answer<ModeBody>> {
    set_mode(&store, Some(subject(name)?), request, parameters.force).await
}

/// Takes a subject's own mode away.
#[utoipa::path(delete, path = "/mode/{subject}", tag = "mode",
    params(("subject" = String, Path, description = "Such as TOPIC-value")),
    responses(
        (status = 200, body = ModeBody, description = "What it was", content_type = "application/vnd.schemaregistry.v1+json"),
        Malformed, Missing, Refused, Failed
    ))]
pub async fn delete_subject_mode(
    State(store): State<Store>,
    Segments(name): Segments<String>,
) -> Result<Answer<ModeBody>> {
    let subject = subject(name)?;
    let was = store.mode(&subject).await?;
    let was = was.ok_or_else(|| Error::SubjectNotFound(subject.clone()))?;
    store.delete_mode(&subject).await?;
    Ok(mode_body(was))
}

/// A configuration, with the level that holds where none is set.
async fn config_answer(store: &Store, own: Config) -> Result<Answer<ConfigAnswer>> {
    let level = match own.level {
        Some(level) => level,
        None => store.settings(None).await?.level,
    };
    Ok(Answer(ConfigAnswer {
        compatibility_level: level.name(),
        normalize: own.normalize,
    }))
}

fn mode_body(mode: Mode) -> Answer<ModeBody> {
    Answer(ModeBody {
        mode: Some(mode.name().to_owned()),
    })
}

/// The answer repeats the request, as Confluent's does.
async fn change(
    store: &Store,
    subject: Option<String>,
    request: ConfigRequest,
) -> Result<Answer<ConfigRequest>> {
    if request.alias.is_some() || request.compatibility_group.is_some() {
        let reason = "This registry has neither aliases of subjects nor compatibility groups.";
        return Err(Error::Unprocessable(reason.into()));
    }
    let level = match &request.compatibility {
        Some(text) => Some(text.parse().map_err(|_| Error::InvalidCompatibility)?),
        None => None,
    };
    let config = Config {
        level,
        normalize: request.normalize,
    };
    store.set_config(subject.as_deref(), config).await?;
    Ok(Answer(request))
}

async fn set_mode(
    store: &Store,
    subject: Option<String>,
    request: ModeBody,
    force: bool,
) -> Result<Answer<ModeBody>> {
    let mode = request.mode.as_deref().and_then(|text| text.parse().ok());
    let mode: Mode = mode.ok_or(Error::InvalidMode)?;
    store.set_mode(subject.as_deref(), mode, force).await?;
    Ok(Answer(request))
}
