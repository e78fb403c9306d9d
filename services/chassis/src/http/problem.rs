//! RFC 9457 `application/problem+json`, the only form of error that services answer with.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A handler's result.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

/// What went wrong, for a person and for a program.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Problem {
    /// A URI reference that names the kind; `about:blank` when the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong in this case, and what would be right.
    pub detail: String,
    /// The trace in which it happened, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Further members, such as the values that would be allowed.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            trace_id: crate::telemetry::current_trace_id(),
            fields: Map::new(),
        }
    }
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
    pub fn bad_gateway(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, detail)
    }
    pub fn gateway_timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// A failure of ours: logged here, once, with its causes; the caller sees none of them.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(error = %error, "Failed to answer a request");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The service failed; its log says why.",
        )
    }

    /// Adds a member.
    #[must_use]
    pub fn with_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).expect("a problem is serialisable");
        let content_type = HeaderValue::from_static("application/problem+json");
        (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
    }
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(format_args!("{error:#}"))
    }
}

impl From<sqlx::Error> for Problem {
    /// PostgreSQL being away is the caller's to wait for (503); anything else is a failure of ours.
    fn from(error: sqlx::Error) -> Self {
        if crate::postgres::is_transient(&error) {
            tracing::warn!(error = %error, "PostgreSQL is not available");
            Self::unavailable("PostgreSQL is not available at the moment; try again.")
        } else {
            Self::internal(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_problem_json_and_hides_internals() {
        let response = Problem::from(anyhow::anyhow!("password=hunter2")).into_response();
        assert_eq!(response.status(), 500);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let body = axum::body::to_bytes(response.into_body(), 4096)
            .await
            .unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("hunter2"));
    }

    #[test]
    fn fields_are_members_of_the_problem_itself() {
        let problem = Problem::bad_request("no").with_field("allowed", vec!["a", "b"]);
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["allowed"][1], "b");
        assert_eq!(json["status"], 400);
        assert_eq!(json["title"], "Bad Request");
    }
}
