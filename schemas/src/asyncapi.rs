//! The AsyncAPI 3.0 document of topics and schemas, for people and tools that ask what travels.
//!
//! It is made from the catalogue and the `.avsc` files, committed as `docs/asyncapi.json`, and a
//! test refuses a committed copy that differs (`UPDATE=1` rewrites it).

use serde_json::{Map, Value, json};

use crate::{DLQ_MESSAGE_MAX_BYTES, DLQ_TOPIC, EventType, TopicSpec, catalogue};

const DEAD_LETTER: &str = "DeadLetter";

/// The document.
pub fn asyncapi() -> Value {
    let topics = catalogue();
    let channels: Map<String, Value> = topics
        .iter()
        .map(|topic| (topic.name.to_owned(), channel(topic)))
        .collect();
    let operations: Map<String, Value> = topics.iter().flat_map(operations).collect();
    let mut messages: Map<String, Value> = EventType::ALL
        .into_iter()
        .map(|t| (t.name().to_owned(), event_message(t)))
        .collect();
    messages.insert(DEAD_LETTER.to_owned(), dead_letter_message());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "EDA-Lab",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events of the bank: the simulator publishes them, bancaire books \
                them and answers transfers, the gateway streams them to the page.",
            "license": { "name": "MIT" }
        },
        "defaultContentType": "application/vnd.apache.avro+binary",
        "servers": {
            "lab": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "The broker that `cargo xtask up` starts.",
                "bindings": {
                    "kafka": {
                        "schemaRegistryUrl": "http://127.0.0.1:8081",
                        "schemaRegistryVendor": "confluent",
                        "bindingVersion": "0.5.0"
                    }
                }
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": { "EventHeaders": event_headers(), "DeadLetter": dead_letter() }
        }
    })
}

fn message_name(topic: &TopicSpec) -> &'static str {
    EventType::from_topic(topic.name).map_or(DEAD_LETTER, EventType::name)
}

fn channel(topic: &TopicSpec) -> Value {
    let name = message_name(topic);
    let mut configuration = Map::new();
    if let Some(retention_ms) = topic.retention_ms {
        configuration.insert("retention.ms".into(), json!(retention_ms));
    }
    if topic.name == DLQ_TOPIC {
        let largest = json!(DLQ_MESSAGE_MAX_BYTES);
        configuration.insert("max.message.bytes".into(), largest);
    }
    json!({
        "address": topic.name,
        "messages": { name: { "$ref": format!("#/components/messages/{name}") } },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": configuration,
                "bindingVersion": "0.5.0"
            }
        }
    })
}

/// Who writes and who reads a topic.
fn operations(topic: &TopicSpec) -> [(String, Value); 2] {
    let name = message_name(topic);
    let (sender, receiver) = match EventType::from_topic(topic.name) {
        None => (
            "bancaire, through its outbox",
            "people, with `cargo xtask dlq`",
        ),
        Some(EventType::VirementRecu) => {
            ("bancaire, through its outbox", "bancaire and the gateway")
        }
        Some(_) => ("the simulator", "bancaire and the gateway"),
    };
    ["send", "receive"].map(|action| {
        let summary = match action {
            "send" => format!("Sent by {sender}."),
            _ => format!("Received by {receiver}."),
        };
        let pointer = topic.name.replace('~', "~0").replace('/', "~1");
        let operation = json!({
            "action": action,
            "channel": { "$ref": format!("#/channels/{pointer}") },
            "summary": summary,
            "messages": [{ "$ref": format!("#/channels/{pointer}/messages/{name}") }]
        });
        (format!("{action}{name}"), operation)
    })
}

fn event_message(event_type: EventType) -> Value {
    let schema: Value = serde_json::from_str(event_type.schema_json())
        .expect("the build refuses a schema that is not JSON");
    json!({
        "name": event_type.name(),
        "title": event_type.name(),
        "summary": schema["doc"],
        "headers": { "$ref": "#/components/schemas/EventHeaders" },
        "payload": {
            "schemaFormat": "application/vnd.apache.avro+json;version=1.9.0",
            "schema": schema
        },
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "description": format!("The account concerned: {}.", event_type.key_field())
                },
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "confluent",
                "schemaLookupStrategy": "TopicNameStrategy",
                "bindingVersion": "0.5.0"
            }
        }
    })
}

fn dead_letter_message() -> Value {
    json!({
        "name": DEAD_LETTER,
        "title": DEAD_LETTER,
        "summary": "A record that cannot be processed, whole, with the reason",
        "contentType": "application/json",
        "payload": { "$ref": "#/components/schemas/DeadLetter" },
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "description": "topic-partition-offset of the refused record."
                },
                "bindingVersion": "0.5.0"
            }
        }
    })
}

fn event_headers() -> Value {
    json!({
        "type": "object",
        "description": "The W3C trace context, and CloudEvents in binary mode.",
        "required": ["ce_id", "ce_type", "ce_source", "ce_specversion", "ce_time"],
        "properties": {
            "traceparent": { "type": "string" },
            "tracestate": { "type": "string" },
            "ce_id": { "type": "string", "description": "The event_id." },
            "ce_type": { "type": "string", "description": "The full name of the Avro record." },
            "ce_source": { "type": "string", "description": "/edalab/ and the service's name." },
            "ce_specversion": { "type": "string", "const": "1.0" },
            "ce_time": { "type": "string", "format": "date-time" }
        }
    })
}

fn dead_letter() -> Value {
    let text = json!({ "type": "string" });
    let base64 = json!({ "type": ["string", "null"], "contentEncoding": "base64" });
    json!({
        "type": "object",
        "required": [
            "original_topic", "partition", "offset", "key", "value", "headers", "error", "metadata"
        ],
        "properties": {
            "original_topic": text,
            "partition": { "type": "integer", "minimum": 0 },
            "offset": { "type": "integer", "minimum": 0 },
            "key": base64,
            "value": base64,
            "headers": { "type": "object", "additionalProperties": text },
            "error": {
                "type": "object",
                "required": ["type", "message", "timestamp", "attempt_count"],
                "properties": {
                    "type": text,
                    "message": text,
                    "timestamp": { "type": "string", "format": "date-time" },
                    "attempt_count": { "type": "integer", "minimum": 1 }
                }
            },
            "metadata": {
                "type": "object",
                "required": ["service", "consumer_group"],
                "properties": { "service": text, "consumer_group": text }
            }
        }
    })
}

#[cfg(test)]
mod tests;
