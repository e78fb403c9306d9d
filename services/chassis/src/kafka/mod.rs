//! Everything that talks to Kafka, in the order of an event's way: [`headers`] are put on it,
//! the [`producer`] publishes it, the [`decoder`] reads it back; [`admin`] asks about the logs,
//! [`groups`] about their readers, and [`log`] reads a part of one. A [`journal`] is what a
//! producer believes, for verdicts.

pub mod admin;
pub mod consumer;
pub mod decoder;
pub mod groups;
pub mod headers;
pub mod journal;
pub mod log;
pub mod producer;
mod sending;

use std::time::Duration;

pub use decoder::{Decoded, EventDecoder};
pub use headers::{event_headers, event_headers_in};
pub use producer::{Delivered, EventProducer, ProduceError, RawRecord, producer_config};
use rdkafka::ClientConfig;
use tokio_util::sync::CancellationToken;

use crate::config::KafkaConfig;

/// What every client of the lab has in common.
pub fn client_config(config: &KafkaConfig, client_id: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("client.id", client_id)
        // The lab's broker restarts in seconds; the default backoff of up to 10 s would hide that.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "10000")
        .set("broker.address.family", "v4")
        .set("log.connection.close", "false");
    for (name, value) in config.security.properties() {
        client.set(name, value);
    }
    client
}

/// Why a record could not be dealt with: the policy lives in the type.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// Try again, for as long as it takes; nothing is skipped.
    #[error("{0}")]
    Transient(String),
    /// It will never work: one dead letter, then move on.
    #[error(transparent)]
    Poison(#[from] Poison),
}

/// A record that no retry can mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct Poison {
    /// `tombstone`, `empty`, `bad_magic`, `too_short`, `unknown_schema_id`, `wrong_schema`,
    /// `undecodable`, `invalid_field` or `conflicting_event_id`.
    pub kind: &'static str,
    pub message: String,
}

impl Poison {
    pub fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// Exponential backoff with full jitter, from 50 ms to 5 s.
#[derive(Debug, Default)]
pub struct Backoff {
    attempt: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const LAST: Duration = Duration::from_secs(5);

    /// The next delay: random between half of and the whole of the doubled bound.
    pub fn next_delay(&mut self) -> Duration {
        let bound = Self::FIRST
            .saturating_mul(1 << self.attempt.min(10))
            .min(Self::LAST);
        self.attempt += 1;
        // A UUID's bits are random enough to keep retries apart.
        let jitter = uuid::Uuid::new_v4().as_u64_pair().0 as f64 / u64::MAX as f64;
        bound.mul_f64(0.5 + jitter / 2.0)
    }

    /// Back to the first delay, after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    /// Waits the next delay; false when `shutdown` came first.
    pub async fn wait(&mut self, shutdown: &CancellationToken) -> bool {
        let delay = self.next_delay();
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = shutdown.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_its_bound_and_starts_again() {
        let mut backoff = Backoff::default();
        let first = backoff.next_delay();
        assert!(first >= Duration::from_millis(25) && first <= Duration::from_millis(50));
        let last = (0..20).map(|_| backoff.next_delay()).last().unwrap();
        assert!(last >= Duration::from_millis(2500) && last <= Duration::from_secs(5));
        backoff.reset();
        assert!(backoff.next_delay() <= Duration::from_millis(50));
    }
}
