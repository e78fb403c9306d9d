//! The seven events as one type, and what is known of each without its content.
//!
//! The structs are generated from `avro/*.avsc` by `codegen.rs`, whose output ends with one call
//! of [`catalogue!`]: a row per event. [`crate::wire`] frames what [`Event::encode`] writes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};

use crate::amount::{self, AmountError};
use crate::avro::{self, DecodeError};

macro_rules! catalogue {
    ($($name:ident, $topic:literal, $key:ident, $namespace:literal, $file:literal;)*) => {
        /// Which of the seven.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum EventType { $(#[doc = concat!("On `", $topic, "`.")] $name,)* }

        impl EventType {
            /// In the order of [`EventType::index`].
            pub const ALL: [EventType; 7] = [$(EventType::$name,)*];

            /// The topic, `<domaine>.<entite>.<action>`.
            pub const fn topic(self) -> &'static str {
                match self { $(Self::$name => $topic,)* }
            }
            /// The record's name without its namespace.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
            /// The record's name with its namespace.
            pub const fn full_name(self) -> &'static str {
                match self { $(Self::$name => concat!($namespace, ".", stringify!($name)),)* }
            }
            /// The Avro schema, as it is registered.
            pub const fn schema_json(self) -> &'static str {
                match self { $(Self::$name => include_str!(
                    concat!(env!("CARGO_MANIFEST_DIR"), "/avro/", $file)
                ),)* }
            }
            /// The event that travels on a topic.
            pub fn from_topic(topic: &str) -> Option<Self> {
                match topic { $($topic => Some(Self::$name),)* _ => None }
            }
            /// The event of a name without namespace.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)* _ => None }
            }
            /// The field whose value is the partition key.
            pub const fn key_field(self) -> &'static str {
                match self { $(Self::$name => stringify!($key),)* }
            }
        }

        /// An event of any type; in JSON just its fields.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Event { $($name($name),)* }

        impl Event {
            /// Which of the seven.
            pub fn event_type(&self) -> EventType {
                match self { $(Self::$name(_) => EventType::$name,)* }
            }
            /// The UUID by which the event is known everywhere.
            pub fn event_id(&self) -> &str {
                match self { $(Self::$name(event) => &event.event_id,)* }
            }
            /// When it happened, by the producer's clock.
            pub fn timestamp(&self) -> DateTime<Utc> {
                match self { $(Self::$name(event) => event.timestamp,)* }
            }
            /// The partition key: the account concerned.
            pub fn key(&self) -> &str {
                match self { $(Self::$name(event) => &event.$key,)* }
            }
            /// What the producer added beside the fields.
            pub fn metadata(&self) -> Option<&BTreeMap<String, String>> {
                match self { $(Self::$name(event) => event.metadata.as_ref(),)* }
            }
            /// Says whether the amounts are ones that the schema can hold; a producer asks before
            /// it sends.
            pub fn check(&self) -> Result<(), AmountError> {
                match self { $(Self::$name(event) => event.check(),)* }
            }
            /// Appends the Avro body, without the wire format's header.
            pub fn encode(&self, out: &mut Vec<u8>) {
                match self { $(Self::$name(event) => event.encode(out),)* }
            }
            /// Reads a body that was written with the schema of this build.
            pub fn decode(event_type: EventType, body: &[u8]) -> Result<Event, DecodeError> {
                match event_type {
                    $(EventType::$name => $name::decode(body).map(Event::$name),)*
                }
            }
            /// Reads the JSON form that `Serialize` writes: amounts are strings.
            pub fn from_json(
                event_type: EventType,
                json: serde_json::Value,
            ) -> Result<Event, serde_json::Error> {
                match event_type {
                    $(EventType::$name => serde_json::from_value(json).map(Event::$name),)*
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(event: $name) -> Self {
                Event::$name(event)
            }
        })*
    };
}

include!(concat!(env!("OUT_DIR"), "/events.rs"));

impl EventType {
    /// The registry's subject of the topic's values.
    pub fn subject(self) -> String {
        format!("{}-value", self.topic())
    }
    /// The position in [`EventType::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl std::fmt::Display for EventType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
