//! From Kafka to the hub: reads every topic from its end on, decodes each record and gives it, as
//! one shared text, to the [`crate::websocket`] clients that asked for it.
//!
//! When the broker dies, librdkafka keeps the place in each partition and goes on from there: what
//! was produced meanwhile comes late, not never.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::config::KafkaConfig;
use chassis::kafka::consumer::{EventConsumer, Received, Start};
use chassis::kafka::headers::is_recorded;
use chassis::kafka::{Backoff, EventDecoder, Failure, Poison};
use chassis::metrics::MESSAGES_CONSUMED;
use chassis::registry::RegistryClient;
use chassis::telemetry;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use schemas::{DLQ_TOPIC, EventType};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::flow::Flow;
use crate::websocket::messages::{Content, DecodingError, Envelope, EventPayload, Frame, Text};
use crate::websocket::{Feed, Hub, TOPICS, topic_index};

/// A message above this is sent without its content, so that queues stay small whatever is on the
/// topics.
const MESSAGE_LIMIT: usize = 64 * 1024;
/// How often the broker is asked whether it is there.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Reads topics and feeds the hub.
pub struct Streamer {
    pub kafka: KafkaConfig,
    pub registry: RegistryClient,
    pub hub: Arc<Hub>,
    pub flow: Arc<Flow>,
}

impl Streamer {
    /// Runs until `shutdown`.
    ///
    /// # Errors
    /// When the configuration cannot work; a broker that is away is waited for.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let decoder = EventDecoder::new(self.registry.clone());
        let mut consumer = EventConsumer::new(&self.kafka, decoder, &TOPICS, Start::End)?;
        let mut backoff = Backoff::default();
        while let Err(error) = consumer.ready().await {
            tracing::warn!(error = format!("{error:#}"), "Waiting for Kafka");
            if !backoff.wait(&shutdown).await {
                return Ok(());
            }
        }
        self.hub.set_feed(Feed {
            ready: true,
            connected: true,
        });
        tracing::info!("Streaming");
        tokio::join!(self.stream(consumer, &shutdown), self.probe(&shutdown)).1
    }

    async fn stream(&self, mut consumer: EventConsumer, shutdown: &CancellationToken) {
        let consumed =
            TOPICS.map(|topic| MESSAGES_CONSUMED.with_label_values(&[crate::SERVICE, topic]));
        // All are counted; only those that a client or a trace asks for are worth decoding.
        let wants = |record: &BorrowedMessage<'_>| {
            let Some(topic) = topic_index(record.topic()) else {
                return false;
            };
            self.flow.saw(topic, Instant::now());
            consumed[topic].inc();
            self.hub.is_watched(topic) || is_recorded(record.headers())
        };
        while let Some(received) = consumer.next_wanted(shutdown, wants).await {
            let Some(topic) = topic_index(&received.topic) else {
                continue;
            };
            let span = span_of(&received);
            if self.hub.is_watched(topic) {
                let now_ms = chrono::Utc::now().timestamp_millis();
                let frame = Frame {
                    text: text(&received, now_ms),
                    delivery: (!span.is_none()).then(|| Arc::new(delivery(&span))),
                };
                let clients = self.hub.broadcast_to_topic(topic, &frame);
                span.in_scope(|| say(&received, clients));
            }
        }
    }

    /// Tells the hub when the broker goes and when it is back; librdkafka does not say the latter.
    async fn probe(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let client: BaseConsumer = chassis::kafka::client_config(&self.kafka, "edalab-probe")
            .create()
            .context("failed to create a Kafka client")?;
        let client = Arc::new(client);
        loop {
            let asked = Instant::now();
            let asking = client.clone();
            let answered = tokio::task::spawn_blocking(move || {
                // What librdkafka wants to report is not needed, but must not pile up.
                while asking.poll(Duration::ZERO).is_some() {}
                asking
                    .fetch_metadata(Some(DLQ_TOPIC), PROBE_TIMEOUT)
                    .is_ok()
            })
            .await
            .unwrap_or(false);
            self.hub.set_feed(Feed {
                ready: true,
                connected: answered,
            });
            tokio::select! {
                () = tokio::time::sleep(PROBE_INTERVAL.saturating_sub(asked.elapsed())) => {}
                () = shutdown.cancelled() => return Ok(()),
            }
        }
    }
}

