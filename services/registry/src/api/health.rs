//! The root, and whether the registry lives and can work.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::wire::{Answer, Body};
use crate::error::{Malformed, OtherType, Refused, TooLong};
use crate::store::Store;

/// How it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    /// `ok` or `degraded`.
    pub status: &'static str,
    /// `ok` or `unavailable`.
    pub postgres: &'static str,
}

/// What clients ask to see whether a registry is there: an empty object.
#[utoipa::path(get, path = "/", tag = "health", responses(
    (status = 200, body = Object, content_type = "application/vnd.schemaregistry.v1+json")
))]
pub async fn root() -> Answer<Value> {
    Answer(json!({}))
}

/// The same, for clients that try whether they can send something.
#[utoipa::path(post, path = "/", tag = "health", request_body(content = Object,
    content_type = "application/vnd.schemaregistry.v1+json"), responses(
    (status = 200, body = Object, content_type = "application/vnd.schemaregistry.v1+json"),
    Malformed, TooLong, OtherType, Refused
))]
pub async fn post_root(Body(_): Body<serde_json::Map<String, Value>>) -> Answer<Value> {
    Answer(json!({}))
}

/// The process answers.
#[utoipa::path(get, path = "/health/live", tag = "health", responses(
    (status = 200, body = Object, content_type = "application/json")
))]
pub async fn live() -> axum::Json<Value> {
    axum::Json(json!({ "status": "ok" }))
}

/// The store answers, and its tables are there.
#[utoipa::path(get, path = "/health/ready", tag = "health", responses(
    (status = 200, body = Health, content_type = "application/json"),
    (status = 503, body = Health, content_type = "application/json")
))]
pub async fn ready(State(store): State<Store>) -> Response {
    // Shorter than the deadline of a request: this answer says what is wrong.
    let limit = std::time::Duration::from_secs(2);
    match tokio::time::timeout(limit, store.ping()).await {
        Ok(Ok(())) => axum::Json(Health {
            status: "ok",
            postgres: "ok",
        })
        .into_response(),
        _ => {
            let health = Health {
                status: "degraded",
                postgres: "unavailable",
            };
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(health)).into_response()
        }
    }
}
