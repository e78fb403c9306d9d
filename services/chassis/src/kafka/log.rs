//! The broker's own word: the records of a partition, read back in offset order.
//!
//! Unlike the [`consumer`](super::consumer), which goes on for ever, this reads from one offset to
//! another and is done. Dead letters are read so, and the logs when `xtask verify` judges them.

use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::client_config;
use super::headers::to_text;
use crate::config::KafkaConfig;

/// A broker that gives nothing for this long has stopped answering.
const PATIENCE: Duration = Duration::from_secs(15);

/// Reads without a group and commits nothing. Every call blocks.
pub struct LogReader {
    consumer: BaseConsumer,
    deadline: Option<Instant>,
}

/// A record with everything that it consists of.
#[derive(Debug, Clone)]
pub struct LogRecord {
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, String)>,
    pub timestamp_ms: Option<i64>,
}

impl From<&BorrowedMessage<'_>> for LogRecord {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: to_text(message.headers()),
            timestamp_ms: message.timestamp().to_millis(),
        }
    }
}

impl LogReader {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        let consumer = client_config(kafka, "edalab-log-reader")
            .set("group.id", "edalab-log-reader")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            // A fetch that waits at the end of one partition would hold up the next one's.
            .set("fetch.wait.max.ms", "10")
            .create()
            .context("failed to create a Kafka consumer")?;
        Ok(Self {
            consumer,
            deadline: None,
        })
    }

    /// Gives up at `deadline`, whether the broker gives something or not.
    pub fn until(self, deadline: Instant) -> Self {
        Self {
            deadline: Some(deadline),
            ..self
        }
    }

    /// Hands every record from `from` to before `to` to `each`, in order. Offsets without a record
    /// are passed over.
    ///
    /// # Errors
    /// What `each` returns, or when the broker does not give the records.
    pub fn read(
        &self,
        (topic, partition): (&str, i32),
        from: i64,
        to: i64,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if from >= to {
            return Ok(());
        }
        let failed = || format!("failed to read {topic} [{partition}]");
        // Otherwise the client learns of a topic that is new to it only once a second.
        self.consumer
            .fetch_metadata(Some(topic), PATIENCE)
            .with_context(failed)?;
        let mut at = TopicPartitionList::new();
        at.add_partition_offset(topic, partition, Offset::Offset(from))
            .with_context(failed)?;
        self.consumer.assign(&at).with_context(failed)?;
        let mut progress = Instant::now();
        let mut ended_at: Option<Instant> = None;
        loop {
            // Only when the last offsets hold no record: otherwise the last record ends it.
            if ended_at.is_some_and(|at| at.elapsed() > Duration::from_millis(500)) {
                break;
            }
            match self.consumer.poll(Duration::from_millis(200)) {
                // A late one of the partition that was read before.
                Some(Ok(message))
                    if message.topic() != topic || message.partition() != partition => {}
                Some(Ok(message)) => {
                    if message.offset() >= to {
                        break;
                    }
                    each(&message)?;
                    if message.offset() + 1 >= to {
                        break;
                    }
                    progress = Instant::now();
                    ended_at = None;
                }
                // It does not say of which topic, and may be of the one that was read before.
                Some(Err(KafkaError::PartitionEOF(ended))) if ended == partition => {
                    ended_at = Some(Instant::now());
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                // librdkafka goes on by itself; the broker may be starting again.
                Some(Err(e)) if progress.elapsed() > PATIENCE => {
                    return Err(e).with_context(failed);
                }
                Some(Err(_)) => {}
            }
            anyhow::ensure!(
                self.deadline
                    .is_none_or(|deadline| Instant::now() < deadline),
                "{}: it takes too long",
                failed()
            );
            anyhow::ensure!(
                progress.elapsed() < PATIENCE,
                "{}: the broker gave nothing for {} s",
                failed(),
                PATIENCE.as_secs()
            );
        }
        self.consumer.unassign().with_context(failed)
    }
}
