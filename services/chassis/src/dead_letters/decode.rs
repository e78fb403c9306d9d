//! What a dead letter says, as far as it can be read: the wire format's header, the writer's
//! schema, and the fields before the one that cannot be.

use schemas::evolution::Partial;
use schemas::{DeadLetter, wire};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::original;
use crate::registry::RegistryClient;

/// A value, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Decoded {
    /// From the wire format's header; `null` when there is none.
    pub schema_id: Option<u32>,
    /// The full name of the writer's schema; `null` when the registry does not give it.
    pub schema: Option<String>,
    /// The fields that could be read, in the schema's order.
    #[serde(serialize_with = "as_map")]
    #[schema(value_type = Object)]
    pub fields: Vec<(String, Value)>,
    /// True when it could be read to its last byte.
    pub complete: bool,
    /// Where reading stopped, and why.
    pub stopped: Option<String>,
}

/// Reads the letter's value; `None` when it has none, or an empty one.
pub async fn decode(registry: &RegistryClient, letter: &DeadLetter) -> Option<Decoded> {
    let mut decoded = Decoded {
        schema_id: None,
        schema: None,
        fields: Vec::new(),
        complete: false,
        stopped: None,
    };
    let value = match original(letter) {
        Ok(original) => original.value.filter(|value| !value.is_empty())?,
        Err(e) => {
            decoded.stopped = Some(format!("{e:#}"));
            return Some(decoded);
        }
    };
    let (id, body) = match wire::parse(&value) {
        Ok(parsed) => parsed,
        Err(e) => {
            decoded.stopped = Some(e.to_string());
            return Some(decoded);
        }
    };
    decoded.schema_id = Some(id);
    let schema = match registry.schema(id).await {
        Ok(schema) => schema,
        Err(e) => {
            decoded.stopped = Some(e.to_string());
            return Some(decoded);
        }
    };
    decoded.schema = schema.full_name().map(str::to_owned);
    let Partial { fields, stopped } = schema.decode_partly(body);
    decoded.fields = fields;
    decoded.complete = stopped.is_none();
    decoded.stopped = stopped.map(|stop| format!("{stop} of {} in the body", body.len()));
    Some(decoded)
}

fn as_map<S: Serializer>(fields: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(fields.len()))?;
    for (name, value) in fields {
        map.serialize_entry(name, value)?;
    }
    map.end()
}