/// The span of a record whose trace is recorded; none for most.
fn span_of(received: &Received) -> Span {
    if !telemetry::is_sampled(&received.trace) {
        return Span::none();
    }
    let topic = &received.topic;
    let span = tracing::info_span!(
        parent: None,
        "process",
        otel.name = format!("process {topic}"),
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.operation.name = "process",
        messaging.operation.r#type = "process",
        messaging.destination.name = topic,
        messaging.destination.partition.id = received.partition.to_string(),
        messaging.kafka.offset = received.offset,
        messaging.message.id = event_id(received),
        event.id = event_id(received),
    );
    telemetry::set_parent(&span, received.trace.clone());
    span
}

/// Lasts until the last client has been written to.
fn delivery(parent: &Span) -> Span {
    tracing::info_span!(
        parent: parent,
        "websocket send",
        otel.kind = "producer",
        messaging.system = "websocket",
        messaging.operation.name = "send",
        messaging.operation.r#type = "send",
        network.protocol.name = "websocket",
    )
}

fn say(received: &Received, clients: usize) {
    // Outside of a recorded trace nobody asks.
    if telemetry::is_sampled(&received.trace) {
        tracing::info!(
            event.id = event_id(received),
            kafka.topic = received.topic,
            kafka.partition = received.partition,
            kafka.offset = received.offset,
            clients,
            "Streamed an event"
        );
    }
}

fn event_id(received: &Received) -> Option<&str> {
    received.event.as_ref().ok().map(schemas::Event::event_id)
}

/// The message about one record.
fn text(received: &Received, now_ms: i64) -> Text {
    let text = message(received, now_ms, false);
    if text.len() > MESSAGE_LIMIT {
        return message(received, now_ms, true);
    }
    text
}

fn message(received: &Received, now_ms: i64, is_too_large: bool) -> Text {
    let (event, error) = if is_too_large {
        let message = format!("in JSON it is larger than {} KiB", MESSAGE_LIMIT / 1024);
        (None, Some(decoding_error("too_large", message)))
    } else {
        content(received)
    };
    let key = received.key.as_deref().map(|key| {
        let key = if is_too_large {
            &key[..key.len().min(100)]
        } else {
            key
        };
        String::from_utf8_lossy(key)
    });
    let event_type = EventType::from_topic(&received.topic).map_or("DeadLetter", EventType::name);
    let payload = EventPayload {
        event_type,
        event,
        partition: received.partition,
        offset: received.offset,
        key,
        // A producer's clock may be ahead of ours.
        latency_ms: received.timestamp_ms.map(|then| (now_ms - then).max(0)),
        size: received.value.as_ref().map_or(0, Vec::len),
        trace_id: trace_id(&received.headers),
        error,
    };
    Envelope::new("event", payload).on(&received.topic).text()
}

fn content(received: &Received) -> (Option<Content<'_>>, Option<DecodingError>) {
    if received.topic == DLQ_TOPIC {
        let value = received.value.as_deref().unwrap_or_default();
        return match serde_json::from_slice::<&RawValue>(value) {
            Ok(json) => (Some(Content::Json(json)), None),
            Err(e) => (None, Some(decoding_error("not_json", e.to_string()))),
        };
    }
    match &received.event {
        Ok(event) => (Some(Content::Event(event)), None),
        Err(Failure::Poison(Poison { kind, message })) => {
            (None, Some(decoding_error(kind, message.clone())))
        }
        Err(Failure::Transient(reason)) => {
            (None, Some(decoding_error("transient", reason.clone())))
        }
    }
}

fn decoding_error(kind: &str, message: String) -> DecodingError {
    DecodingError {
        kind: kind.to_owned(),
        message,
    }
}

