//! Reads a body that is broken as far as it goes: for people who want to mend it.

use std::fmt;

use apache_avro::schema::{DecimalSchema, RecordSchema, Schema};
use apache_avro::types::Value;
use chrono::{DateTime, SecondsFormat};
use rust_decimal::Decimal;
use serde_json::Value as Json;

use super::{WriterSchema, scan};
use crate::DecodeError;

/// What could be read of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct Partial {
    /// The writer's fields before the first that cannot be read, in order; amounts are strings.
    pub fields: Vec<(String, Json)>,
    /// Why reading stopped; `None` at the body's end.
    pub stopped: Option<Stop>,
}

/// Where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The field that cannot be read; `None` behind the last one.
    pub field: Option<String>,
    /// Where it begins in the body.
    pub at_byte: usize,
    pub reason: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        write!(f, "{}, from byte {}", self.reason, self.at_byte)
    }
}

impl WriterSchema {
    /// Reads as many fields of a body as there are. Never fails, and allocates no more than
    /// [`WriterSchema::decode`].
    pub fn decode_partly(&self, body: &[u8]) -> Partial {
        let Schema::Record(record) = &self.schema else {
            return Partial {
                fields: Vec::new(),
                stopped: Some(stop(None, 0, "the writer's schema is not a record".into())),
            };
        };
        let (ends, error) = scan::fields(&self.schema, record, body);
        let good_end = ends.last().copied().unwrap_or(0);
        let fields = match values(record, ends.len(), &body[..good_end]) {
            Ok(fields) => fields,
            Err(reason) => {
                let stopped = Some(stop(None, 0, reason));
                return Partial {
                    fields: Vec::new(),
                    stopped,
                };
            }
        };
        let field = record
            .fields
            .get(ends.len())
            .map(|field| field.name.clone());
        let stopped = error.map(|e| stop(field, good_end, reason(&e)));
        Partial { fields, stopped }
    }
}

fn stop(field: Option<String>, at_byte: usize, reason: String) -> Stop {
    Stop {
        field,
        at_byte,
        reason,
    }
}

/// The error without the scan's own word for every field.
fn reason(error: &DecodeError) -> String {
    let text = error.to_string();
    let prefix = format!("{}: ", scan::FIELD);
    text.strip_prefix(&prefix).unwrap_or(&text).to_owned()
}

/// The first `count` fields, whose bytes are known to be whole.
fn values(record: &RecordSchema, count: usize, body: &[u8]) -> Result<Vec<(String, Json)>, String> {
    let mut first = record.clone();
    first.fields.truncate(count);
    let value = apache_avro::from_avro_datum(&Schema::Record(first), &mut &*body, None);
    let Value::Record(values) = value.map_err(|e| e.to_string())? else {
        return Err("the writer's schema is not a record".into());
    };
    let schemas = record.fields.iter().map(|field| &field.schema);
    let shown = values.into_iter().zip(schemas);
    Ok(shown
        .map(|((name, value), schema)| (name, json(value, schema)))
        .collect())
}

/// As the events' own JSON form: amounts as strings, times as RFC 3339.
fn json(value: Value, schema: &Schema) -> Json {
    match (value, schema) {
        (Value::Decimal(amount), Schema::Decimal(DecimalSchema { scale, .. })) => {
            let bytes = <Vec<u8>>::try_from(&amount).unwrap_or_default();
            match amount_text(&bytes, *scale) {
                Some(text) => text.into(),
                None => hex(&bytes).into(),
            }
        }
        (Value::TimestampMillis(ms), _) => match DateTime::from_timestamp_millis(ms) {
            Some(time) => time.to_rfc3339_opts(SecondsFormat::Millis, true).into(),
            None => ms.into(),
        },
        (Value::Bytes(bytes) | Value::Fixed(_, bytes), _) => hex(&bytes).into(),
        (Value::Enum(_, symbol), _) => symbol.into(),
        (Value::Union(branch, value), Schema::Union(union)) => {
            match union.variants().get(branch as usize) {
                Some(schema) => json(*value, schema),
                None => Json::Null,
            }
        }
        (Value::Map(map), Schema::Map(of)) => {
            let entries = map
                .into_iter()
                .map(|(key, value)| (key, json(value, &of.types)));
            Json::Object(entries.collect())
        }
        (Value::Array(items), Schema::Array(of)) => items
            .into_iter()
            .map(|item| json(item, &of.items))
            .collect(),
        (Value::Record(values), Schema::Record(record)) => {
            let values = values.into_iter().zip(&record.fields);
            let shown = values.map(|((name, value), field)| (name, json(value, &field.schema)));
            Json::Object(shown.collect())
        }
        (value, _) => Json::try_from(value).unwrap_or(Json::Null),
    }
}

