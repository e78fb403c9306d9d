//! The OpenAPI document beyond the gateway's own handlers: the WebSocket, and what is handed on, as
//! the services' own documents in `docs/openapi/` describe it.

use serde_json::Value;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

use crate::websocket::messages::{
    Action, ClientMessage, DecodingError, ErrorPayload, EventPayload, LaggedPayload, StatsPayload,
    StatusPayload, TopicStats,
};

const SIMULATOR: &str = include_str!("../../../../docs/openapi/simulator.json");
const BANCAIRE: &str = include_str!("../../../../docs/openapi/bancaire.json");

/// What all services mean by it.
const SHARED_SCHEMA: &str = "Problem";
const SCHEMAS: &str = "#/components/schemas/";

#[derive(utoipa::OpenApi)]
#[openapi(
    paths(websocket),
    components(schemas(
        Action,
        ClientMessage,
        DecodingError,
        ErrorPayload,
        EventPayload<'_>,
        LaggedPayload,
        StatsPayload,
        StatusPayload,
        TopicStats,
    ))
)]
struct WebSocketDocument;

/// A WebSocket of JSON text frames.
///
/// The client sends `ClientMessage`. The gateway sends `{type, topic?, timestamp, payload}`, where
/// the payload is `StatusPayload`, `EventPayload`, `StatsPayload`, `LaggedPayload` or
/// `ErrorPayload`, by the type `status`, `event`, `stats`, `lagged` or `error`.
#[utoipa::path(get, path = "/ws", tag = "websocket", responses(
    (status = 101, description = "The socket is open"),
    (status = 401, description = "The token is missing"),
    (status = 403, description = "The page's origin may not listen"),
    (status = 426, description = "Not a WebSocket"),
    (status = 503, description = "As many clients as may are watching"),
))]
#[allow(dead_code, reason = "describes what `crate::websocket::upgrade` does")]
fn websocket() {}

/// Adds what the handlers do not say.
pub fn complete(document: &mut OpenApi) {
    document.merge(WebSocketDocument::openapi());
    document.merge(handed_on(SIMULATOR, "simulator", |path| {
        is_simulators(path).then(|| path.to_owned())
    }));
    document.merge(handed_on(BANCAIRE, "bancaire", |path| {
        let rest = path.strip_prefix("/api/v1/")?;
        Some(format!("/api/v1/bancaire/{rest}"))
    }));
    document.merge(handed_on(BANCAIRE, "bancaire", |path| {
        (path == "/api/v1/ledger").then(|| path.to_owned())
    }));
}

fn is_simulators(path: &str) -> bool {
    ["/api/v1/simulation", "/api/v1/events/", "/api/v1/scenarios"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// A service's document under the gateway's paths, with names of schemas that tell whose they are.
fn handed_on(document: &str, service: &str, path_here: impl Fn(&str) -> Option<String>) -> OpenApi {
    let mut document: Value = serde_json::from_str(document).expect("its drift check wrote JSON");
    rename(&mut document, service);
    let paths = std::mem::take(&mut document["paths"]);
    let Value::Object(paths) = paths else {
        panic!("a document has paths");
    };
    document["paths"] = paths
        .into_iter()
        .filter_map(|(path, mut item)| {
            let path = path_here(&path)?;
            for operation in item.as_object_mut()?.values_mut() {
                let id = operation["operationId"].as_str().unwrap_or_default();
                operation["operationId"] = format!("{service}_{}{id}", path_prefix(&path)).into();
                operation["tags"] = vec![service].into();
            }
            Some((path, item))
        })
        .collect::<serde_json::Map<String, Value>>()
        .into();
    let schemas = document["components"]["schemas"].take();
    let Value::Object(schemas) = schemas else {
        panic!("a document has schemas");
    };
    document["components"]["schemas"] = schemas
        .into_iter()
        .map(|(name, schema)| (schema_here(&name, service), schema))
        .collect::<serde_json::Map<String, Value>>()
        .into();
    serde_json::from_value(document).expect("it is still an OpenAPI document")
}

/// Tells the ledger from itself: it is at two paths.
fn path_prefix(path: &str) -> &'static str {
    if path == "/api/v1/ledger" {
        "root_"
    } else {
        ""
    }
}

fn rename(value: &mut Value, service: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "$ref" => {
                        if let Some(schema) = text.strip_prefix(SCHEMAS) {
                            *text = format!("{SCHEMAS}{}", schema_here(schema, service));
                        }
                    }
                    member => rename(member, service),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, service)),
        _ => {}
    }
}

/// `Status` of the simulator is `SimulatorStatus` here.
fn schema_here(name: &str, service: &str) -> String {
    if name == SHARED_SCHEMA {
        return name.to_owned();
    }
    let (first, rest) = service.split_at(1);
    format!("{}{rest}{name}", first.to_uppercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found.insert(reference.clone());
                }
                members
                    .values()
                    .for_each(|member| references(member, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn everything_that_is_handed_on_is_described_and_every_reference_leads_somewhere() {
        let document = serde_json::to_value(super::super::openapi()).unwrap();
        for path in [
            "/ws",
            "/api/v1/health",
            "/api/v1/ledger",
            "/api/v1/scenarios",
            "/api/v1/simulation",
            "/api/v1/simulation/start",
            "/api/v1/events/produce",
            "/api/v1/bancaire/comptes/{id}/transactions",
            "/api/v1/bancaire/ledger",
        ] {
            assert!(
                document["paths"].get(path).is_some(),
                "{path} is not described"
            );
        }
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(
            found.contains("#/components/schemas/SimulatorStart"),
            "{found:?}"
        );
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(
                document.pointer(pointer).is_some(),
                "{reference} leads nowhere"
            );
        }
    }
}
