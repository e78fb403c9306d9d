//! The consumer: polls on a thread of its own, decodes, and hands batches to the
//! [writers](crate::writer).
//!
//! No timer: a writer's commit is the batching window. While it commits, what arrives for it is
//! collected and decoded; when it is free, it gets all that there is. So a batch has one record at a
//! low rate and thousands under load.
//!
//! With several writers each has the partitions of some numbers, of all topics: as the topics have the
//! same number of partitions and the same keys, an account is one writer's, and no two wait for each
//! other.
//!
//! When PostgreSQL is away the partitions are paused and polling goes on, so that the group does
//! not take them away. When the registry is away, only a partition whose next record needs a schema
//! that is not known yet waits; the others go on.

pub mod batch;
pub mod group;
mod locate;
mod unreadable;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chassis::kafka::headers::to_text;
use chassis::kafka::{Backoff, Decoded, EventDecoder, Failure, Poison};
use futures_util::future::select_all;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::EventType;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::batch::BatchBuilder;
use self::group::{Change, GroupConsumer};
use self::unreadable::Unreadable;
use crate::domain::record::{Content, Origin, Poisoned};
use crate::domain::{FastMap, operation};
use crate::handoff::Handoff;
use crate::health::{Dependency, Health};
use crate::shared::Shared;
use crate::store::flux::{Mismatch, Position};
use crate::traces;
use crate::writer::{PositionsRequest, Work};

/// How long a poll waits when there is nothing to do.
const IDLE_POLL: Duration = Duration::from_millis(100);
/// How long one waits while the writer is busy: it may be free again any moment.
const BUSY_POLL: Duration = Duration::from_millis(1);
/// A writer that does not take a full batch for this long is stalled.
const STALLED_AFTER: Duration = Duration::from_millis(500);
/// How often Kafka is told what was committed; only lag tools read it.
const HINT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the broker may take to answer where the logs begin and end.
const BROKER_TIMEOUT: Duration = Duration::from_secs(5);

type Answer = Result<Vec<Position>, Mismatch>;

/// Where the consumer stands with its partitions.
enum Phase {
    /// The group has not assigned any.
    Unassigned,
    /// Asks the broker where the logs begin and end, not before the given moment.
    Locating(Instant),
    /// Waits for a writer that is free, then for its answer where to begin.
    Asking(Option<PositionsRequest>, oneshot::Receiver<Answer>),
    /// Reads.
    Running,
    /// Does not go on without a person.
    Stopped,
}

/// What the consumer works with.
pub struct Source {
    pub consumer: Arc<GroupConsumer>,
    pub decoder: EventDecoder,
    pub batch_max: usize,
    pub group: String,
    /// One for each writer.
    pub work: Vec<Handoff>,
    pub shared: Arc<Shared>,
    pub runtime: Handle,
    pub shutdown: CancellationToken,
}

/// Polls until shutdown; to be run on a thread of its own.
pub fn run(source: Source) {
    let topics = EventType::ALL.map(EventType::topic);
    if let Err(e) = source.consumer.subscribe(&topics) {
        return source
            .shared
            .health
            .stop(format_args!("failed to subscribe: {e}"));
    }
    let lane = |work: &Handoff| Lane {
        batch: BatchBuilder::new(source.batch_max),
        work: work.clone(),
    };
    let mut poller = Poller {
        generation: source.shared.generation.load(Ordering::Acquire),
        lanes: source.work.iter().map(lane).collect(),
        source,
        phase: Phase::Unassigned,
        assigned: Vec::new(),
        positions: FastMap::default(),
        unreadable: Unreadable::default(),
        paused: false,
        hinted: Instant::now(),
        backoff: Backoff::default(),
    };
    while !poller.source.shutdown.is_cancelled() {
        poller.follow_group();
        poller.advance();
        poller.gather();
        poller.hand_over();
        poller.hint();
    }
}

/// What is collected for a writer.
struct Lane {
    batch: BatchBuilder,
    work: Handoff,
}

impl Lane {
    /// Gives the batch to the writer, if there is one and the writer is free.
    fn offer(&mut self, generation: u64) {
        if !self.batch.is_empty() {
            self.work.offer(|| Work::Batch(self.batch.take(generation)));
        }
    }
}

struct Poller {
    source: Source,
    generation: u64,
    phase: Phase,
    assigned: Vec<(EventType, i32)>,
    /// The next offset expected in each partition that is read.
    positions: FastMap<(EventType, i32), i64>,
    unreadable: Unreadable,
    lanes: Vec<Lane>,
    /// All partitions, because the writer is stalled.
    paused: bool,
    hinted: Instant,
    /// Between two tries at getting going; reset by progress.
    backoff: Backoff,
}

