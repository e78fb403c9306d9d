//! Hands records to the broker, and remembers the last events that it acknowledged.
//!
//! Both the [`simulation`](crate::simulation) and single requests publish here, through one
//! idempotent producer. From here an event is in the log of its topic, for bancaire and the
//! gateway to read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use chassis::config::KafkaConfig;
use chassis::kafka::journal::{Journal, Kind, Ticket};
use chassis::kafka::{Delivered, EventProducer, ProduceError, RawRecord, event_headers};
use chassis::registry::SchemaIds;
use schemas::Event;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::generator::Item;

/// How many acknowledged events can be published again. About 6 MB when full, which is reached
/// within a minute of an ordinary simulation, so that memory is flat from then on.
pub const RECENT: usize = 10_000;
/// How long a request waits for the broker. The gateway gives up after 5 s, and would not hear the
/// reason.
pub const PATIENCE: Duration = Duration::from_secs(4);
/// How often a full queue is tried again.
const FULL_RETRY: Duration = Duration::from_millis(5);

/// Why a record was not taken.
#[derive(Debug)]
pub enum Refused {
    /// There is no room now: the same record may be offered again in a moment.
    Full,
    /// It will not be published.
    Failed(String),
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is in the log.
    Acked,
    /// It is not in the log, or perhaps it is.
    Failed(String),
    /// It is queued: the broker may still take it, within the producer's own timeout.
    Unanswered,
}

/// Where a simulation's records go; tests put something else in the broker's place.
pub trait Outlet: Send + Sync + 'static {
    /// Queues a record and returns. `done` is told, on another thread, whether it is in the log;
    /// it is not called for a record that was refused.
    ///
    /// # Errors
    /// When there is no room for it, or it cannot be published at all.
    fn offer(
        &self,
        item: &Item,
        done: impl FnOnce(bool) + Send + Sync + 'static,
    ) -> Result<(), Refused>;
}

/// See the module's text.
pub struct Publisher {
    producer: EventProducer,
    ids: OnceLock<SchemaIds>,
    /// Bounded by [`RECENT`]: the oldest leaves.
    recent: Arc<Mutex<VecDeque<Arc<Event>>>>,
    journal: Option<Journal>,
}

impl Publisher {
    /// Connects lazily: the broker need not be there yet.
    ///
    /// # Errors
    /// When the configuration cannot work.
    pub fn new(kafka: &KafkaConfig, journal: Option<Journal>) -> Result<Self, ProduceError> {
        Ok(Self {
            producer: EventProducer::new(kafka, crate::SERVICE)?,
            ids: OnceLock::new(),
            recent: Arc::default(),
            journal,
        })
    }

    /// The ids under which the schemas are registered; the first ones stay.
    pub fn set_ids(&self, ids: SchemaIds) {
        if self.ids.set(ids).is_ok() {
            tracing::info!("The schemas are registered, ready to publish");
        }
    }

    /// `None` while the registry has not answered: nothing can be published then.
    pub fn ids(&self) -> Option<SchemaIds> {
        self.ids.get().copied()
    }

    pub async fn is_connected(&self, patience: Duration) -> bool {
        self.producer.is_connected(patience).await
    }

    /// The last events that were acknowledged, `count` at most, oldest first.
    pub fn recent(&self, count: usize) -> Vec<Arc<Event>> {
        let recent = self
            .recent
            .lock()
            .expect("nothing panics while it holds this lock");
        recent
            .range(recent.len() - count.min(recent.len())..)
            .cloned()
            .collect()
    }

    /// Publishes records in order and waits for the broker, [`PATIENCE`] at most. One answer each.
    pub async fn publish(&self, items: &[Item]) -> Vec<Answer> {
        let until = Instant::now() + PATIENCE;
        let mut queued = Vec::with_capacity(items.len());
        for item in items {
            queued.push(self.queue(item, until).await);
        }
        let mut answers = Vec::with_capacity(items.len());
        for queued in queued {
            answers.push(match queued {
                Ok(answer) => match tokio::time::timeout_at(until, answer).await {
                    Ok(Ok(answer)) => answer,
                    // The producer is gone, and its last word was not heard.
                    Ok(Err(_)) | Err(_) => Answer::Unanswered,
                },
                Err(why) => Answer::Failed(why),
            });
        }
        answers
    }

    /// Waits for room, then for nothing.
    async fn queue(
        &self,
        item: &Item,
        until: Instant,
    ) -> Result<oneshot::Receiver<Answer>, String> {
        loop {
            let (tx, rx) = oneshot::channel();
            let offered = self.enqueue(item, move |outcome| {
                // The request may have gone away; the record is published all the same.
                let _ = tx.send(match outcome {
                    Ok(()) => Answer::Acked,
                    Err(e) => Answer::Failed(e.to_string()),
                });
            });
            match offered {
                Ok(()) => return Ok(rx),
                Err(Refused::Full) if Instant::now() < until => {
                    tokio::time::sleep(FULL_RETRY).await;
                }
                Err(Refused::Full) => return Err(ProduceError::QueueFull.to_string()),
                Err(Refused::Failed(why)) => return Err(why),
            }
        }
    }

