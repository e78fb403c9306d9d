//! What is said over a WebSocket: JSON text frames, one message each.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize, Serializer};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tracing::Span;

/// A frame's text, serialised once and shared by all clients that get it.
pub type Text = Utf8Bytes;

/// A message on its way to clients: its text, and the span that ends when the last of them has been
/// written to. Few messages have one.
#[derive(Debug, Clone)]
pub struct Frame {
    pub text: Text,
    pub delivery: Option<Arc<Span>>,
}

impl From<Text> for Frame {
    fn from(text: Text) -> Self {
        Self {
            text,
            delivery: None,
        }
    }
}

/// What a client may say.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientMessage {
    pub action: Action,
    /// Names of topics; `*` is all of them.
    pub topics: Vec<String>,
    /// Events per second and topic; above it the gateway sends samples. Without it, every event.
    #[serde(default)]
    pub max_rate: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ClientAction)]
pub enum Action {
    Subscribe,
    Unsubscribe,
}

/// What the gateway says.
#[derive(Debug, Serialize)]
pub struct Envelope<'a, P> {
    /// `status`, `event`, `stats`, `lagged` or `error`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Of an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<&'a str>,
    /// When the gateway said it.
    #[serde(serialize_with = "milliseconds")]
    pub timestamp: DateTime<Utc>,
    pub payload: P,
}

impl<'a, P: Serialize> Envelope<'a, P> {
    pub fn new(kind: &'static str, payload: P) -> Self {
        Self {
            kind,
            topic: None,
            timestamp: Utc::now(),
            payload,
        }
    }

    #[must_use]
    pub fn on(mut self, topic: &'a str) -> Self {
        self.topic = Some(topic);
        self
    }

    pub fn text(&self) -> Text {
        let text = serde_json::to_string(self).expect("messages are serialisable");
        Text::from(text)
    }
}

fn milliseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// Payload of `status`: after the connection, after each change of subscription, and when the
/// stream from Kafka breaks or comes back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatusPayload {
    /// Subscribed now. Events produced after this message will come.
    pub topics: Vec<&'static str>,
    /// True while Kafka answers.
    pub connected: bool,
    /// WebSocket clients now.
    pub clients: usize,
}

/// Payload of `event`: one record.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventPayload<'a> {
    /// Such as `CompteOuvert`; `DeadLetter` on `system.dlq`.
    pub event_type: &'static str,
    /// The decoded event, or the dead letter; `null` when it cannot be decoded.
    #[schema(value_type = Option<Object>)]
    pub event: Option<Content<'a>>,
    pub partition: i32,
    pub offset: i64,
    /// Bytes that are not UTF-8 are replaced.
    pub key: Option<std::borrow::Cow<'a, str>>,
    /// From the record's own time until the gateway sent it; `null` when it has none.
    pub latency_ms: Option<i64>,
    /// Of the value, in bytes.
    pub size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<DecodingError>,
}

/// A record's content in JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Content<'a> {
    Event(&'a schemas::Event),
    Json(&'a serde_json::value::RawValue),
}

/// Why a record could not be decoded.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct DecodingError {
    /// A word for programs, such as `bad_magic`.
    pub kind: String,
    pub message: String,
}

/// Payload of `stats`.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatsPayload {
    pub topics: BTreeMap<&'static str, TopicStats>,
}

#[derive(Debug, Clone, Copy, Serialize, utoipa::ToSchema)]
pub struct TopicStats {
    /// Records since the gateway started.
    pub count: u64,
    /// Per second, over the last two seconds.
    pub rate: f64,
    /// Events that this client's `max_rate` left out.
    pub sampled_out: u64,
}

/// Payload of `lagged`: so many messages were skipped here, because the client read too slowly.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LaggedPayload {
    pub skipped: u64,
}

/// Payload of `error`: what the client said wrong; the socket stays open.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ErrorPayload {
    pub detail: String,
}

pub fn lagged(skipped: u64) -> Text {
    Envelope::new("lagged", LaggedPayload { skipped }).text()
}

pub fn error(detail: impl Into<String>) -> Text {
    let detail = detail.into();
    Envelope::new("error", ErrorPayload { detail }).text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_type_its_time_and_its_payload() {
        let json: serde_json::Value = serde_json::from_str(&lagged(7)).unwrap();
        assert_eq!(json["type"], "lagged");
        assert_eq!(json["payload"]["skipped"], 7);
        assert_eq!(
            json["timestamp"].as_str().unwrap().len(),
            "2026-01-02T03:04:05.678Z".len()
        );
        assert!(json.get("topic").is_none());
    }

    #[test]
    fn what_clients_say_is_read_strictly() {
        let read = |text: &str| serde_json::from_str::<ClientMessage>(text);
        let message = read(r#"{"action":"subscribe","topics":["*"],"max_rate":50}"#).unwrap();
        assert_eq!(
            (message.action, message.max_rate),
            (Action::Subscribe, Some(50))
        );
        for bad in [
            r#"{"action":"shout","topics":[]}"#,
            r#"{"action":"subscribe"}"#,
            r#"{"action":"subscribe","topics":["*"],"max_rate":-1}"#,
            r#"{"action":"subscribe","topics":["*"],"rate":1}"#,
            "[]",
            "",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
