//! What comes out of Kafka: records in the order in which they were polled, and where they came
//! from. The consumer builds a [`Batch`]; the writer folds it.

use bytes::Bytes;
use chassis::kafka::Poison;
use schemas::{Event, EventType};

use crate::traces::Traces;

/// A record's place in the logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub topic: EventType,
    pub partition: i32,
    pub offset: i64,
}

/// A record, decoded as far as it can be.
#[derive(Debug, Clone)]
pub struct Record {
    pub origin: Origin,
    /// A hash of the Avro body: the same event again has the same one.
    pub empreinte: i64,
    pub content: Content,
    /// The original bytes, for a dead letter or a parked row.
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
}

impl Record {
    pub fn event(&self) -> Option<&Event> {
        match &self.content {
            Content::Event(event) => Some(event),
            Content::Poison(_) => None,
        }
    }
}

#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every record is an event: boxing them would cost an allocation each"
)]
pub enum Content {
    Event(Event),
    /// Boxed because it is rare.
    Poison(Box<Poisoned>),
}

/// Why a record is poison, and its headers for the dead letter.
#[derive(Debug, Clone)]
pub struct Poisoned {
    pub poison: Poison,
    pub headers: Vec<(String, String)>,
}

/// The hash that tells the same event sent twice from two events with the same id.
///
/// Only the Avro body counts: re-registering a schema changes the id in front of it.
pub fn empreinte(value: &[u8]) -> i64 {
    let body = value.get(5..).unwrap_or(value);
    xxhash_rust::xxh3::xxh3_64(body).cast_signed()
}

/// The offsets that a batch covers in one partition: `from` is what PostgreSQL must hold for the
/// batch to be its successor, `to` is what it will hold afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub topic: EventType,
    pub partition: i32,
    pub from: i64,
    pub to: i64,
}

/// What was polled at once, in the order of polling. Within a partition that is offset order.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Batches of an older generation than the consumer's are dropped: their offsets were given
    /// away or are being read again.
    pub generation: u64,
    pub records: Vec<Record>,
    /// One per partition that has records.
    pub spans: Vec<Span>,
    /// When the first of the records was polled.
    pub received: std::time::Instant,
    /// Those that are followed.
    pub traces: Traces,
}

/// An event that waits in `bancaire.parques` for its account to be opened.
#[derive(Debug, Clone)]
pub struct Parked {
    pub event_id: String,
    pub compte_id: String,
    /// Poison only if its schema was taken out of the registry meanwhile.
    pub record: Record,
}
