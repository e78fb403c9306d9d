//! What writer, consumer and API share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chassis::metrics::{COMMITTED_OFFSET, CONSUMER_LAG};
use schemas::EventType;
use tokio::sync::{Notify, RwLock};

use crate::health::Health;

/// What writer, consumer and API share.
#[derive(Default)]
pub struct Shared {
    /// Counts up whenever the positions of the consumer become invalid.
    pub generation: AtomicU64,
    pub health: Health,
    /// Shared by the writers while they try to commit, and taken alone by who reads the stored offsets:
    /// what is about to move them is done by then.
    pub commits: RwLock<()>,
    /// Wakes the relay when the outbox has rows.
    pub outbox_ready: Arc<Notify>,
    offsets: Mutex<Offsets>,
}

/// The next offset of each partition of this worker.
#[derive(Default)]
struct Offsets {
    committed: BTreeMap<(EventType, i32), i64>,
    /// Those that Kafka has not been told of yet.
    hints: BTreeMap<(EventType, i32), i64>,
}

impl Shared {
    /// Notes offsets that PostgreSQL holds; not those of an older generation, whose partitions may
    /// be another's by now.
    pub fn note_committed(
        &self,
        generation: u64,
        offsets: impl Iterator<Item = ((EventType, i32), i64)>,
    ) {
        let mut known = self.offsets();
        if self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        for (key, next) in offsets {
            known.committed.insert(key, next);
            known.hints.insert(key, next);
        }
    }

    /// This worker's partitions are another's now.
    pub fn forget_committed(&self) {
        *self.offsets() = Offsets::default();
        CONSUMER_LAG.reset();
        COMMITTED_OFFSET.reset();
    }

    /// What Kafka is to be told, once.
    pub fn take_hints(&self) -> Vec<((EventType, i32), i64)> {
        std::mem::take(&mut self.offsets().hints)
            .into_iter()
            .collect()
    }

    pub fn committed(&self) -> BTreeMap<(EventType, i32), i64> {
        self.offsets().committed.clone()
    }

    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}
