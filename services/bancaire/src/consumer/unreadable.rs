//! Partitions that wait for the registry, because their next record needs a schema that is not
//! known yet.

use std::time::Instant;

use chassis::kafka::Failure;
use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use schemas::EventType;

use super::{Poller, list};
use crate::domain::FastMap;
use crate::health::Dependency;

/// Partitions whose next record needs a schema that the registry has not told yet.
pub(super) struct Unreadable {
    pub(super) schema_ids: FastMap<(EventType, i32), u32>,
    /// The registry is asked again then.
    pub(super) ask_at: Instant,
}

impl Default for Unreadable {
    fn default() -> Self {
        Self {
            schema_ids: FastMap::default(),
            ask_at: Instant::now(),
        }
    }
}

impl Poller {
    /// Stops reading a partition at a record whose schema must be asked for: it is read from there
    /// when the registry is back.
    pub(super) fn set_aside(&mut self, partition: (EventType, i32), schema_id: u32) {
        self.unreadable.schema_ids.insert(partition, schema_id);
        let list = list([(partition, Offset::Invalid)].into_iter());
        if let Err(e) = self.source.consumer.pause(&list) {
            // What comes of it all the same is not taken.
            tracing::warn!(error = %e, "Failed to pause a partition");
        }
    }

    /// Says so, and asks again later.
    pub(super) fn wait_for_registry(&mut self, why: String) {
        self.health().down(Dependency::Registry, why);
        self.unreadable.ask_at = Instant::now() + self.backoff.next_delay();
    }

    /// Nothing waits any more: the partitions are read from elsewhere, or by another.
    pub(super) fn forget_unreadable(&mut self) {
        if !self.unreadable.schema_ids.is_empty() {
            self.unreadable.schema_ids.clear();
            self.health().up(Dependency::Registry);
        }
    }

    /// Asks for one of the schemas that are needed; with the first answer, known or known to be
    /// unknown, all partitions are read again, which asks for the others.
    pub(super) fn ask_registry(&mut self) {
        let Some(id) = self.unreadable.schema_ids.values().next().copied() else {
            return;
        };
        match self.source.runtime.block_on(self.source.decoder.fetch(id)) {
            Err(Failure::Transient(e)) => self.wait_for_registry(e),
            Ok(()) | Err(Failure::Poison(_)) => {
                self.forget_unreadable();
                self.read_from_positions();
            }
        }
    }
}