impl Poller {
    fn health(&self) -> &Health {
        &self.source.shared.health
    }

    /// Serves what the group decided since the last time, and the writer's wish to begin again.
    fn follow_group(&mut self) {
        if self.source.consumer.context().has_changed() {
            for change in self.source.consumer.context().take_changes() {
                tracing::info!(change = ?change, "The group's assignment changed");
                let assigned = match change {
                    Change::Assigned(partitions) => Some(partitions),
                    Change::Revoked => None,
                };
                self.forget_positions();
                self.phase = match &assigned {
                    None => Phase::Unassigned,
                    // More workers than partitions: this one stands by.
                    Some(partitions) if partitions.is_empty() => Phase::Running,
                    Some(_) => Phase::Locating(Instant::now()),
                };
                self.assigned = assigned.unwrap_or_default();
                self.health()
                    .set_consuming(matches!(self.phase, Phase::Running));
            }
        }
        let current = self.source.shared.generation.load(Ordering::Acquire);
        if current != self.generation {
            self.reposition();
        }
    }

    /// Batches in the queue become void, and positions unknown.
    fn forget_positions(&mut self) {
        self.generation = self.source.shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        for lane in &mut self.lanes {
            lane.batch.clear();
        }
        self.positions.clear();
        self.forget_unreadable();
        self.source.shared.forget_committed();
        self.health().set_consuming(false);
    }

    /// Reads the stored offsets again, after a pause that grows while it does not help: whoever
    /// has lost its partitions without knowing will hear of it from the group.
    fn reposition(&mut self) {
        self.forget_positions();
        if !matches!(self.phase, Phase::Unassigned | Phase::Stopped) && !self.assigned.is_empty() {
            self.phase = Phase::Locating(Instant::now() + self.backoff.next_delay());
        }
    }

    /// Polls what is there, until the batch is full or something else needs attention.
    fn gather(&mut self) {
        let consumer = self.source.consumer.clone();
        let mut wait = match &self.phase {
            Phase::Asking(..) | Phase::Locating(_) => BUSY_POLL * 5,
            _ if self.is_full() => Duration::ZERO,
            _ => self.idle_time(),
        };
        // A full batch is over its bound by what was polled while the partitions were paused.
        while !self.is_full() || self.paused {
            let polled = consumer.poll(wait);
            wait = Duration::ZERO;
            if consumer.context().has_changed() {
                return;
            }
            match polled {
                None => return,
                Some(Err(e)) => return self.note_error(&e),
                Some(Ok(message)) => {
                    if matches!(self.phase, Phase::Running) {
                        self.take(&message);
                    }
                }
            }
        }
    }

    /// True when a batch takes no more.
    fn is_full(&self) -> bool {
        self.lanes.iter().any(|lane| lane.batch.is_full())
    }

