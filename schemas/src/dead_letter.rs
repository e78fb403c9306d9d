//! What is published on `system.dlq` for a record that cannot be processed: JSON.
//!
//! bancaire writes it with the batch that met the record; `cargo xtask dlq` lists it, shows it and
//! publishes it again. The original bytes travel along, so that nothing is lost by refusing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A refused record, whole, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub original_topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The record's key in base64; `None` when it had none.
    pub key: Option<String>,
    /// The record's value in base64; `None` for a tombstone.
    pub value: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub error: DeadLetterError,
    pub metadata: DeadLetterMetadata,
}

/// Why the record was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterError {
    /// A word for programs, such as `bad_magic`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    pub timestamp: DateTime<Utc>,
    /// 1 for poison, which is not tried again.
    pub attempt_count: u32,
}

/// Who refused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterMetadata {
    pub service: String,
    pub consumer_group: String,
}

impl DeadLetter {
    /// The key under which it is published, `topic-partition-offset`: a second copy of the same
    /// dead letter (the relay is at-least-once) has the same key.
    pub fn key_string(&self) -> String {
        format!("{}-{}-{}", self.original_topic, self.partition, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_has_the_documented_fields() {
        let json = json!({
            "original_topic": "bancaire.depot.effectue",
            "partition": 2,
            "offset": 41,
            "key": "YQ==",
            "value": null,
            "headers": { "ce_id": "7" },
            "error": {
                "type": "tombstone",
                "message": "the record has no value",
                "timestamp": "2026-01-02T03:04:05Z",
                "attempt_count": 1
            },
            "metadata": { "service": "bancaire", "consumer_group": "bancaire" }
        });
        let letter: DeadLetter = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(letter.key_string(), "bancaire.depot.effectue-2-41");
        assert_eq!(letter.error.kind, "tombstone");
        assert_eq!(serde_json::to_value(&letter).unwrap(), json);
    }
}
