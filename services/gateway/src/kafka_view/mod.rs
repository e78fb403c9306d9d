//! Kafka as it is now: brokers, partitions with their ends, groups with their members, and which
//! member owns which partition. Asked of the broker itself, when somebody looks.

mod ask;
mod assignment;
pub mod records;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::config::KafkaConfig;
use serde::Serialize;
use tokio::sync::Mutex;

use ask::Asker;

/// Answers younger than this are given again, however many ask.
const FRESH: Duration = Duration::from_millis(400);

/// The cluster.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Cluster {
    /// Changes when the broker's data is another.
    pub cluster_id: Option<String>,
    pub brokers: Vec<BrokerView>,
    /// Without Kafka's internal ones.
    pub topics: Vec<TopicView>,
    pub groups: Vec<GroupView>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct BrokerView {
    pub id: i32,
    pub host: String,
    pub port: i32,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TopicView {
    pub name: String,
    pub partitions: Vec<PartitionView>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PartitionView {
    pub id: i32,
    /// The first offset that is still kept.
    pub low: i64,
    /// The offset of the next record.
    pub high: i64,
    /// The broker that leads it; -1 when none does.
    pub leader: i32,
    /// By group: the offset of the next record that it will read, as it told the broker.
    pub committed: BTreeMap<String, i64>,
    /// By group: records that it has not read yet.
    pub lag: BTreeMap<String, i64>,
    /// By group: the member that reads it; `null` when none does.
    pub owner: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct GroupView {
    pub name: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, …
    pub state: String,
    pub members: Vec<MemberView>,
}

#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct MemberView {
    pub id: String,
    pub client_id: String,
    pub host: String,
    pub partitions: Vec<PartitionName>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
pub struct PartitionName {
    pub topic: String,
    pub partition: i32,
}

/// Asks at most every [`FRESH`].
pub struct KafkaView {
    asker: Arc<Asker>,
    cache: Mutex<Option<(Instant, Arc<Cluster>)>>,
}

impl KafkaView {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        Ok(Self {
            asker: Arc::new(Asker::new(kafka)?),
            cache: Mutex::default(),
        })
    }

    /// The cluster of now.
    ///
    /// # Errors
    /// When the broker does not answer within a few seconds.
    pub async fn cluster(&self) -> anyhow::Result<Arc<Cluster>> {
        self.cluster_within(FRESH).await
    }

    /// The same, not from memory.
    ///
    /// # Errors
    /// As [`KafkaView::cluster`].
    pub async fn cluster_now(&self) -> anyhow::Result<Arc<Cluster>> {
        self.cluster_within(Duration::ZERO).await
    }

    async fn cluster_within(&self, age: Duration) -> anyhow::Result<Arc<Cluster>> {
        let mut cache = self.cache.lock().await;
        if let Some((asked, cluster)) = &*cache
            && asked.elapsed() < age
        {
            return Ok(cluster.clone());
        }
        let asker = self.asker.clone();
        let cluster = tokio::task::spawn_blocking(move || asker.cluster())
            .await
            .context("failed to wait for the broker")??;
        let cluster = Arc::new(cluster);
        *cache = Some((Instant::now(), cluster.clone()));
        Ok(cluster)
    }
}
