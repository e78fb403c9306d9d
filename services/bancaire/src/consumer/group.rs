//! The membership in the consumer group: which partitions are this worker's.
//!
//! The assignor is `range`: it gives a worker the same partition numbers of all topics, and the
//! topics have the same number of partitions and the same keys, so all events of an account go to
//! the same worker. The protocol is eager: everything is given up and assigned anew.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use chassis::config::KafkaConfig;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use schemas::EventType;

/// How long leaving may take; without it the others notice after the session timeout.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

pub type GroupConsumer = BaseConsumer<Membership>;

/// What the group decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Assigned(Vec<(EventType, i32)>),
    Revoked,
}

/// Notes the group's decisions for the polling thread, which serves them between two polls.
#[derive(Default)]
pub struct Membership {
    changes: Mutex<Vec<Change>>,
    changed: AtomicBool,
}

impl Membership {
    /// True when there is something to take.
    pub fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    pub fn take_changes(&self) -> Vec<Change> {
        self.changed.store(false, Ordering::Release);
        std::mem::take(
            &mut *self
                .changes
                .lock()
                .expect("nothing panics while it holds this lock"),
        )
    }

    fn note(&self, change: Change) {
        self.changes
            .lock()
            .expect("nothing panics while it holds this lock")
            .push(change);
        self.changed.store(true, Ordering::Release);
    }
}

impl ClientContext for Membership {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "Kafka consumer error");
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        decision: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let result = if decision == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.note(Change::Assigned(named(partitions)));
            // Accepted at once, so that the group is not held up, but nothing is read yet: where to
            // begin stands in PostgreSQL, and that may take a while to answer. No partition is
            // given to librdkafka before: one that it was given, and that was paused and given
            // again while its new leader was still unknown, was sometimes never read.
            consumer.assign(&TopicPartitionList::new())
        } else {
            self.note(Change::Revoked);
            consumer.unassign()
        };
        if let Err(e) = result {
            tracing::warn!(error = %e, "Failed to follow a decision of the group");
        }
    }
}

fn named(partitions: &TopicPartitionList) -> Vec<(EventType, i32)> {
    let elements = partitions.elements();
    let named = elements
        .iter()
        .filter_map(|element| Some((EventType::from_topic(element.topic())?, element.partition())));
    named.collect()
}

/// A consumer that does not subscribe yet. The broker need not be there.
///
/// # Errors
/// When librdkafka refuses the configuration.
pub fn consumer(kafka: &KafkaConfig, group: &str) -> anyhow::Result<GroupConsumer> {
    let mut config = chassis::kafka::client_config(kafka, crate::SERVICE);
    config
        .set("group.id", group)
        .set("partition.assignment.strategy", "range")
        // PostgreSQL holds the offsets. Kafka's are hints, and never decide where to begin.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("allow.auto.create.topics", "false")
        // The shortest that brokers allow: a killed worker's partitions move after this.
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "2000")
        // Some batches ahead, not the default 64 MiB and 100,000 records.
        .set("queued.min.messages", "20000")
        // How long a partition with so many rests before it is read on: by default a second, in which
        // the writers would have been through with them twice.
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.max.bytes", "8388608");
    GroupConsumer::from_config_and_context(&config, Membership::default())
        .context("failed to create the consumer")
}

/// Leaves the group, so that its other members take over at once.
pub fn leave(consumer: &GroupConsumer) {
    consumer.unsubscribe();
    let deadline = Instant::now() + LEAVE_TIMEOUT;
    // The group's answer is served by polling.
    while Instant::now() < deadline {
        let _ = consumer.poll(Duration::from_millis(50));
        match consumer.assignment() {
            Ok(assignment) if assignment.count() > 0 => {}
            _ => return,
        }
    }
}
