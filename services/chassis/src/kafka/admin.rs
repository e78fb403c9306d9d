//! Questions to the broker: topics, watermarks, the cluster's id; and creating what is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use schemas::{DLQ_MESSAGE_MAX_BYTES, DLQ_TOPIC, TopicSpec};

use crate::config::KafkaConfig;

/// Low and high watermark of each topic and partition: the first offset kept and the next to come.
pub type Watermarks = BTreeMap<(String, i32), (i64, i64)>;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Creates the topics that are missing and returns their names.
///
/// # Errors
/// When no broker answers in time or one refuses a topic.
pub async fn ensure_topics(
    config: &KafkaConfig,
    topics: &[TopicSpec],
    replication: i32,
) -> anyhow::Result<Vec<String>> {
    let admin: AdminClient<DefaultClientContext> = super::client_config(config, "edalab-admin")
        .create()
        .context("failed to create the admin client")?;
    let retentions: Vec<String> = topics
        .iter()
        .map(|t| t.retention_ms.unwrap_or(-1).to_string())
        .collect();
    let largest = DLQ_MESSAGE_MAX_BYTES.to_string();
    let wanted: Vec<NewTopic<'_>> = topics
        .iter()
        .zip(&retentions)
        .map(|(topic, retention)| {
            let new = NewTopic::new(
                topic.name,
                topic.partitions,
                TopicReplication::Fixed(replication),
            );
            let new = match topic.retention_ms {
                Some(_) => new.set("retention.ms", retention),
                None => new,
            };
            if topic.name == DLQ_TOPIC {
                new.set("max.message.bytes", &largest)
            } else {
                new
            }
        })
        .collect();
    let options = AdminOptions::new()
        .request_timeout(Some(TIMEOUT))
        .operation_timeout(Some(TIMEOUT));
    let results = admin
        .create_topics(&wanted, &options)
        .await
        .context("failed to create topics")?;
    let mut created = Vec::new();
    for result in results {
        match result {
            Ok(name) => created.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => anyhow::bail!("failed to create the topic {name}: {code}"),
        }
    }
    Ok(created)
}

/// A client for questions; keep it where they are asked often.
pub struct Inspector {
    consumer: std::sync::Arc<BaseConsumer>,
}

impl Inspector {
    pub fn new(config: &KafkaConfig) -> anyhow::Result<Self> {
        let consumer: BaseConsumer = super::client_config(config, "edalab-inspector")
            .set("group.id", "edalab-inspector")
            .create()
            .context("failed to create a Kafka client")?;
        Ok(Self {
            consumer: std::sync::Arc::new(consumer),
        })
    }

    /// The watermarks of every partition of `topics`; topics that do not exist are left out.
    ///
    /// # Errors
    /// When the broker does not answer within five seconds.
    pub async fn watermarks(&self, topics: &[&str]) -> anyhow::Result<Watermarks> {
        let consumer = self.consumer.clone();
        let topics: Vec<String> = topics.iter().map(|t| (*t).to_owned()).collect();
        tokio::task::spawn_blocking(move || {
            let metadata = consumer
                .fetch_metadata(None, TIMEOUT)
                .context("failed to ask the broker for its topics")?;
            let known = metadata.topics().iter();
            let asked = known.filter(|topic| topics.iter().any(|t| t == topic.name()));
            let mut partitions = Vec::new();
            for topic in asked {
                let ids = topic.partitions().iter().map(|partition| partition.id());
                partitions.extend(ids.map(|id| (topic.name().to_owned(), id)));
            }
            if partitions.is_empty() {
                return Ok(Watermarks::new());
            }
            let lows = offsets(&consumer, &partitions, Offset::Beginning)?;
            let highs = offsets(&consumer, &partitions, Offset::End)?;
            let both = lows.into_iter().filter_map(|(place, low)| {
                let high = *highs.get(&place)?;
                Some((place, (low, high)))
            });
            Ok(both.collect())
        })
        .await
        .context("failed to wait for the watermarks")?
    }

    /// The cluster's id, which changes when the broker's data is another.
    pub async fn cluster_id(&self) -> Option<String> {
        let consumer = self.consumer.clone();
        tokio::task::spawn_blocking(move || consumer.client().fetch_cluster_id(TIMEOUT))
            .await
            .ok()
            .flatten()
    }
}

/// One question for all partitions, not one each. The protocol asks for offsets by timestamp, and
/// has two timestamps for the beginning and the end, which are those of librdkafka's logical offsets.
fn offsets(
    consumer: &BaseConsumer,
    partitions: &[(String, i32)],
    at: Offset,
) -> anyhow::Result<BTreeMap<(String, i32), i64>> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        asked.add_partition_offset(topic, *partition, at)?;
    }
    let answered = consumer
        .offsets_for_times(asked, TIMEOUT)
        .context("failed to ask the broker where the logs begin and end")?;
    let mut offsets = BTreeMap::new();
    for element in answered.elements() {
        let (topic, partition) = (element.topic().to_owned(), element.partition());
        let failed = || format!("failed to ask for the end of {topic} [{partition}]");
        element.error().with_context(failed)?;
        let Offset::Offset(offset) = element.offset() else {
            anyhow::bail!("the broker does not say where {topic} [{partition}] ends");
        };
        offsets.insert((topic, partition), offset);
    }
    Ok(offsets)
}