fn amount_text(bytes: &[u8], scale: usize) -> Option<String> {
    if bytes.is_empty() || bytes.len() > 12 || scale > 28 {
        return None;
    }
    let start = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
    let value = bytes
        .iter()
        .fold(start, |value: i128, byte| value << 8 | i128::from(*byte));
    let scale = u32::try_from(scale).ok()?;
    Some(
        Decimal::try_from_i128_with_scale(value, scale)
            .ok()?
            .to_string(),
    )
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples::{self, any_event, encoded, one_of_each};
    use crate::{Event, EventType};
    use proptest::prelude::*;

    fn depot() -> (WriterSchema, Vec<u8>) {
        let schema = WriterSchema::new(EventType::DepotEffectue.schema_json()).unwrap();
        (schema, encoded(&Event::from(samples::depot_effectue())))
    }

    #[test]
    fn a_whole_body_gives_every_field_in_the_json_form_of_events() {
        for event in one_of_each() {
            let schema = WriterSchema::new(event.event_type().schema_json()).unwrap();
            let partial = schema.decode_partly(&encoded(&event));
            assert_eq!(partial.stopped, None);
            let ours = serde_json::to_value(&event).unwrap();
            for (name, value) in &partial.fields {
                match name.as_str() {
                    // The same moment, perhaps with other digits.
                    "timestamp" => {
                        let read: DateTime<chrono::Utc> =
                            serde_json::from_value(value.clone()).unwrap();
                        assert_eq!(read, event.timestamp());
                    }
                    _ => assert_eq!(*value, ours[name], "{name}"),
                }
            }
        }
    }

    #[test]
    fn a_truncated_body_gives_what_was_before_the_cut_and_says_where_it_is() {
        let (schema, body) = depot();
        let partial = schema.decode_partly(&body[..57]);
        let names: Vec<&str> = partial
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["event_id", "timestamp", "compte_id", "montant"]);
        assert_eq!(partial.fields[3].1, json!("250.00"));
        let stop = partial.stopped.expect("it is cut");
        assert_eq!(stop.field.as_deref(), Some("devise"));
        assert!(
            stop.to_string().starts_with("devise: the body ends"),
            "{stop}"
        );
        let mut longer = body.clone();
        longer.push(0);
        let partial = schema.decode_partly(&longer);
        assert_eq!(partial.fields.len(), 8);
        let stop = partial.stopped.expect("a byte too many");
        assert_eq!((stop.field, stop.at_byte), (None, body.len()));
    }

    proptest! {
        #[test]
        fn every_cut_is_survived(event in any_event(), cut in any::<prop::sample::Index>()) {
            let schema = WriterSchema::new(event.event_type().schema_json()).unwrap();
            let body = encoded(&event);
            let cut = cut.index(body.len() + 1);
            let partial = schema.decode_partly(&body[..cut]);
            prop_assert_eq!(partial.stopped.is_none(), cut == body.len());
        }

        #[test]
        fn noise_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (schema, _) = depot();
            schema.decode_partly(&body);
        }
    }
}
