//! What librdkafka does by itself: a loop that only produces, and one that only consumes.
//!
//! The records are those that the lab published, read back from its logs, so that keys, values and
//! headers are the same byte for byte; the settings are those of the lab's producers. They go to
//! topics of their own, which nobody reads.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::KafkaConfig;
use chassis::kafka::admin::{Watermarks, ensure_topics};
use chassis::kafka::{client_config, producer_config};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};
use schemas::{EventType, TopicSpec};

/// A broker that gives or takes nothing for this long has stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a full queue is tried again.
const FULL_RETRY: Duration = Duration::from_micros(500);

/// Records as they were in the logs.
#[derive(Debug, Default)]
pub struct Captured {
    records: Vec<Record>,
}

#[derive(Debug)]
struct Record {
    topic: usize,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Option<OwnedHeaders>,
}

impl Captured {
    pub fn len(&self) -> usize {
        self.records.len()
    }
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let sizes = self
            .records
            .iter()
            .map(|r| length(&r.key) + length(&r.value));
        sizes.sum()
    }
}

/// The topic in which the baseline puts what belongs to an event's topic.
fn name_of(event_type: EventType) -> String {
    format!("perf.{}", event_type.topic())
}

/// Reads what lies between two states of the logs; blocks.
///
/// # Errors
/// When the broker does not give it.
pub fn capture(
    kafka: &KafkaConfig,
    from: &Watermarks,
    to: &Watermarks,
) -> anyhow::Result<Captured> {
    let mut captured = Captured::default();
    consume(kafka, from, to, |message| {
        let Some(topic) = EventType::from_topic(message.topic()) else {
            return;
        };
        captured.records.push(Record {
            topic: topic.index(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers: message.headers().map(|headers| headers.detach()),
        });
    })?;
    Ok(captured)
}

/// Reads what lies between two states of the logs and drops it: how long that takes, and how many
/// records there were. Blocks.
///
/// # Errors
/// When the broker does not give it.
pub fn discard(
    kafka: &KafkaConfig,
    from: &Watermarks,
    to: &Watermarks,
) -> anyhow::Result<(u64, Duration)> {
    let began = Instant::now();
    let mut count = 0;
    consume(kafka, from, to, |_| count += 1)?;
    Ok((count, began.elapsed()))
}

fn consume(
    kafka: &KafkaConfig,
    from: &Watermarks,
    to: &Watermarks,
    mut each: impl FnMut(&rdkafka::message::BorrowedMessage<'_>),
) -> anyhow::Result<()> {
    let consumer: BaseConsumer = client_config(kafka, "perf-bare")
        .set("group.id", "perf-bare")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .context("failed to create a Kafka consumer")?;
    let mut assignment = TopicPartitionList::new();
    let mut open = 0;
    for ((topic, partition), (_, high)) in to {
        let begin = from.get(&(topic.clone(), *partition)).map_or(0, |w| w.1);
        if begin < *high {
            assignment.add_partition_offset(topic, *partition, Offset::Offset(begin))?;
            open += 1;
        }
    }
    consumer.assign(&assignment).context("failed to assign")?;
    let mut progress = Instant::now();
    // Ends are told by the broker: transactions' markers and gaps have offsets too.
    while open > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                progress = Instant::now();
                each(&message);
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(e)) if progress.elapsed() > PATIENCE => return Err(e.into()),
            Some(Err(_)) | None => {}
        }
        anyhow::ensure!(progress.elapsed() < PATIENCE, "the broker gives nothing");
    }
    Ok(())
}

/// Makes the baseline's topics, with as many partitions as the lab's.
///
/// # Errors
/// When the broker does not.
pub async fn make_topics(kafka: &KafkaConfig, replication: i32) -> anyhow::Result<()> {
    let specs: Vec<TopicSpec> = EventType::ALL
        .into_iter()
        .map(|event_type| TopicSpec {
            // Seven short names, for as long as this process lives.
            name: name_of(event_type).leak(),
            partitions: schemas::PARTITIONS,
            retention_ms: None,
        })
        .collect();
    ensure_topics(kafka, &specs, replication).await.map(drop)
}

/// Removes the baseline's topics.
///
/// # Errors
/// When the broker does not.
pub async fn remove_topics(kafka: &KafkaConfig) -> anyhow::Result<()> {
    let admin: AdminClient<DefaultClientContext> = client_config(kafka, "perf-bare")
        .create()
        .context("failed to create a Kafka client")?;
    let names: Vec<String> = EventType::ALL.into_iter().map(name_of).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for outcome in admin.delete_topics(&names, &options).await? {
        match outcome {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, code)) => anyhow::bail!("failed to remove the topic {name}: {code}"),
        }
    }
    Ok(())
}

/// Publishes what was captured, as fast as the broker takes it; how long until the last
/// acknowledgement. Blocks.
///
/// # Errors
/// When the broker does not take it.
pub fn produce(kafka: &KafkaConfig, captured: &Captured) -> anyhow::Result<Duration> {
    let producer: ThreadedProducer<DefaultProducerContext> = producer_config(kafka, "perf-bare")
        .create()
        .context("failed to create a Kafka producer")?;
    let names = EventType::ALL.map(name_of);
    // Connected and told of the topics, as a producer that has been running is.
    for name in &names {
        producer
            .client()
            .fetch_metadata(Some(name), PATIENCE)
            .context("the broker does not answer")?;
    }
    let began = Instant::now();
    for record in &captured.records {
        let mut base: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&names[record.topic]);
        base.key = record.key.as_deref();
        base.payload = record.value.as_deref();
        base.headers.clone_from(&record.headers);
        while let Err((e, back)) = producer.send(base) {
            if e.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(e).context("failed to publish");
            }
            base = back;
            std::thread::sleep(FULL_RETRY);
        }
    }
    producer.flush(PATIENCE).context("failed to publish")?;
    Ok(began.elapsed())
}
