//! Browsers that watch: a [`hub`] that gives each record to the clients that asked for its topic,
//! a bounded queue for each [`client`], and a [`session`] that moves frames between that queue and
//! the socket. [`upgrade`] is the door, [`messages`] is what is said.
//!
//! [`crate::streaming`] feeds the hub. A client that reads too slowly costs the others nothing.

pub mod client;
pub mod hub;
pub mod messages;
pub mod session;
pub mod upgrade;

use std::time::Duration;

use schemas::{DLQ_TOPIC, EventType};

pub use hub::{Feed, Hub};

/// Where WebSockets are opened.
pub const PATH: &str = "/ws";

/// The topics that can be subscribed to, in the order of their indexes.
pub const TOPICS: [&str; EventType::ALL.len() + 1] = {
    let mut topics = [DLQ_TOPIC; EventType::ALL.len() + 1];
    let mut i = 0;
    while i < EventType::ALL.len() {
        topics[i] = EventType::ALL[i].topic();
        i += 1;
    }
    topics
};

/// The position of a topic in [`TOPICS`].
pub fn topic_index(topic: &str) -> Option<usize> {
    TOPICS.iter().position(|known| *known == topic)
}

/// Bounds of the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Clients at once.
    pub max_clients: usize,
    /// Messages that wait for one client. Enough for a burst of a few seconds; they are shared
    /// between the clients, so that it costs a pointer each.
    pub queue: usize,
    /// How long a client may lag before it is disconnected.
    pub lag_patience: Duration,
    /// How often a client is pinged.
    pub ping: Duration,
    /// A client of which nothing, not even a pong, came for so long is gone.
    pub idle: Duration,
    /// The largest frame or message that is read, in bytes.
    pub message_limit: usize,
    /// How much may wait in one socket's own buffer, in bytes.
    pub write_buffer: usize,
    /// How often counts are sent.
    pub stats: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_clients: 2000,
            queue: 4096,
            lag_patience: Duration::from_secs(10),
            ping: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            message_limit: 64 * 1024,
            write_buffer: 1024 * 1024,
            stats: Duration::from_millis(250),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_the_catalogue_can_be_subscribed_to() {
        let catalogue: Vec<&str> = schemas::catalogue().iter().map(|spec| spec.name).collect();
        assert_eq!(catalogue, TOPICS);
        assert_eq!(topic_index("system.dlq"), Some(TOPICS.len() - 1));
        assert_eq!(topic_index("nope"), None);
    }
}
