//! Every error that the contract knows, with its code, its words and its form on the wire.
//!
//! Clients of Confluent's registry read `error_code` and `message`, so here these take the place
//! of the problem+json that the other services answer with.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::Wanted;

/// A handler's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("HTTP 404 Not Found")]
    NoRoute,
    #[error("HTTP 405 Method Not Allowed")]
    NoMethod,
    #[error("HTTP 415 Unsupported Media Type")]
    UnsupportedMediaType,
    #[error("The body is larger than the {0} bytes that this registry accepts.")]
    TooLarge(usize),
    /// A body or parameter that cannot be read.
    #[error("{0}")]
    BadRequest(String),
    /// A body that can be read but has another shape.
    #[error("{0}")]
    Unprocessable(String),

    #[error("Subject '{0}' not found.")]
    SubjectNotFound(String),
    #[error("Version {} not found.", number(*.0))]
    VersionNotFound(Wanted),
    #[error("Schema not found")]
    SchemaNotFound,
    #[error("Schema {0} not found")]
    IdNotFound(i32),
    #[error("Subject '{0}' was soft deleted.Set permanent=true to delete permanently")]
    SubjectSoftDeleted(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    SubjectNotSoftDeleted(String),
    #[error("Subject '{0}' Version {1} was soft deleted.Set permanent=true to delete permanently")]
    VersionSoftDeleted(String, i32),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotSoftDeleted(String, i32),
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    CompatibilityNotConfigured(String),
    #[error("Subject '{0}' does not have subject-level mode configured")]
    ModeNotConfigured(String),

    #[error(
        "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]",
        reasons.join(", ")
    )]
    Incompatible {
        subject: String,
        reasons: Vec<String>,
    },

    #[error("{0}")]
    InvalidSchema(String),
    #[error(
        "The specified version '{0}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
    )]
    InvalidVersion(String),
    #[error(
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive"
    )]
    InvalidCompatibility,
    #[error("Invalid mode. Valid values are READWRITE, READONLY, and IMPORT.")]
    InvalidMode,
    #[error("Subject {0} is in read-only mode")]
    ReadOnly(String),
    #[error("Subject {0} is not in read-write mode")]
    NotReadWrite(String),
    #[error("Subject {0} is not in import mode")]
    NotImport(String),
    #[error("Cannot import since found existing subjects")]
    SubjectsExist,
    #[error("Overwrite new schema with id {0} is not permitted.")]
    IdTaken(i32),
    #[error("The id {0} is higher than {1}, the highest that can be imported.")]
    IdTooLarge(i32, i32),
    #[error(
        "One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={0},version={1}}}."
    )]
    ReferenceExists(String, i32),
    #[error("The specified subject '{0}' is not a valid.")]
    InvalidSubject(String),

    #[error("Error in the backend data store")]
    Store(#[source] sqlx::Error),
    #[error("Error in the backend data store: it did not answer in time")]
    StoreTimeout,
}

impl Error {
    /// The contract's code: an HTTP status, or five digits of which the first three are one.
    pub fn code(&self) -> u32 {
        match self {
            Self::BadRequest(_) => 400,
            Self::NoRoute => 404,
            Self::NoMethod => 405,
            Self::Incompatible { .. } => 409,
            Self::TooLarge(_) => 413,
            Self::UnsupportedMediaType => 415,
            Self::Unprocessable(_) => 422,
            Self::SubjectNotFound(_) => 40401,
            Self::VersionNotFound(_) => 40402,
            Self::SchemaNotFound | Self::IdNotFound(_) => 40403,
            Self::SubjectSoftDeleted(_) => 40404,
            Self::SubjectNotSoftDeleted(_) => 40405,
            Self::VersionSoftDeleted(..) => 40406,
            Self::VersionNotSoftDeleted(..) => 40407,
            Self::CompatibilityNotConfigured(_) => 40408,
            Self::ModeNotConfigured(_) => 40409,
            Self::InvalidSchema(_) => 42201,
            Self::InvalidVersion(_) => 42202,
            Self::InvalidCompatibility => 42203,
            Self::InvalidMode => 42204,
            Self::ReadOnly(_)
            | Self::NotReadWrite(_)
            | Self::NotImport(_)
            | Self::SubjectsExist
            | Self::IdTaken(_)
            | Self::IdTooLarge(..) => 42205,
            Self::ReferenceExists(..) => 42206,
            Self::InvalidSubject(_) => 42208,
            Self::Store(_) | Self::StoreTimeout => 50001,
        }
    }

