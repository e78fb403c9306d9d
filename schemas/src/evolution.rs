//! Reads what other versions of a schema wrote.
//!
//! The registry gives the writer's schema of a record; a consumer keeps one [`WriterSchema`] per
//! id. When that schema is ours, the generated decoder reads the body directly. Otherwise
//! apache-avro resolves it to our schema by Avro's rules: a field that we do not know is dropped,
//! one that the writer did not know gets its default. A body that is broken is shown as far as it
//! goes by [`WriterSchema::decode_partly`].

mod partial;
mod scan;

pub use partial::{Partial, Stop};

use std::collections::HashMap;
use std::sync::LazyLock;

use apache_avro::schema::{DecimalSchema, RecordSchema, Schema};
use apache_avro::types::Value;

use crate::{DecodeError, Event, EventType};

/// More than any body can hold, as the broker refuses records beyond 1 MiB.
const MAX_ALLOCATION_BYTES: usize = 1024 * 1024;

/// Why a text is not a usable schema.
#[derive(Debug, thiserror::Error)]
#[error("not an Avro schema: {0}")]
pub struct SchemaError(#[source] apache_avro::Error);

/// The schema with which a record was written.
#[derive(Debug)]
pub struct WriterSchema {
    schema: Schema,
    full_name: Option<String>,
    /// The event whose schema of this build it equals.
    current: Option<EventType>,
}

/// Our schemas as apache-avro sees them, each with its canonical form.
static OURS: LazyLock<[(Schema, String); EventType::ALL.len()]> = LazyLock::new(|| {
    EventType::ALL.map(|event_type| {
        let schema = Schema::parse_str(event_type.schema_json())
            .expect("the schemas of this crate are valid, its tests parse them");
        let canonical = schema.canonical_form();
        (schema, canonical)
    })
});

impl WriterSchema {
    /// Parses the JSON that the registry gave.
    ///
    /// # Errors
    /// When it is not an Avro schema.
    pub fn new(json: &str) -> Result<Self, SchemaError> {
        // Only the first call of a process counts, and each path to a decoder passes here.
        apache_avro::util::max_allocation_bytes(MAX_ALLOCATION_BYTES);
        let schema = Schema::parse_str(json).map_err(SchemaError)?;
        let canonical = schema.canonical_form();
        // The canonical form leaves logical types out, and the comparison of schemas leaves field
        // names out; together they say that the same bytes mean the same.
        let current = EventType::ALL.into_iter().find(|event_type| {
            let (ours, form) = &OURS[event_type.index()];
            *form == canonical && *ours == schema
        });
        let full_name = match &schema {
            Schema::Record(record) => Some(record.name.fullname(None)),
            _ => None,
        };
        Ok(Self {
            schema,
            full_name,
            current,
        })
    }

    /// The record's name with its namespace; `None` when it is not a record.
    pub fn full_name(&self) -> Option<&str> {
        self.full_name.as_deref()
    }

    /// True when bodies have the schema of this build, so that reading them is direct.
    pub fn is_current(&self, event_type: EventType) -> bool {
        self.current == Some(event_type)
    }

    /// Reads a body that was written with this schema.
    ///
    /// # Errors
    /// When the schema belongs to another event, cannot be resolved to ours, or the body is not
    /// what the schema says.
    pub fn decode(&self, event_type: EventType, body: &[u8]) -> Result<Event, DecodeError> {
        if self.is_current(event_type) {
            return Event::decode(event_type, body);
        }
        let (ours, _) = &OURS[event_type.index()];
        self.check_against(event_type, ours)?;
        // apache-avro allocates what a length declares and reads missing bytes as null, so that
        // the body is checked before.
        scan::check(&self.schema, body)?;
        let resolution = |e: apache_avro::Error| DecodeError::Resolution(e.to_string());
        let value =
            apache_avro::from_avro_datum(&self.schema, &mut &*body, None).map_err(resolution)?;
        let value = widen_amounts(value).resolve(ours).map_err(resolution)?;
        // Once more through our own form: one decoder decides what is an event.
        let body = apache_avro::to_avro_datum(ours, value).map_err(resolution)?;
        Event::decode(event_type, &body)
    }

    /// Refuses what apache-avro would read as something else.
    fn check_against(&self, event_type: EventType, ours: &Schema) -> Result<(), DecodeError> {
        let (Schema::Record(theirs), Schema::Record(ours)) = (&self.schema, ours) else {
            return Err(self.wrong_schema(event_type));
        };
        if self.full_name() != Some(event_type.full_name()) {
            return Err(self.wrong_schema(event_type));
        }
        let theirs: HashMap<&str, &Schema> = fields(theirs).collect();
        for (name, our_type) in fields(ours) {
            let Some(their_type) = theirs.get(name) else {
                continue;
            };
            // Amounts of another scale have the same bytes, but other sums.
            if matches!(our_type, Schema::Decimal(_)) && scale(their_type) != scale(our_type) {
                let message = format!("{name}: not a decimal of scale 2");
                return Err(DecodeError::Resolution(message));
            }
        }
        Ok(())
    }

    fn wrong_schema(&self, event_type: EventType) -> DecodeError {
        DecodeError::WrongSchema {
            expected: event_type.full_name(),
            found: self.full_name().unwrap_or("not a record").to_owned(),
        }
    }
}

fn fields(record: &RecordSchema) -> impl Iterator<Item = (&str, &Schema)> {
    record
        .fields
        .iter()
        .map(|field| (field.name.as_str(), &field.schema))
}

fn scale(schema: &Schema) -> Option<usize> {
    match schema {
        Schema::Decimal(DecimalSchema { scale, .. }) => Some(*scale),
        _ => None,
    }
}

/// Gives each amount at least the eight bytes that 18 digits may take: apache-avro's resolution
/// refuses shorter ones although the value fits.
fn widen_amounts(value: Value) -> Value {
    let Value::Record(mut fields) = value else {
        return value;
    };
    for (_, field) in &mut fields {
        if let Value::Decimal(amount) = field
            && let Ok(bytes) = <Vec<u8>>::try_from(&*amount)
            && bytes.len() < 8
        {
            let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide[8 - bytes.len()..].copy_from_slice(&bytes);
            *field = Value::Decimal(apache_avro::Decimal::from(wide));
        }
    }
    Value::Record(fields)
}

#[cfg(test)]
mod tests;