    fn enqueue(
        &self,
        item: &Item,
        done: impl FnOnce(Result<(), ProduceError>) + Send + Sync + 'static,
    ) -> Result<(), Refused> {
        let Some(ids) = self.ids.get() else {
            return Err(Refused::Failed("the schemas are not registered yet".into()));
        };
        let noted = self.journal.as_ref().map(|journal| {
            let (kind, topic) = (kind(item), item.event_type().topic());
            Arc::new(Mutex::new(Some(journal.sent(kind, topic, item.event_id()))))
        });
        if chassis::mutant!("ack-before-broker")
            && let Some(ticket) = noted.as_deref().and_then(take)
        {
            let (partition, offset) = (-1, -1);
            ticket.answered(&Ok(Delivered { partition, offset }));
        }
        let answered = noted.clone();
        let done = move |outcome: Result<Delivered, ProduceError>| {
            if let Some(ticket) = answered.as_deref().and_then(take) {
                ticket.answered(&outcome);
            }
            done(outcome.map(drop));
        };
        let queued = match item {
            Item::Event(event) | Item::Opening(event, _) => {
                let (recent, kept) = (self.recent.clone(), event.clone());
                self.producer.enqueue(ids, event, move |outcome| {
                    if outcome.is_ok() {
                        remember(&recent, kept);
                    }
                    done(outcome);
                })
            }
            Item::Duplicate(event) => self.producer.enqueue(ids, event, done),
            Item::Poison {
                topic,
                kind,
                event,
                unit,
            } => {
                let record = RawRecord {
                    headers: event_headers(event, crate::SERVICE),
                    ..kind.spoil(*topic, event, *unit, ids)
                };
                self.producer.enqueue_raw(record, done)
            }
        };
        if queued.is_err()
            && let Some(ticket) = noted.as_deref().and_then(take)
        {
            ticket.withdrawn();
        }
        queued.map_err(|e| match e {
            ProduceError::QueueFull => Refused::Full,
            e => Refused::Failed(e.to_string()),
        })
    }
}

impl Outlet for Publisher {
    fn offer(
        &self,
        item: &Item,
        done: impl FnOnce(bool) + Send + Sync + 'static,
    ) -> Result<(), Refused> {
        self.enqueue(item, move |outcome| done(outcome.is_ok()))
    }
}

fn kind(item: &Item) -> Kind {
    match item {
        Item::Event(_) | Item::Opening(..) => Kind::Event,
        Item::Duplicate(_) => Kind::Duplicate,
        Item::Poison { .. } => Kind::Poison,
    }
}

/// The ticket is used up once, by the broker's answer or by ourselves.
fn take(ticket: &Mutex<Option<Ticket>>) -> Option<Ticket> {
    ticket
        .lock()
        .expect("nothing panics while it holds this lock")
        .take()
}

fn remember(recent: &Mutex<VecDeque<Arc<Event>>>, event: Arc<Event>) {
    let mut recent = recent
        .lock()
        .expect("nothing panics while it holds this lock");
    let oldest = if recent.len() == RECENT {
        recent.pop_front()
    } else {
        None
    };
    recent.push_back(event);
    drop(recent);
    // Freed outside the lock.
    drop(oldest);
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use schemas::EventType;
    use uuid::Uuid;

    use super::*;
    use crate::factory::Factory;

    fn publisher() -> Publisher {
        let kafka = KafkaConfig {
            bootstrap_servers: "127.0.0.1:1".into(),
            auto_offset_reset: "earliest".into(),
            security: Default::default(),
        };
        Publisher::new(&kafka, None).unwrap()
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_oldest_leaves() {
        let publisher = publisher();
        let mut factory = Factory::new(7, Uuid::new_v4(), false);
        assert!(publisher.recent(5).is_empty());
        let mut ids = Vec::new();
        for _ in 0..RECENT + 3 {
            let event = factory.stranger(EventType::CompteFerme, Utc::now());
            ids.push(event.event_id().to_owned());
            remember(&publisher.recent, event.into());
        }
        let all = publisher.recent(usize::MAX);
        assert_eq!(all.len(), RECENT);
        assert_eq!(all[0].event_id(), ids[3]);
        let last: Vec<_> = publisher
            .recent(2)
            .iter()
            .map(|e| e.event_id().to_owned())
            .collect();
        assert_eq!(last, ids[RECENT + 1..]);
    }

    #[tokio::test]
    async fn nothing_is_published_before_the_schemas_are_registered() {
        let publisher = publisher();
        let mut factory = Factory::new(7, Uuid::new_v4(), false);
        let item = Item::Event(
            factory
                .stranger(EventType::DepotEffectue, Utc::now())
                .into(),
        );
        let answers = publisher.publish(&[item]).await;
        let [Answer::Failed(why)] = &answers[..] else {
            panic!("{answers:?}");
        };
        assert!(why.contains("not registered"), "{why}");
    }
}