    pub fn status(&self) -> StatusCode {
        let code = self.code();
        let status = if code < 1000 { code } else { code / 100 };
        u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// As Confluent's registry counts: the latest is -1.
fn number(wanted: Wanted) -> i32 {
    match wanted {
        Wanted::Latest => -1,
        Wanted::Number(number) => number,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error)
    }
}

/// An error as clients read it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorBody {
    /// Such as 40401.
    pub error_code: u32,
    pub message: String,
}

/// How errors stand in the OpenAPI document: every route names the ones it has.
macro_rules! responses {
    ($($name:ident $status:literal $description:literal),*) => {$(
        #[doc = $description]
        #[derive(utoipa::IntoResponses)]
        pub enum $name {
            #[response(
                status = $status,
                description = $description,
                content_type = "application/vnd.schemaregistry.v1+json"
            )]
            #[allow(dead_code)]
            Error(ErrorBody),
        }
    )*};
}
responses! {
    Missing 404 "No such subject, version, schema or setting: 40401 to 40409",
    Conflict 409 "The schema is incompatible with what is registered: 409",
    Malformed 400 "The body or a parameter cannot be read: 400",
    OtherType 415 "The body has another content type: 415",
    TooLong 413 "The body is larger than this registry accepts: 413",
    Refused 422 "A schema, version, level, mode or subject is not valid: 42201 to 42208",
    Failed 500 "The store cannot be used at the moment: 50001"
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let code = self.code();
        match &self {
            Self::Store(cause) => {
                tracing::error!(error = %cause, "Failed to use the store");
            }
            Self::StoreTimeout => tracing::error!("Waited too long for the store"),
            _ => {}
        }
        if self.status().is_server_error() {
            let kind = code.to_string();
            chassis::metrics::PROCESSING_ERRORS
                .with_label_values(&["registry", &kind])
                .inc();
        }
        let body = ErrorBody {
            error_code: code,
            message: self.to_string(),
        };
        let body = serde_json::to_vec(&body).expect("an error is serialisable");
        let content_type = [(header::CONTENT_TYPE, crate::api::wire::CONTENT_TYPE)];
        (self.status(), content_type, body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn errors_have_the_contracts_codes_and_words() {
        let s = || "s".to_owned();
        for (error, status, code, message) in [
            (
                Error::SubjectNotFound(s()),
                404,
                40401,
                "Subject 's' not found.",
            ),
            (
                Error::VersionNotFound(Wanted::Number(9)),
                404,
                40402,
                "Version 9 not found.",
            ),
            (Error::SchemaNotFound, 404, 40403, "Schema not found"),
            (Error::IdNotFound(7), 404, 40403, "Schema 7 not found"),
            (
                Error::SubjectSoftDeleted(s()),
                404,
                40404,
                "Subject 's' was soft deleted.Set permanent=true to delete permanently",
            ),
            (
                Error::SubjectNotSoftDeleted(s()),
                404,
                40405,
                "Subject 's' was not deleted first before being permanently deleted",
            ),
            (
                Error::VersionSoftDeleted(s(), 1),
                404,
                40406,
                "Subject 's' Version 1 was soft deleted.Set permanent=true to delete permanently",
            ),
            (
                Error::VersionNotSoftDeleted(s(), 1),
                404,
                40407,
                "Subject 's' Version 1 was not deleted first before being permanently deleted",
            ),
            (
                Error::CompatibilityNotConfigured(s()),
                404,
                40408,
                "Subject 's' does not have subject-level compatibility configured",
            ),
            (
                Error::Incompatible {
                    subject: s(),
                    reasons: vec!["a".into(), "b".into()],
                },
                409,
                409,
                "Schema being registered is incompatible with an earlier schema for subject \"s\", details: [a, b]",
            ),
            (
                Error::InvalidVersion("x".into()),
                422,
                42202,
                "The specified version 'x' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\"",
            ),
            (
                Error::ReadOnly(s()),
                422,
                42205,
                "Subject s is in read-only mode",
            ),
            (
                Error::VersionNotFound(Wanted::Latest),
                404,
                40402,
                "Version -1 not found.",
            ),
            (
                Error::NotImport(s()),
                422,
                42205,
                "Subject s is not in import mode",
            ),
            (
                Error::ReferenceExists(s(), 2),
                422,
                42206,
                "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=s,version=2}.",
            ),
            (Error::NoRoute, 404, 404, "HTTP 404 Not Found"),
            (
                Error::Store(sqlx::Error::PoolTimedOut),
                500,
                50001,
                "Error in the backend data store",
            ),
        ] {
            let response = error.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(
                response.headers()[header::CONTENT_TYPE],
                "application/vnd.schemaregistry.v1+json"
            );
            let bytes = axum::body::to_bytes(response.into_body(), 4096)
                .await
                .unwrap();
            let body: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(
                body,
                serde_json::json!({ "error_code": code, "message": message })
            );
        }
    }
}
