//! What the registry says about itself: contexts and the server's metadata.

use serde::Serialize;
use serde_json::{Value, json};

use super::wire::Answer;

/// The version of this server.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerVersion {
    pub version: &'static str,
    pub commit_id: &'static str,
}

/// The contexts: there is the default one only.
#[utoipa::path(get, path = "/contexts", tag = "contexts", responses(
    (status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json")
))]
pub async fn contexts() -> Answer<[&'static str; 1]> {
    Answer(["."])
}

/// Which cluster this is: one of its own.
#[utoipa::path(get, path = "/v1/metadata/id", tag = "metadata", responses(
    (status = 200, body = Object, content_type = "application/vnd.schemaregistry.v1+json")
))]
pub async fn cluster() -> Answer<Value> {
    Answer(json!({
        "scope": { "path": [], "clusters": { "schema-registry-cluster": "edalab" } }
    }))
}

/// The version of this server.
#[utoipa::path(get, path = "/v1/metadata/version", tag = "metadata", responses(
    (status = 200, body = ServerVersion, content_type = "application/vnd.schemaregistry.v1+json")
))]
pub async fn server_version() -> Answer<ServerVersion> {
    Answer(ServerVersion {
        version: env!("CARGO_PKG_VERSION"),
        commit_id: "",
    })
}
