//! What the broker knows of the logs: where they begin and end. The consumer asks before it
//! begins; the API and the metrics ask how far it is behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::metrics::{COMMITTED_OFFSET, CONSUMER_LAG};
use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use schemas::EventType;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::consumer::group::GroupConsumer;
use crate::health::Dependency;
use crate::shared::Shared;
use crate::store::flux::Window;

/// The next offset of each partition.
pub type Highs = BTreeMap<(EventType, i32), i64>;

/// How long the API waits for the broker.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Answers younger than this are given again.
const FRESH: Duration = Duration::from_millis(250);
/// How often lag and connection are looked at when nobody asks.
const MONITOR_INTERVAL: Duration = Duration::from_secs(1);

/// The id of the cluster, which changes when its data is another.
pub fn cluster_id(consumer: &GroupConsumer, timeout: Duration) -> anyhow::Result<String> {
    consumer
        .client()
        .fetch_cluster_id(timeout)
        .context("the broker does not answer")
}

/// Where the logs of some partitions begin and end.
pub fn windows(
    consumer: &GroupConsumer,
    partitions: &[(EventType, i32)],
    timeout: Duration,
) -> anyhow::Result<Vec<Window>> {
    let lows = offsets(consumer, partitions, Offset::Beginning, timeout)?;
    let highs = offsets(consumer, partitions, Offset::End, timeout)?;
    let window = |key: &(EventType, i32)| Window {
        topic: key.0,
        partition: key.1,
        low: lows[key],
        high: highs[key],
    };
    Ok(partitions.iter().map(window).collect())
}

/// One question for all partitions. The protocol asks for offsets by timestamp, and has two
/// timestamps for the beginning and the end, which are those of librdkafka's logical offsets.
fn offsets(
    consumer: &GroupConsumer,
    partitions: &[(EventType, i32)],
    at: Offset,
    timeout: Duration,
) -> anyhow::Result<Highs> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        asked.add_partition_offset(topic.topic(), *partition, at)?;
    }
    let answered = consumer.offsets_for_times(asked, timeout)?;
    let mut offsets = Highs::new();
    for element in answered.elements() {
        let (topic, partition) = (element.topic(), element.partition());
        element
            .error()
            .with_context(|| format!("{topic} [{partition}]"))?;
        let key = EventType::from_topic(topic).context("the broker answered for another topic")?;
        let Offset::Offset(offset) = element.offset() else {
            anyhow::bail!("the broker does not say where {topic} [{partition}] ends");
        };
        offsets.insert((key, partition), offset);
    }
    anyhow::ensure!(
        offsets.len() == partitions.len(),
        "the broker left partitions out"
    );
    Ok(offsets)
}

/// Every partition of the topics of events.
fn partitions(consumer: &GroupConsumer) -> anyhow::Result<Vec<(EventType, i32)>> {
    let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
    let topics = metadata.topics().iter();
    let known = topics.filter_map(|topic| Some((EventType::from_topic(topic.name())?, topic)));
    let all = known.flat_map(|(event_type, topic)| {
        topic
            .partitions()
            .iter()
            .map(move |partition| (event_type, partition.id()))
    });
    Ok(all.collect())
}

/// Asks the broker at most every [`FRESH`], however many ask us.
pub struct Broker {
    consumer: Arc<GroupConsumer>,
    group: String,
    cache: Mutex<Option<(Instant, Option<Arc<Highs>>)>>,
    shared: Arc<Shared>,
}

impl Broker {
    pub fn new(consumer: Arc<GroupConsumer>, group: &str, shared: Arc<Shared>) -> Self {
        Self {
            consumer,
            group: group.to_owned(),
            cache: Mutex::default(),
            shared,
        }
    }

    /// The ends of all logs; `None` when the broker does not answer.
    pub async fn highs(&self) -> Option<Arc<Highs>> {
        self.highs_within(FRESH).await
    }

    /// The same, not from memory.
    pub async fn highs_now(&self) -> Option<Arc<Highs>> {
        self.highs_within(Duration::ZERO).await
    }

    async fn highs_within(&self, age: Duration) -> Option<Arc<Highs>> {
        let mut cache = self.cache.lock().await;
        if let Some((asked, highs)) = &*cache
            && asked.elapsed() < age
        {
            return highs.clone();
        }
        let consumer = self.consumer.clone();
        let ask = move || offsets(&consumer, &partitions(&consumer)?, Offset::End, TIMEOUT);
        let answer = tokio::task::spawn_blocking(ask)
            .await
            .expect("asking does not panic");
        let highs = match answer {
            Ok(highs) => {
                self.shared.health.up(Dependency::Kafka);
                Some(Arc::new(highs))
            }
            Err(e) => {
                self.shared
                    .health
                    .down(Dependency::Kafka, format_args!("{e:#}"));
                None
            }
        };
        *cache = Some((Instant::now(), highs.clone()));
        highs
    }

    /// Keeps the lag of this worker's partitions, and whether Kafka answers, up to date.
    pub async fn monitor(&self, shutdown: CancellationToken) {
        loop {
            if let Some(highs) = self.highs().await {
                for ((topic, partition), committed) in self.shared.committed() {
                    if let Some(high) = highs.get(&(topic, partition)) {
                        let partition = partition.to_string();
                        let labels = [self.group.as_str(), topic.topic(), &partition];
                        let lag = (high - committed).max(0);
                        CONSUMER_LAG.with_label_values(&labels).set(lag as f64);
                        COMMITTED_OFFSET
                            .with_label_values(&labels)
                            .set(committed as f64);
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(MONITOR_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}
