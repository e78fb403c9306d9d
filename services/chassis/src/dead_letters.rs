//! The dead letters of `system.dlq`: found on the broker, shown as far as they can be decoded
//! ([`decode`](mod@decode)), and published again ([`replay`](mod@replay)).
//!
//! bancaire writes them with the batch that met the poison. The gateway and `cargo xtask dlq` show
//! and replay them, `cargo xtask verify` compares them with the logs.
//!
//! The relay that publishes them is at-least-once, so letters of one key are one letter. A replay
//! is noted where the letter lies: with one more copy of it, whose header says what became of it.
//! So the topic alone tells which letters were replayed, and holds nothing but dead letters.

pub mod decode;
pub mod replay;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use schemas::{DLQ_TOPIC, DeadLetter};
use serde::Serialize;

pub use self::decode::{Decoded, decode};
pub use self::replay::{ReplayError, Replayed, replay};
use crate::config::KafkaConfig;
use crate::kafka::admin::{Inspector, Watermarks};
use crate::kafka::log::{LogReader, LogRecord};
use crate::registry::RegistryClient;

/// Header of a copy in `system.dlq`: where the letter was published again.
const REPLAYED_TO: &str = "edalab-replayed-to";

/// A dead letter, where it lies, and what became of it.
#[derive(Debug, Clone)]
pub struct Letter {
    /// `topic-partition-offset` of the original.
    pub key: String,
    pub letter: DeadLetter,
    pub dlq_partition: i32,
    pub dlq_offset: i64,
    /// Where it was published again, `topic-partition-offset` each.
    pub replays: Vec<String>,
}

/// A record's key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Original {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Everything that `system.dlq` holds.
#[derive(Debug, Default)]
pub struct Letters {
    /// One per key, oldest first.
    pub letters: Vec<Letter>,
    /// Further records with the same key and content that note no replay.
    pub copies: usize,
    /// What is not a dead letter, or contradicts one of the same key, in words.
    pub wrong: Vec<String>,
    /// True when retention may have taken some.
    pub truncated: bool,
}

/// A dead letter as it is shown: by the gateway and by `dlq --json`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Shown {
    /// `topic-partition-offset` of the original: names the letter everywhere.
    pub key: String,
    pub original_topic: String,
    pub partition: i32,
    pub offset: i64,
    /// A word for programs, such as `bad_magic`.
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// When it was refused.
    pub timestamp: DateTime<Utc>,
    pub attempt_count: u32,
    /// Who refused it.
    pub service: String,
    pub consumer_group: String,
    /// The record's key, bytes that are not UTF-8 replaced; `null` when it had none.
    pub record_key: Option<String>,
    /// The record's value; `null` for a tombstone.
    pub value_base64: Option<String>,
    pub headers: BTreeMap<String, String>,
    /// The value as far as it can be read; `null` when there is nothing to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded: Option<Decoded>,
    pub replayed: bool,
    /// Where it was published again, `topic-partition-offset` each.
    pub replays: Vec<String>,
}

impl Letters {
    /// The letter of a key.
    pub fn get(&self, key: &str) -> Option<&Letter> {
        self.letters.iter().find(|letter| letter.key == key)
    }
}

impl Letter {
    pub fn is_replayed(&self) -> bool {
        !self.replays.is_empty()
    }

    /// The record that it carries.
    ///
    /// # Errors
    /// When it is not base64.
    pub fn original(&self) -> anyhow::Result<Original> {
        original(&self.letter)
    }

    /// Decodes it as far as possible, asking `registry` for the writer's schema.
    pub async fn show(&self, registry: &RegistryClient) -> Shown {
        let letter = self.letter.clone();
        let record_key = self.original().ok().and_then(|original| original.key);
        Shown {
            key: self.key.clone(),
            original_topic: letter.original_topic,
            partition: letter.partition,
            offset: letter.offset,
            kind: letter.error.kind,
            message: letter.error.message,
            timestamp: letter.error.timestamp,
            attempt_count: letter.error.attempt_count,
            service: letter.metadata.service,
            consumer_group: letter.metadata.consumer_group,
            record_key: record_key.map(|key| String::from_utf8_lossy(&key).into_owned()),
            value_base64: letter.value,
            headers: letter.headers,
            decoded: decode(registry, &self.letter).await,
            replayed: self.is_replayed(),
            replays: self.replays.clone(),
        }
    }
}

/// Reads all dead letters that are there now.
///
/// # Errors
/// When the broker does not answer, or not within `deadline`.
pub async fn read(
    kafka: &KafkaConfig,
    inspector: &Inspector,
    deadline: Duration,
) -> anyhow::Result<Letters> {
    let deadline = Instant::now() + deadline;
    let watermarks = inspector.watermarks(&[DLQ_TOPIC]).await?;
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || read_blocking(&kafka, &watermarks, deadline))
        .await
        .context("failed to wait for the dead letters")?
}

