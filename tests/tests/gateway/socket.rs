//! A WebSocket client for tests.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tests::{Lab, http};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// Nothing that is waited for takes longer.
const DEADLINE: Duration = Duration::from_secs(60);

pub struct Socket(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub async fn open(url: &str) -> Self {
        Self(
            tokio_tungstenite::connect_async(url)
                .await
                .expect("it connects")
                .0,
        )
    }

    /// Opens one, subscribes to `topics`, and waits until that is confirmed.
    pub async fn watch(url: &str, topics: &[&str]) -> Self {
        let mut socket = Self::open(url).await;
        socket
            .say(json!({"action": "subscribe", "topics": topics}))
            .await;
        let asked_for = if topics == ["*"] { 8 } else { topics.len() };
        let confirmed = |message: &Value| {
            let topics = message["payload"]["topics"].as_array();
            message["type"] == "status" && topics.is_some_and(|topics| topics.len() == asked_for)
        };
        while !confirmed(&socket.hear().await) {}
        socket
    }

    pub async fn say(&mut self, message: Value) {
        let text = Message::text(message.to_string());
        self.0.send(text).await.expect("the gateway listens");
    }

    async fn next(&mut self) -> Message {
        let next = tokio::time::timeout(DEADLINE, self.0.next()).await;
        next.expect("something comes within a minute")
            .expect("the socket is open")
            .expect("no error")
    }

    /// The next message, whatever its type.
    pub async fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.next().await {
                return serde_json::from_str(&text).expect("each message is JSON");
            }
        }
    }

    /// The next message of a type.
    pub async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }

    /// Waits for the event of an id; others go by.
    pub async fn event(&mut self, event_id: &str) -> Value {
        loop {
            let message = self.hear_of("event").await;
            if message["payload"]["event"]["event_id"] == event_id {
                return message;
            }
        }
    }

    pub async fn closing(&mut self) -> Option<CloseFrame> {
        loop {
            if let Message::Close(frame) = self.next().await {
                return frame;
            }
        }
    }
}

/// Produces events through the gateway and gives their ids.
pub async fn produce(lab: &Lab, event_type: &str, count: usize) -> Vec<String> {
    let url = format!("{}/api/v1/events/produce", lab.gateway_url());
    let body = json!({"event_type": event_type, "count": count});
    let response = http()
        .post(url)
        .json(&body)
        .send()
        .await
        .expect("the gateway answers");
    let status = response.status();
    let answer: Value = response.json().await.expect("the answer is JSON");
    assert_eq!(status, 200, "{answer}");
    let ids = answer["event_ids"].as_array().expect("event_ids").iter();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// A GET whose answer is JSON.
pub async fn get(lab: &Lab, path: &str) -> (u16, Value) {
    let url = format!("{}{path}", lab.gateway_url());
    let response = http().get(url).send().await.expect("the gateway answers");
    let status = response.status().as_u16();
    (status, response.json().await.expect("the answer is JSON"))
}
