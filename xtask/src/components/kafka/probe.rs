//! Readiness of a broker: a record produced and read back.

use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::config::KafkaConfig;
use chassis::kafka::{admin, client_config};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use schemas::TopicSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Holds nothing but probes, for an hour; no part of the lab reads it.
pub const PROBE_TOPIC: &str = "edalab.probe";

const TIMEOUT: Duration = Duration::from_secs(5);

/// The cheap question before the real one: which versions of the protocol does it speak? An open
/// port says less, because the port of a container is open before the container listens.
///
/// # Errors
/// When nothing answers within five seconds. A broker that takes connections and does not serve them
/// yet answers this question as soon as it does.
pub async fn answers(port: u16) -> anyhow::Result<()> {
    /// ApiVersions, version 0, correlation 1, without a client's name; its length in front.
    const QUESTION: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let asked = async {
        let mut broker = TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port)).await?;
        broker.write_all(&QUESTION).await?;
        let mut answer = [0; 8];
        broker.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match tokio::time::timeout(TIMEOUT, asked).await {
        Ok(Ok(answer)) if answer[4..] == [0, 0, 0, 1] => Ok(()),
        _ => anyhow::bail!("no broker answers on port {port} yet"),
    }
}

/// A round trip through a topic with one copy of each record.
///
/// # Errors
/// When the record did not come back within a few seconds.
pub async fn round_trip(kafka: &KafkaConfig) -> anyhow::Result<()> {
    round_trip_replicated(kafka, 1).await
}

/// The same through a topic with as many copies as the lab's own have.
///
/// # Errors
/// When the record did not come back within a few seconds.
pub async fn round_trip_replicated(kafka: &KafkaConfig, replication: i32) -> anyhow::Result<()> {
    let topic = TopicSpec {
        name: PROBE_TOPIC,
        partitions: 1,
        retention_ms: Some(3_600_000),
    };
    admin::ensure_topics(kafka, &[topic], replication).await?;
    let token = uuid::Uuid::new_v4().to_string();
    let producer: FutureProducer = client_config(kafka, "edalab-probe")
        .set("message.timeout.ms", TIMEOUT.as_millis().to_string())
        .create()
        .context("failed to create a producer")?;
    let record = FutureRecord::to(PROBE_TOPIC).key("probe").payload(&token);
    let delivery = producer
        .send(record, TIMEOUT)
        .await
        .map_err(|(e, _)| e)
        .context("failed to produce to the broker")?;
    let kafka = kafka.clone();
    tokio::task::spawn_blocking(move || read_back(&kafka, delivery.partition, delivery.offset))
        .await
        .context("failed to wait for the probe")?
        .and_then(|read| {
            anyhow::ensure!(
                read == token.as_bytes(),
                "the broker gave back another record"
            );
            Ok(())
        })
}

fn read_back(kafka: &KafkaConfig, partition: i32, offset: i64) -> anyhow::Result<Vec<u8>> {
    let consumer: BaseConsumer = client_config(kafka, "edalab-probe")
        .set("group.id", "edalab-probe")
        .set("enable.auto.commit", "false")
        .create()
        .context("failed to create a consumer")?;
    let mut at = TopicPartitionList::new();
    at.add_partition_offset(PROBE_TOPIC, partition, Offset::Offset(offset))
        .and_then(|()| consumer.assign(&at))
        .context("failed to read from the broker")?;
    let started = Instant::now();
    while started.elapsed() < TIMEOUT {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => return Ok(message.payload().unwrap_or_default().to_vec()),
            Some(Err(e)) => return Err(e).context("failed to read from the broker"),
            None => {}
        }
    }
    anyhow::bail!("the broker does not give back what was produced")
}
