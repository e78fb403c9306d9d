//! A lab with nothing but a broker, and clients for it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chassis::kafka::client_config;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, OwnedMessage};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tests::Lab;
use tokio::runtime::Runtime;

pub const TIMEOUT: Duration = Duration::from_secs(20);

pub struct Bench {
    pub lab: Lab,
    runtime: Runtime,
}

impl Bench {
    pub fn start(broker: &str) -> Self {
        let lab = Lab::prepare(&format!("brokers-{broker}"));
        lab.xtask(&["infra", "up", "kafka", "--broker", broker])
            .success();
        let runtime = Runtime::new().expect("a runtime can be made");
        Self { lab, runtime }
    }

    pub fn stop(&self) {
        self.lab.xtask(&["down"]).success();
    }

    pub fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn config(&self) -> ClientConfig {
        client_config(&self.lab.kafka(), "brokers")
    }

    pub fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.config().create().expect("an admin client can be made")
    }

    pub fn options(&self) -> AdminOptions {
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        options.operation_timeout(Some(TIMEOUT))
    }

    /// A name that no topic has yet.
    pub fn name(&self) -> String {
        format!("test.{}", uuid::Uuid::new_v4().simple())
    }

    pub fn topic(&self, partitions: i32) -> anyhow::Result<String> {
        self.topic_with(partitions, &[])
    }

    pub fn topic_with(&self, partitions: i32, set: &[(&str, &str)]) -> anyhow::Result<String> {
        let name = self.name();
        self.create(&name, partitions, set)?;
        Ok(name)
    }

    pub fn create(&self, name: &str, partitions: i32, set: &[(&str, &str)]) -> anyhow::Result<()> {
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        let topic = set
            .iter()
            .fold(topic, |topic, (key, value)| topic.set(key, value));
        let created = self.wait(self.admin().create_topics(&[topic], &self.options()))?;
        let first = created.into_iter().next().context("one answer")?;
        first
            .map(drop)
            .map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))
    }

    pub fn producer(&self, set: &[(&str, &str)]) -> FutureProducer {
        let mut config = self.config();
        config
            .set("message.timeout.ms", "10000")
            .set("linger.ms", "0");
        for (key, value) in set {
            config.set(*key, *value);
        }
        config.create().expect("a producer can be made")
    }

    /// Sends values one after the other, each after the other's acknowledgement.
    pub fn send(&self, topic: &str, partition: i32, values: &[&str]) -> anyhow::Result<()> {
        let producer = self.producer(&[]);
        for value in values {
            let record = FutureRecord::<(), _>::to(topic)
                .partition(partition)
                .payload(*value);
            let sent = self.wait(producer.send(record, TIMEOUT));
            sent.map_err(|(e, _)| e)?;
        }
        Ok(())
    }

    pub fn consumer(&self, group: &str, set: &[(&str, &str)]) -> BaseConsumer {
        let mut config = self.config();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest");
        for (key, value) in set {
            config.set(*key, *value);
        }
        config.create().expect("a consumer can be made")
    }

    /// A consumer that reads one partition from an offset on.
    pub fn reader(&self, topic: &str, partition: i32, at: Offset) -> anyhow::Result<BaseConsumer> {
        let consumer = self.consumer("reader", &[("auto.offset.reset", "error")]);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, at)?;
        consumer.assign(&list)?;
        Ok(consumer)
    }
}

/// The next record, or the error in its place.
pub fn next(consumer: &BaseConsumer) -> anyhow::Result<OwnedMessage> {
    next_within(consumer, TIMEOUT)?.context("no record came")
}

/// `None` when nothing came in time.
pub fn next_within(
    consumer: &BaseConsumer,
    patience: Duration,
) -> anyhow::Result<Option<OwnedMessage>> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            return Ok(Some(
                message
                    .as_ref()
                    .map(BorrowedMessage::detach)
                    .map_err(Clone::clone)?,
            ));
        }
    }
    Ok(None)
}

/// Polls several members of a group until `done`.
pub fn poll_until(
    members: &[&BaseConsumer],
    what: &str,
    mut done: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let started = Instant::now();
    while !done()? {
        ensure!(
            started.elapsed() < Duration::from_secs(60),
            "waited in vain until {what}"
        );
        for member in members {
            // Records and errors on the way are of no interest here.
            let _ = member.poll(Duration::from_millis(20));
        }
    }
    Ok(())
}

/// How many partitions a member has.
pub fn assigned(member: &BaseConsumer) -> anyhow::Result<usize> {
    Ok(member.assignment()?.count())
}

/// The broker's word in an error, if it is one.
pub fn code(error: &anyhow::Error) -> Option<RDKafkaErrorCode> {
    error.downcast_ref::<KafkaError>()?.rdkafka_error_code()
}