/// From `traceparent`, `00-<trace id>-<span id>-<flags>`.
pub fn trace_id(headers: &[(String, String)]) -> Option<&str> {
    let (_, parent) = headers.iter().find(|(name, _)| name == "traceparent")?;
    let id = parent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn received(
        topic: &str,
        value: Option<&[u8]>,
        event: Result<schemas::Event, Failure>,
    ) -> Received {
        Received {
            topic: topic.into(),
            partition: 1,
            offset: 42,
            key: Some(b"k\xff".to_vec()),
            value: value.map(<[u8]>::to_vec),
            headers: vec![(
                "traceparent".into(),
                "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01".into(),
            )],
            timestamp_ms: Some(1_000),
            trace: Default::default(),
            event,
        }
    }

    fn json(received: &Received) -> Value {
        serde_json::from_str(&text(received, 1_007)).unwrap()
    }

    #[test]
    fn an_event_has_its_place_and_its_content() {
        let event = schemas::Event::from_json(
            EventType::CompteFerme,
            serde_json::json!({
                "event_id": "e", "timestamp": "2026-01-02T03:04:05Z", "compte_id": "c",
                "client_id": "d", "motif": "m", "metadata": null,
            }),
        )
        .unwrap();
        let topic = EventType::CompteFerme.topic();
        let json = json(&received(topic, Some(b"12345678"), Ok(event)));
        assert_eq!(
            (json["type"].as_str(), json["topic"].as_str()),
            (Some("event"), Some(topic))
        );
        let payload = &json["payload"];
        assert_eq!(payload["event_type"], "CompteFerme");
        assert_eq!(payload["event"]["compte_id"], "c");
        assert_eq!(
            (payload["partition"].as_i64(), payload["offset"].as_i64()),
            (Some(1), Some(42))
        );
        assert_eq!(payload["key"], "k\u{fffd}");
        assert_eq!(
            (payload["latency_ms"].as_i64(), payload["size"].as_i64()),
            (Some(7), Some(8))
        );
        assert_eq!(payload["trace_id"], "0123456789abcdef0123456789abcdef");
        assert!(payload.get("error").is_none());
    }

    #[test]
    fn poison_is_shown_as_what_it_is() {
        let poison = Poison::new("tombstone", "the record has no value");
        let json = json(&received(
            EventType::CompteFerme.topic(),
            None,
            Err(poison.into()),
        ));
        assert_eq!(json["payload"]["event"], Value::Null);
        assert_eq!(json["payload"]["error"]["kind"], "tombstone");
    }

    #[test]
    fn a_dead_letter_is_its_json_and_garbage_is_said_to_be() {
        let wrong = || Err(Poison::new("wrong_schema", "no event has the topic").into());
        let letter = json(&received(DLQ_TOPIC, Some(b"{\"offset\": 7}"), wrong()));
        assert_eq!(letter["payload"]["event_type"], "DeadLetter");
        assert_eq!(letter["payload"]["event"]["offset"], 7);
        assert!(letter["payload"].get("error").is_none());
        let garbage = json(&received(DLQ_TOPIC, Some(b"{\"offset\""), wrong()));
        assert_eq!(garbage["payload"]["error"]["kind"], "not_json");
    }

    #[test]
    fn what_is_too_large_is_sent_without_its_content() {
        let value = format!("\"{}\"", "x".repeat(MESSAGE_LIMIT));
        let poison = Poison::new("wrong_schema", "");
        let json = json(&received(
            DLQ_TOPIC,
            Some(value.as_bytes()),
            Err(poison.into()),
        ));
        assert_eq!(json["payload"]["error"]["kind"], "too_large");
        assert_eq!(json["payload"]["size"], value.len());
    }

    #[test]
    fn only_a_real_traceparent_gives_a_trace() {
        for bad in [
            "",
            "00",
            "00-xyz-1-01",
            "00-0123456789ABCDEF0123456789abcdeg-1-01",
        ] {
            let headers = [("traceparent".to_owned(), bad.to_owned())];
            assert_eq!(trace_id(&headers), None, "{bad}");
        }
    }
}
