//! Records that cannot be read, for exercises and for scenarios with faults.
//!
//! bancaire answers each with one dead letter on `system.dlq` and goes on.

use chassis::kafka::RawRecord;
use chassis::registry::SchemaIds;
use schemas::{Event, EventType, wire};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An id that no registry gives out: it is the largest that fits.
const NO_SUCH_ID: u32 = i32::MAX as u32;

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PoisonKind {
    /// The Avro body ends too early.
    Truncated,
    /// The first byte is not 0.
    BadMagic,
    /// The registry has no such schema.
    UnknownSchemaId,
    /// The record has no value.
    Tombstone,
    /// The value has no bytes.
    Empty,
    /// A good event of another type than the topic's.
    WrongSchema,
    /// The Avro body declares a text of a terabyte.
    HugeLength,
}

impl PoisonKind {
    pub const ALL: [Self; 7] = [
        Self::Truncated,
        Self::BadMagic,
        Self::UnknownSchemaId,
        Self::Tombstone,
        Self::Empty,
        Self::WrongSchema,
        Self::HugeLength,
    ];
    /// What a scenario draws from unless it names kinds.
    pub const IN_SCENARIOS: [Self; 5] = [
        Self::Truncated,
        Self::BadMagic,
        Self::UnknownSchemaId,
        Self::Tombstone,
        Self::Empty,
    ];

    /// The type of the event to be spoilt, for a topic.
    pub fn event_type(self, topic: EventType) -> EventType {
        match self {
            Self::WrongSchema if topic == EventType::DepotEffectue => EventType::CompteOuvert,
            Self::WrongSchema => EventType::DepotEffectue,
            _ => topic,
        }
    }

    /// Spoils an event of [`PoisonKind::event_type`]. `unit` in `0.0..1.0` chooses where a
    /// truncated one is cut.
    pub fn spoil(self, topic: EventType, event: &Event, unit: f64, ids: &SchemaIds) -> RawRecord {
        let mut value = wire::frame(ids.id(event.event_type()), event);
        let value = match self {
            Self::Truncated => {
                let body = value.len() - wire::HEADER_LEN;
                value.truncate(wire::HEADER_LEN + (unit * body as f64) as usize);
                Some(value)
            }
            Self::BadMagic => {
                value[0] = b'{';
                Some(value)
            }
            Self::UnknownSchemaId => {
                value[1..wire::HEADER_LEN].copy_from_slice(&NO_SUCH_ID.to_be_bytes());
                Some(value)
            }
            Self::Tombstone => None,
            Self::Empty => Some(Vec::new()),
            Self::WrongSchema => Some(value),
            Self::HugeLength => {
                value.truncate(wire::HEADER_LEN);
                // 2^40 as Avro's zigzag varint: the length of the first field, a text.
                value.extend_from_slice(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
                value.extend_from_slice(b"not that long");
                Some(value)
            }
        };
        RawRecord {
            topic: topic.topic().to_owned(),
            key: Some(event.key().as_bytes().to_vec()),
            value,
            ..RawRecord::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use schemas::DecodeError;
    use schemas::wire::WireError;

    use super::*;
    use crate::factory::Factory;

    fn spoilt(kind: PoisonKind, topic: EventType, unit: f64) -> RawRecord {
        let ids = SchemaIds::new([1, 2, 3, 4, 5, 6, 7]);
        let mut factory = Factory::new(7, uuid::Uuid::new_v4(), false);
        let event = factory.stranger(kind.event_type(topic), Utc::now());
        kind.spoil(topic, &event, unit, &ids)
    }

    #[test]
    fn each_kind_is_what_it_says_on_every_topic() {
        for topic in EventType::ALL {
            for kind in PoisonKind::ALL {
                let record = spoilt(kind, topic, 0.5);
                assert_eq!(record.topic, topic.topic());
                assert!(record.key.is_some(), "a tombstone needs a key");
                let Some(value) = record.value else {
                    assert_eq!(kind, PoisonKind::Tombstone);
                    continue;
                };
                match (kind, wire::parse(&value)) {
                    (PoisonKind::Empty, parsed) => assert_eq!(parsed, Err(WireError::Empty)),
                    (PoisonKind::BadMagic, parsed) => {
                        assert_eq!(parsed, Err(WireError::BadMagic { found: b'{' }));
                    }
                    (PoisonKind::UnknownSchemaId, parsed) => {
                        assert_eq!(parsed.unwrap().0, NO_SUCH_ID);
                    }
                    (PoisonKind::WrongSchema, parsed) => {
                        assert_ne!(parsed.unwrap().0, topic.index() as u32 + 1);
                    }
                    (_, parsed) => {
                        let (id, body) = parsed.unwrap();
                        assert_eq!(id, topic.index() as u32 + 1);
                        assert!(Event::decode(topic, body).is_err(), "{kind:?} on {topic:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_truncated_body_is_cut_anywhere_but_never_whole() {
        for cut in 0..1_000 {
            let record = spoilt(
                PoisonKind::Truncated,
                EventType::VirementEmis,
                f64::from(cut) / 1e3,
            );
            let value = record.value.unwrap();
            let (_, body) = wire::parse(&value).unwrap();
            let decoded: Result<Event, DecodeError> = Event::decode(EventType::VirementEmis, body);
            assert!(decoded.is_err(), "cut at {cut}");
        }
    }
}
