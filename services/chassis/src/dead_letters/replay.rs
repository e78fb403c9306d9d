//! Publishes a dead letter again: its original bytes, or the event that was mended.
//!
//! From here it takes the way of every event, and may become a dead letter again.

use schemas::{DLQ_TOPIC, DeadLetter, Event, EventType, wire};
use serde_json::Value;

use super::{Letter, Original, REPLAYED_TO};
use crate::kafka::{EventProducer, ProduceError, RawRecord, event_headers};
use crate::registry::{RegistryClient, RegistryError};

/// Header of a record that was published again: the key of its dead letter.
pub const REPLAY_OF: &str = "edalab-replay-of";

/// Where a letter was published again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Replayed {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Of the mended event; `null` when the original bytes were published.
    pub event_id: Option<String>,
}

/// Why a letter was not published again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The mended event is not one of its topic.
    #[error("{0}")]
    BadEvent(String),
    /// The letter itself cannot be read.
    #[error("{0}")]
    BadLetter(String),
    /// The registry did not give the schema's id.
    #[error("failed to get the schema's id: {0}")]
    Registry(#[from] RegistryError),
    /// The broker did not acknowledge it.
    #[error("failed to publish: {0}")]
    Produce(#[from] ProduceError),
    /// It was published, but that could not be noted in `system.dlq`.
    #[error("it was published as {to}, but that could not be noted: {source}")]
    NotNoted { to: String, source: ProduceError },
}

/// Publishes `letter` again on its topic and notes so in `system.dlq`; `mended` is the event to
/// publish instead of the original bytes, in the schemas' JSON form.
///
/// # Errors
/// See [`ReplayError`].
pub async fn replay(
    producer: &EventProducer,
    registry: &RegistryClient,
    letter: &Letter,
    mended: Option<Value>,
) -> Result<Replayed, ReplayError> {
    let (record, event_id) = match mended {
        None => (as_it_was(letter)?, None),
        Some(json) => {
            let event = mended_event(&letter.letter, json)?;
            let (subject, schema) = {
                let event_type = event.event_type();
                (event_type.subject(), event_type.schema_json())
            };
            let id = registry.register(&subject, schema).await?;
            let event_id = event.event_id().to_owned();
            (framed(&event, id, &letter.key), Some(event_id))
        }
    };
    let topic = record.topic.clone();
    let delivered = producer.send_raw(record).await?;
    let to = format!("{topic}-{}-{}", delivered.partition, delivered.offset);
    producer
        .send_raw(note(letter, &to))
        .await
        .map_err(|source| {
            let to = to.clone();
            ReplayError::NotNoted { to, source }
        })?;
    Ok(Replayed {
        topic,
        partition: delivered.partition,
        offset: delivered.offset,
        event_id,
    })
}

/// The event of a mended letter, if it is one of the letter's topic.
fn mended_event(letter: &DeadLetter, json: Value) -> Result<Event, ReplayError> {
    let topic = &letter.original_topic;
    let event_type = EventType::from_topic(topic)
        .ok_or_else(|| ReplayError::BadLetter(format!("no event has the topic {topic}")))?;
    let event = Event::from_json(event_type, json)
        .map_err(|e| ReplayError::BadEvent(format!("it is not a {event_type}: {e}")))?;
    event
        .check()
        .map_err(|e| ReplayError::BadEvent(format!("it is not a {event_type}: {e}")))?;
    Ok(event)
}

fn framed(event: &Event, schema_id: u32, key: &str) -> RawRecord {
    let mut headers = event_headers(event, "replay");
    headers.push((REPLAY_OF.into(), key.into()));
    RawRecord {
        topic: event.event_type().topic().to_owned(),
        key: Some(event.key().into()),
        value: Some(wire::frame(schema_id, event)),
        headers,
        partition: None,
    }
}

/// The original's bytes and headers, on its partition.
fn as_it_was(letter: &Letter) -> Result<RawRecord, ReplayError> {
    let original = letter.original();
    let Original { key, value } = original.map_err(|e| ReplayError::BadLetter(format!("{e:#}")))?;
    let original = &letter.letter;
    let kept = original
        .headers
        .iter()
        .filter(|(name, _)| *name != REPLAY_OF);
    let kept = kept.map(|(name, value)| (name.clone(), value.clone().into_bytes()));
    let own = (REPLAY_OF.to_owned(), letter.key.clone().into_bytes());
    Ok(RawRecord {
        topic: original.original_topic.clone(),
        key,
        value,
        headers: kept.chain([own]).collect(),
        partition: Some(original.partition),
    })
}

/// The letter once more, with what became of it.
fn note(letter: &Letter, to: &str) -> RawRecord {
    RawRecord {
        topic: DLQ_TOPIC.to_owned(),
        key: Some(letter.key.clone().into_bytes()),
        value: Some(serde_json::to_vec(&letter.letter).expect("a dead letter is serialisable")),
        headers: vec![(REPLAYED_TO.into(), to.into())],
        // Beside the letter, so that the note is read after it.
        partition: Some(letter.dlq_partition),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn letter() -> Letter {
        let letter: DeadLetter = serde_json::from_value(json!({
            "original_topic": "bancaire.depot.effectue", "partition": 2, "offset": 41,
            "key": "YQ==", "value": null,
            "headers": { "ce_id": "7", REPLAY_OF: "older" },
            "error": { "type": "tombstone", "message": "m", "attempt_count": 1,
                "timestamp": "2026-01-02T03:04:05Z" },
            "metadata": { "service": "bancaire", "consumer_group": "bancaire" }
        }))
        .unwrap();
        Letter {
            key: letter.key_string(),
            letter,
            dlq_partition: 1,
            dlq_offset: 5,
            replays: Vec::new(),
        }
    }

    #[test]
    fn the_original_goes_where_it_was_and_says_what_it_is() {
        let record = as_it_was(&letter()).unwrap();
        assert_eq!(record.topic, "bancaire.depot.effectue");
        assert_eq!(
            (record.key.as_deref(), record.value),
            (Some(&b"a"[..]), None)
        );
        assert_eq!(record.partition, Some(2));
        let expected = [
            ("ce_id".to_owned(), b"7".to_vec()),
            (
                REPLAY_OF.to_owned(),
                b"bancaire.depot.effectue-2-41".to_vec(),
            ),
        ];
        assert_eq!(record.headers, expected);
    }

    #[test]
    fn a_mended_event_must_be_one_of_the_topic() {
        let letter = letter().letter;
        let wrong = mended_event(&letter, json!({ "event_id": "x" }))
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains("DepotEffectue") && wrong.contains("timestamp"),
            "{wrong}"
        );
        let event = json!({
            "event_id": "e", "timestamp": "2026-01-02T03:04:05Z", "compte_id": "c",
            "montant": "12.50", "devise": "EUR", "reference": "r", "canal": "GUICHET",
            "metadata": null
        });
        let event = mended_event(&letter, event).unwrap();
        let record = framed(&event, 7, "k");
        assert_eq!(record.key.as_deref(), Some(&b"c"[..]));
        assert!(record.headers.contains(&(REPLAY_OF.into(), b"k".to_vec())));
        assert_eq!(record.value.unwrap()[..5], [0, 0, 0, 0, 7]);
    }

    #[test]
    fn the_note_is_the_letter_itself_beside_it() {
        let letter = letter();
        let note = note(&letter, "t-0-9");
        assert_eq!((note.topic.as_str(), note.partition), (DLQ_TOPIC, Some(1)));
        assert_eq!(note.headers, [(REPLAYED_TO.to_owned(), b"t-0-9".to_vec())]);
        let read: DeadLetter = serde_json::from_slice(&note.value.unwrap()).unwrap();
        assert_eq!(read, letter.letter);
    }
}
