//! A reader of topics without a group: it starts at the beginning or at the end of each partition
//! and hands over records one by one, decoded. The gateway's stream, tests and tools read so;
//! bancaire, whose offsets live in PostgreSQL and whose unit is a batch, has a consumer of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::Event;
use tokio_util::sync::CancellationToken;

use super::headers::{to_text, trace_context};
use super::{Backoff, EventDecoder, Failure};
use crate::config::KafkaConfig;

/// Where reading starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the first record that the log still has.
    Beginning,
    /// Behind the last record of the moment of [`EventConsumer::ready`].
    End,
}

/// One record with its place and what it says.
#[derive(Debug)]
pub struct Received {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// Header values as text; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The record's own time, milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The trace that the producer was in.
    pub trace: opentelemetry::Context,
    /// The event, or the poison that it is; `Transient` only at shutdown.
    pub event: Result<Event, Failure>,
}

/// Reads every partition of some topics.
pub struct EventConsumer {
    consumer: Arc<StreamConsumer>,
    decoder: EventDecoder,
    topics: Vec<String>,
    start: Start,
    assigned: bool,
}

impl EventConsumer {
    /// # Errors
    /// When the configuration cannot work. The broker need not be there yet.
    pub fn new(
        config: &KafkaConfig,
        decoder: EventDecoder,
        topics: &[&str],
        start: Start,
    ) -> anyhow::Result<Self> {
        anyhow::ensure!(
            !config.bootstrap_servers.trim().is_empty(),
            "kafka.bootstrap_servers is empty"
        );
        let consumer: StreamConsumer = super::client_config(config, "edalab-reader")
            .set("group.id", "edalab-reader")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .create()
            .context("failed to create a Kafka consumer")?;
        Ok(Self {
            consumer: Arc::new(consumer),
            decoder,
            topics: topics.iter().map(|t| (*t).to_owned()).collect(),
            start,
            assigned: false,
        })
    }

    /// Finds the partitions and where they end, so that every record produced after this returns
    /// is handed over.
    ///
    /// # Errors
    /// When the broker does not answer within five seconds.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        if self.assigned {
            return Ok(());
        }
        let (consumer, topics, start) = (self.consumer.clone(), self.topics.clone(), self.start);
        tokio::task::spawn_blocking(move || assign(&consumer, &topics, start))
            .await
            .context("failed to wait for the assignment")??;
        self.assigned = true;
        Ok(())
    }

    /// The next record; `None` at shutdown. Errors of the broker are waited out.
    pub async fn next(&mut self, shutdown: &CancellationToken) -> Option<Received> {
        self.next_wanted(shutdown, |_| true).await
    }

    /// The same, of the records that `wants` says yes to; it sees each once, in order. The others are
    /// neither copied nor decoded.
    pub async fn next_wanted(
        &mut self,
        shutdown: &CancellationToken,
        mut wants: impl FnMut(&BorrowedMessage<'_>) -> bool,
    ) -> Option<Received> {
        let mut backoff = Backoff::default();
        while let Err(error) = self.ready().await {
            tracing::warn!(error = format!("{error:#}"), "Waiting for Kafka");
            if !backoff.wait(shutdown).await {
                return None;
            }
        }
        loop {
            let message = tokio::select! {
                message = self.consumer.recv() => message,
                () = shutdown.cancelled() => return None,
            };
            match message {
                Ok(message) if !wants(&message) => {}
                Ok(message) => {
                    let event = self
                        .decode(message.topic(), message.payload(), shutdown)
                        .await;
                    return Some(Received {
                        topic: message.topic().to_owned(),
                        partition: message.partition(),
                        offset: message.offset(),
                        key: message.key().map(<[u8]>::to_vec),
                        value: message.payload().map(<[u8]>::to_vec),
                        headers: to_text(message.headers()),
                        timestamp_ms: message.timestamp().to_millis(),
                        trace: trace_context(message.headers()),
                        event,
                    });
                }
                Err(error) => {
                    tracing::warn!(error = %error, "Failed to read from Kafka");
                    if !backoff.wait(shutdown).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Waits for a registry that is away, for as long as it takes.
    async fn decode(
        &self,
        topic: &str,
        payload: Option<&[u8]>,
        shutdown: &CancellationToken,
    ) -> Result<Event, Failure> {
        let mut backoff = Backoff::default();
        loop {
            match self.decoder.decode(topic, payload).await {
                Err(Failure::Transient(reason)) => {
                    tracing::warn!(error = reason, "Waiting for the schema registry");
                    if !backoff.wait(shutdown).await {
                        return Err(Failure::Transient(reason));
                    }
                }
                outcome => return outcome,
            }
        }
    }
}

/// Looks up every partition's end and reads on from where `start` says.
fn assign(consumer: &StreamConsumer, topics: &[String], start: Start) -> anyhow::Result<()> {
    let timeout = Duration::from_secs(5);
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer
            .fetch_metadata(Some(topic), timeout)
            .with_context(|| format!("failed to ask the broker for {topic}"))?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let partitions = found.map(|found| found.partitions()).unwrap_or_default();
        // Without this a topic that is created a moment later would never be read.
        anyhow::ensure!(!partitions.is_empty(), "the topic {topic} is not there yet");
        for partition in partitions {
            let (low, high) = consumer
                .fetch_watermarks(topic, partition.id(), timeout)
                .with_context(|| format!("failed to ask for the end of {topic}"))?;
            let offset = match start {
                Start::Beginning => low,
                Start::End => high,
            };
            list.add_partition_offset(topic, partition.id(), Offset::Offset(offset))
                .context("failed to choose an offset")?;
        }
    }
    consumer
        .assign(&list)
        .context("failed to assign the partitions")
}
