//! Whether the defaults of fields fit their types.
//!
//! apache-avro lets pass a number that is too large for its type and a string of the wrong length,
//! and refuses strings for decimals; so this follows Avro's own table instead.

use serde_json::Value;

use super::parse::invalid;
use super::{Body, InvalidSchema, Node, Primitive, Schema};

/// Checks the default of every field of a schema, but not of those that it only refers to.
pub(super) fn check(schema: &Schema) -> Result<(), InvalidSchema> {
    for named in &schema.types[schema.external..] {
        let Body::Record(fields) = &named.body else {
            continue;
        };
        for field in fields {
            if let Some(default) = &field.default
                && !fits(schema, &field.node, default)
            {
                return Err(invalid(format_args!(
                    "the default {default} of field {:?} in {} is not valid for its type {}",
                    field.name,
                    named.full_name(),
                    schema.type_name(&field.node)
                )));
            }
        }
    }
    Ok(())
}

/// A union's default may be of any of its branches, as in Avro since 1.12.
fn fits(schema: &Schema, node: &Node, value: &Value) -> bool {
    match node {
        Node::Primitive(kind, _) => match kind {
            Primitive::Null => value.is_null(),
            Primitive::Boolean => value.is_boolean(),
            Primitive::Int => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Primitive::Long => value.is_i64(),
            Primitive::Float | Primitive::Double => value.is_number(),
            Primitive::Bytes => value.as_str().is_some_and(is_bytes),
            Primitive::String => value.is_string(),
        },
        Node::Array(items, _) => value
            .as_array()
            .is_some_and(|values| values.iter().all(|value| fits(schema, items, value))),
        Node::Map(values, _) => value
            .as_object()
            .is_some_and(|object| object.values().all(|value| fits(schema, values, value))),
        Node::Union(branches) => branches.iter().any(|branch| fits(schema, branch, value)),
        Node::Named(index) => match &schema.types[*index].body {
            Body::Enum { symbols, .. } => value
                .as_str()
                .is_some_and(|symbol| symbols.iter().any(|known| known == symbol)),
            Body::Fixed { size } => value.as_str().is_some_and(|text| {
                is_bytes(text) && u64::try_from(text.chars().count()).is_ok_and(|n| n == *size)
            }),
            Body::Record(fields) => value.as_object().is_some_and(|object| {
                fields.iter().all(|field| match object.get(&field.name) {
                    Some(value) => fits(schema, &field.node, value),
                    None => field.default.is_some(),
                })
            }),
        },
    }
}

/// Bytes are written as a string whose characters are their values.
fn is_bytes(text: &str) -> bool {
    text.chars().all(|letter| u32::from(letter) <= 0xff)
}