fn read_blocking(
    kafka: &KafkaConfig,
    watermarks: &Watermarks,
    deadline: Instant,
) -> anyhow::Result<Letters> {
    let mut records = Vec::new();
    if watermarks.values().any(|(low, high)| low < high) {
        let reader = LogReader::new(kafka)?.until(deadline);
        for ((topic, partition), (low, high)) in watermarks {
            reader.read((topic, *partition), *low, *high, |message| {
                records.push(LogRecord::from(message));
                Ok(())
            })?;
        }
    }
    let mut letters = collect(&records);
    letters.truncated = watermarks.values().any(|(low, _)| *low > 0);
    Ok(letters)
}

fn collect(records: &[LogRecord]) -> Letters {
    let mut found: BTreeMap<String, Letter> = BTreeMap::new();
    let mut letters = Letters::default();
    for record in records {
        let place = format!("{DLQ_TOPIC} [{}] at {}", record.partition, record.offset);
        let value = record.value.as_deref().unwrap_or_default();
        let letter: DeadLetter = match serde_json::from_slice(value) {
            Ok(letter) => letter,
            Err(e) => {
                letters
                    .wrong
                    .push(format!("{place} is not a dead letter: {e}"));
                continue;
            }
        };
        let key = letter.key_string();
        if record.key.as_deref() != Some(key.as_bytes()) {
            let own = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
            let problem = format!("{place} has the key {own:?}, not {key:?}");
            letters.wrong.push(problem);
        }
        let is_replay = |(name, _): &&(String, String)| name == REPLAYED_TO;
        let replay = record
            .headers
            .iter()
            .find(is_replay)
            .map(|(_, to)| to.clone());
        match found.get_mut(&key) {
            // Retention may have left only the note of a replay: it holds the whole letter.
            None => {
                let letter = Letter {
                    key: key.clone(),
                    letter,
                    dlq_partition: record.partition,
                    dlq_offset: record.offset,
                    replays: replay.into_iter().collect(),
                };
                found.insert(key, letter);
            }
            Some(first) if original(&first.letter).ok() == original(&letter).ok() => match replay {
                Some(to) => first.replays.push(to),
                None => letters.copies += 1,
            },
            Some(_) => {
                let problem = format!("{place} contradicts another letter of {key}");
                letters.wrong.push(problem);
            }
        }
    }
    letters.letters = found.into_values().collect();
    let age = |letter: &Letter| (letter.letter.error.timestamp, letter.key.clone());
    letters.letters.sort_by_cached_key(age);
    letters
}

/// The record that a dead letter carries.
///
/// # Errors
/// When it is not base64.
pub fn original(letter: &DeadLetter) -> anyhow::Result<Original> {
    let decode = |text: &Option<String>| {
        let bytes = text.as_ref().map(|text| STANDARD.decode(text));
        bytes
            .transpose()
            .with_context(|| format!("the dead letter {} is not base64", letter.key_string()))
    };
    Ok(Original {
        key: decode(&letter.key)?,
        value: decode(&letter.value)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: i64, original_offset: i64, value: &str) -> LogRecord {
        let letter = serde_json::json!({
            "original_topic": "t", "partition": 0, "offset": original_offset,
            "key": null, "value": value, "headers": {},
            "error": { "type": "empty", "message": "m", "attempt_count": 1,
                "timestamp": format!("2026-01-01T00:00:{:02}Z", 30 - original_offset) },
            "metadata": { "service": "bancaire", "consumer_group": "bancaire" },
        });
        LogRecord {
            partition: 0,
            offset,
            key: Some(format!("t-0-{original_offset}").into_bytes()),
            value: Some(letter.to_string().into_bytes()),
            headers: Vec::new(),
            timestamp_ms: None,
        }
    }

    #[test]
    fn letters_of_one_key_are_one_and_come_oldest_first() {
        let mut not_a_letter = record(3, 9, "");
        not_a_letter.value = Some(b"{}".to_vec());
        let mut other_key = record(4, 8, "YQ==");
        other_key.key = None;
        let letters = collect(&[
            record(0, 1, "YQ=="),
            record(1, 2, ""),
            record(2, 1, "YQ=="),
            not_a_letter,
            other_key,
            record(5, 2, "YQ=="),
        ]);
        let keys: Vec<&str> = letters.letters.iter().map(|l| l.key.as_str()).collect();
        assert_eq!(keys, ["t-0-8", "t-0-2", "t-0-1"]);
        assert_eq!(letters.copies, 1);
        assert_eq!(letters.wrong.len(), 3, "{:?}", letters.wrong);
        let original = letters.letters[2].original().unwrap();
        assert_eq!(original.value.as_deref(), Some(&b"a"[..]));
        assert_eq!(original.key, None);
        assert!(!letters.get("t-0-1").unwrap().is_replayed());
    }

    #[test]
    fn a_replay_is_noted_beside_its_letter_and_is_no_copy() {
        let mut note = record(1, 1, "YQ==");
        note.headers.push((REPLAYED_TO.into(), "t-0-7".into()));
        let letters = collect(&[record(0, 1, "YQ=="), note.clone()]);
        assert_eq!(letters.letters[0].replays, ["t-0-7"]);
        assert_eq!((letters.copies, letters.wrong.len()), (0, 0));
        // Where retention left only the note.
        let letters = collect(&[note]);
        assert!(letters.letters[0].is_replayed());
    }
}
