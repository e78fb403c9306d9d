//! From the bytes of a record to an event, or to the reason why that is impossible.

use schemas::evolution::WriterSchema;
use schemas::wire::{self, WireError};
use schemas::{Event, EventType};

use super::{Failure, Poison};
use crate::registry::{RegistryClient, RegistryError};

/// What decoding without any I/O gives.
#[derive(Debug)]
pub enum Decoded {
    Event(Event),
    /// The writer's schema is not in the cache yet: ask [`EventDecoder::fetch`], then again.
    NeedSchema(u32),
    Poison(Poison),
}

/// Routes on the topic, checks the schema's name, resolves older and newer writers' schemas.
#[derive(Clone)]
pub struct EventDecoder {
    registry: RegistryClient,
}

impl EventDecoder {
    pub fn new(registry: RegistryClient) -> Self {
        Self { registry }
    }

    /// Decodes with what is cached; does no I/O.
    pub fn decode_cached(&self, topic: &str, payload: Option<&[u8]>) -> Decoded {
        match self.try_decode(topic, payload) {
            Ok(decoded) => decoded,
            Err(poison) => Decoded::Poison(poison),
        }
    }

    /// Brings a writer's schema into the cache.
    ///
    /// # Errors
    /// `Poison` when the registry says that there is no such schema or it is not a usable one;
    /// `Transient` when the registry does not answer.
    pub async fn fetch(&self, id: u32) -> Result<(), Failure> {
        match self.registry.schema(id).await {
            Ok(_) => Ok(()),
            Err(e @ RegistryError::Unavailable(_)) => Err(Failure::Transient(e.to_string())),
            Err(e) => Err(Poison::new("unknown_schema_id", e.to_string()).into()),
        }
    }

    /// Decodes, asking the registry when needed.
    pub async fn decode(&self, topic: &str, payload: Option<&[u8]>) -> Result<Event, Failure> {
        loop {
            match self.decode_cached(topic, payload) {
                Decoded::Event(event) => return Ok(event),
                Decoded::Poison(poison) => return Err(poison.into()),
                Decoded::NeedSchema(id) => self.fetch(id).await?,
            }
        }
    }

    fn try_decode(&self, topic: &str, payload: Option<&[u8]>) -> Result<Decoded, Poison> {
        let event_type = EventType::from_topic(topic).ok_or_else(|| {
            Poison::new("wrong_schema", format!("no event has the topic {topic}"))
        })?;
        let payload = payload.ok_or_else(|| Poison::new("tombstone", "the record has no value"))?;
        let (id, body) = wire::parse(payload).map_err(|e| {
            let kind = match &e {
                WireError::Empty => "empty",
                WireError::TooShort { .. } => "too_short",
                WireError::BadMagic { .. } => "bad_magic",
            };
            Poison::new(kind, e.to_string())
        })?;
        let Some(schema) = self.registry.cached(id) else {
            return Ok(Decoded::NeedSchema(id));
        };
        check_name(&schema, event_type, id)?;
        schema
            .decode(event_type, body)
            .map(Decoded::Event)
            .map_err(|e| Poison::new("undecodable", e.to_string()))
    }
}

fn check_name(schema: &WriterSchema, event_type: EventType, id: u32) -> Result<(), Poison> {
    match schema.full_name() {
        Some(name) if name == event_type.full_name() => Ok(()),
        name => Err(Poison::new(
            "wrong_schema",
            format!(
                "schema {id} is {}, the topic takes {}",
                name.unwrap_or("not a record"),
                event_type.full_name()
            ),
        )),
    }
}
