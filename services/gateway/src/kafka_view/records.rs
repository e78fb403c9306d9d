//! One record of a topic, whole: its bytes, what the wire format says of them, and the event.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chassis::config::KafkaConfig;
use chassis::http::Problem;
use chassis::kafka::log::{LogReader, LogRecord};
use chassis::kafka::{EventDecoder, Failure};
use chassis::registry::RegistryClient;
use chrono::{DateTime, Utc};
use schemas::{DLQ_TOPIC, wire};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Cluster, KafkaView};
use crate::websocket::messages::DecodingError;
use crate::websocket::topic_index;

/// How long the broker may take to give a record.
const TIMEOUT: Duration = Duration::from_secs(4);
/// Each reader is a Kafka client of its own for as long as it reads.
const READERS: usize = 2;

/// A record.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Record {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// The record's own time.
    pub timestamp: Option<DateTime<Utc>>,
    /// Bytes that are not UTF-8 are replaced.
    pub key: Option<String>,
    pub headers: BTreeMap<String, String>,
    /// `null` for a tombstone.
    pub value_base64: Option<String>,
    /// Of the value, in bytes.
    pub size: usize,
    /// From the wire format's header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_id: Option<u32>,
    /// The writer's schema, as it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Value>,
    /// The event, or the dead letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub event: Option<Value>,
    /// Why there is no event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<DecodingError>,
}

/// Low and high of a partition.
fn ends(cluster: &Cluster, topic: &str, partition: i32) -> Option<(i64, i64)> {
    let topic = cluster.topics.iter().find(|found| found.name == topic)?;
    let found = topic
        .partitions
        .iter()
        .find(|found| found.id == partition)?;
    Some((found.low, found.high))
}

/// Reads single records.
pub struct Records {
    kafka: KafkaConfig,
    registry: RegistryClient,
    registry_url: String,
    decoder: EventDecoder,
    readers: Semaphore,
}

impl Records {
    pub fn new(kafka: &KafkaConfig, registry: RegistryClient, registry_url: &str) -> Self {
        Self {
            kafka: kafka.clone(),
            decoder: EventDecoder::new(registry.clone()),
            registry,
            registry_url: registry_url.to_owned(),
            readers: Semaphore::new(READERS),
        }
    }

    /// The record at a place.
    ///
    /// # Errors
    /// 404 when there is none, 503 when the broker does not give it.
    pub async fn read(
        &self,
        view: &KafkaView,
        (topic, partition, offset): (&str, i32, i64),
    ) -> Result<Record, Problem> {
        let absent = |why: String| Err(Problem::not_found(why));
        if topic_index(topic).is_none() {
            return absent(format!("There is no topic {topic:?}."));
        }
        let away = |e: anyhow::Error| {
            tracing::warn!(error = format!("{e:#}"), "Failed to read a record");
            Problem::unavailable("The broker does not answer at the moment; try again.")
        };
        let mut found = ends(
            view.cluster().await.map_err(away)?.as_ref(),
            topic,
            partition,
        );
        if found.is_some_and(|(_, high)| offset >= high) {
            // A record may have come since the ends were asked for.
            found = ends(
                view.cluster_now().await.map_err(away)?.as_ref(),
                topic,
                partition,
            );
        }
        let Some((low, high)) = found else {
            return absent(format!("{topic} has no partition {partition}."));
        };
        if !(low..high).contains(&offset) {
            return absent(format!(
                "{topic} [{partition}] has no record at {offset}: it begins at {low} and ends \
                 before {high}."
            ));
        }
        let record = self.fetch(topic, partition, offset).await.map_err(away)?;
        match record {
            Some(record) => Ok(self.explain(topic, record).await),
            None => absent(format!("{topic} [{partition}] has no record at {offset}.")),
        }
    }

    async fn fetch(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> anyhow::Result<Option<LogRecord>> {
        let _reader = self.readers.acquire().await.context("failed to wait")?;
        let (kafka, topic) = (self.kafka.clone(), topic.to_owned());
        let read = move || {
            let reader = LogReader::new(&kafka)?.until(Instant::now() + TIMEOUT);
            let mut record = None;
            reader.read((&topic, partition), offset, offset + 1, |message| {
                record = Some(LogRecord::from(message));
                Ok(())
            })?;
            Ok(record)
        };
        tokio::task::spawn_blocking(read)
            .await
            .context("failed to wait for the record")?
    }

    async fn explain(&self, topic: &str, record: LogRecord) -> Record {
        let value = record.value.as_deref();
        let schema_id = value
            .filter(|_| topic != DLQ_TOPIC)
            .and_then(|value| wire::parse(value).ok())
            .map(|(id, _)| id);
        let (event, error) = match self.decode(topic, value).await {
            Ok(event) => (Some(event), None),
            Err(error) => (None, Some(error)),
        };
        Record {
            topic: topic.to_owned(),
            partition: record.partition,
            offset: record.offset,
            timestamp: record
                .timestamp_ms
                .and_then(DateTime::from_timestamp_millis),
            key: record
                .key
                .map(|key| String::from_utf8_lossy(&key).into_owned()),
            headers: record.headers.into_iter().collect(),
            value_base64: value.map(|value| STANDARD.encode(value)),
            size: value.map_or(0, <[u8]>::len),
            schema: match schema_id {
                Some(id) => self.schema(id).await,
                None => None,
            },
            schema_id,
            event,
            error,
        }
    }

    async fn decode(&self, topic: &str, value: Option<&[u8]>) -> Result<Value, DecodingError> {
        let error = |kind: &str, message: String| DecodingError {
            kind: kind.to_owned(),
            message,
        };
        if topic == DLQ_TOPIC {
            return serde_json::from_slice(value.unwrap_or_default())
                .map_err(|e| error("not_json", e.to_string()));
        }
        match self.decoder.decode(topic, value).await {
            Ok(event) => {
                serde_json::to_value(event).map_err(|e| error("undecodable", e.to_string()))
            }
            Err(Failure::Poison(poison)) => Err(error(poison.kind, poison.message)),
            Err(Failure::Transient(reason)) => Err(error("transient", reason)),
        }
    }

    /// The schema's own words; without them the record is shown all the same.
    async fn schema(&self, id: u32) -> Option<Value> {
        // Only what the registry knows is asked for by hand.
        self.registry.schema(id).await.ok()?;
        let url = format!("{}/schemas/ids/{id}", self.registry_url);
        let client = chassis::http::HttpClient::default();
        let answer: Value = client.get(url).send().await.ok()?.json().await.ok()?;
        serde_json::from_str(answer["schema"].as_str()?).ok()
    }
}