    /// Those that have something for their writers.
    fn waiting(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| !lane.batch.is_empty())
    }

    /// The batch that a partition's records go to.
    fn batch_of(&mut self, partition: i32) -> &mut BatchBuilder {
        let lane = partition as usize % self.lanes.len();
        &mut self.lanes[lane].batch
    }

    /// How long to wait for the next record, by whether a writer can be given what there is.
    fn idle_time(&self) -> Duration {
        if self.waiting().next().is_none() {
            IDLE_POLL
        } else if !self.waiting().any(|lane| lane.work.is_free()) {
            BUSY_POLL
        } else {
            Duration::ZERO
        }
    }

    /// Decodes a record into the batch of its writer. One that comes again after positions were reset
    /// is not what is expected, and is left.
    fn take(&mut self, message: &BorrowedMessage<'_>) {
        let Some(topic) = EventType::from_topic(message.topic()) else {
            return;
        };
        let (partition, offset) = (message.partition(), message.offset());
        let Some(position) = self.positions.get(&(topic, partition)).copied() else {
            return;
        };
        let is_unreadable = self.unreadable.schema_ids.contains_key(&(topic, partition));
        if offset < position || is_unreadable {
            return;
        }
        let may_trace = self.batch_of(partition).may_trace();
        let trace = may_trace.then(|| traces::receive(message, &self.source.group));
        let trace = trace.flatten();
        let decoder = &self.source.decoder;
        let decoded = match decoder.decode_cached(message.topic(), message.payload()) {
            Decoded::Event(event) => Ok(event),
            Decoded::Poison(poison) => Err(poison),
            // It does not answer: asking for each partition would hold up the others.
            Decoded::NeedSchema(id) if !self.unreadable.schema_ids.is_empty() => {
                return self.set_aside((topic, partition), id);
            }
            Decoded::NeedSchema(id) => {
                let decode = decoder.decode(message.topic(), message.payload());
                match self.source.runtime.block_on(decode) {
                    Ok(event) => Ok(event),
                    Err(Failure::Poison(poison)) => Err(poison),
                    Err(Failure::Transient(e)) => {
                        self.set_aside((topic, partition), id);
                        return self.wait_for_registry(e);
                    }
                }
            }
        };
        let checked = decoded.and_then(|event| {
            operation::validate(&event)?;
            Ok(event)
        });
        let content = match checked {
            Ok(event) => Content::Event(event),
            Err(poison) => poisoned(poison, message),
        };
        let origin = Origin {
            topic,
            partition,
            offset,
        };
        self.positions.insert((topic, partition), offset + 1);
        let batch = self.batch_of(partition);
        batch.push(origin, position, content, message.key(), message.payload());
        if let Some(span) = trace {
            batch.trace(span);
        }
    }

    /// Gives the batches to the writers, and stops the flow while one is stalled.
    fn hand_over(&mut self) {
        self.offer();
        if self.is_full() && !self.paused {
            self.wait_for_room();
        }
        match (self.is_full(), self.paused) {
            (true, false) => self.pause(),
            // Polling goes on in between, as the group demands.
            (true, true) => std::thread::sleep(BUSY_POLL * 10),
            (false, true) => self.resume(),
            (false, false) => {}
        }
    }

    fn offer(&mut self) {
        for lane in &mut self.lanes {
            lane.offer(self.generation);
        }
    }

    /// Waits a little until no batch is full; meanwhile the others are handed over as well.
    fn wait_for_room(&mut self) {
        let deadline = Instant::now() + STALLED_AFTER;
        while self.is_full() && Instant::now() < deadline {
            let any = select_all(self.waiting().map(|lane| Box::pin(lane.work.until_free())));
            // Free or stalled: the offer and the loop's condition find out.
            self.source.runtime.block_on(async {
                let _ = tokio::time::timeout_at(deadline.into(), any).await;
            });
            self.offer();
        }
    }

    fn pause(&mut self) {
        tracing::debug!("Pausing the partitions");
        let list = list(self.positions.keys().map(|key| (*key, Offset::Invalid)));
        match self.source.consumer.pause(&list) {
            Ok(()) => self.paused = true,
            Err(e) => tracing::warn!(error = %e, "Failed to pause the partitions"),
        }
    }

    fn resume(&mut self) {
        let is_readable = |key: &&(EventType, i32)| !self.unreadable.schema_ids.contains_key(key);
        let readable = self.positions.keys().filter(is_readable);
        let list = list(readable.map(|key| (*key, Offset::Invalid)));
        match self.source.consumer.resume(&list) {
            Ok(()) => self.paused = false,
            Err(e) => tracing::warn!(error = %e, "Failed to resume the partitions"),
        }
    }

    fn note_error(&mut self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            _ if matches!(error, KafkaError::MessageConsumptionFatal(_)) => self.stop(error),
            // The offset to read is not in the log: asking where the log begins says more.
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.reposition();
            }
            Some(
                RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::Resolve,
            ) => self.health().down(Dependency::Kafka, error),
            _ => tracing::warn!(error = %error, "Failed to poll, trying again"),
        }
    }

    /// Tells Kafka what PostgreSQL holds, now and then.
    fn hint(&mut self) {
        if self.hinted.elapsed() < HINT_INTERVAL {
            return;
        }
        self.hinted = Instant::now();
        let committed = self.source.shared.take_hints();
        if committed.is_empty() {
            return;
        }
        self.backoff.reset();
        commit_hints(&self.source.consumer, committed, CommitMode::Async);
    }
}

fn poisoned(poison: Poison, message: &BorrowedMessage<'_>) -> Content {
    Content::Poison(Box::new(Poisoned {
        poison,
        headers: to_text(message.headers()),
    }))
}

fn list(partitions: impl Iterator<Item = ((EventType, i32), Offset)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for ((topic, partition), offset) in partitions {
        list.add_partition_offset(topic.topic(), partition, offset)
            .expect("an offset that was read before is valid");
    }
    list
}

/// Stores offsets in the group, for lag tools.
pub fn commit_hints(
    consumer: &GroupConsumer,
    committed: Vec<((EventType, i32), i64)>,
    mode: CommitMode,
) {
    let offsets = committed
        .into_iter()
        .map(|(key, next)| (key, Offset::Offset(next)));
    if let Err(e) = consumer.commit(&list(offsets), mode) {
        tracing::debug!(error = %e, "Failed to tell the group what was committed");
    }
}
