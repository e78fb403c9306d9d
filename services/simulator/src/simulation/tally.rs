//! Counts what the broker answered, and how fast.
//!
//! The producer's thread counts, the [`driver`](super) samples, the API reads; nothing waits for
//! another.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use schemas::EventType;

use super::{FaultCounts, lock};
use crate::generator::Item;

/// The rate of a running simulation is that of this last while.
const WINDOW: Duration = Duration::from_secs(5);
/// Twice a second is often enough for a window of seconds.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What kind of record it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Event,
    /// With the opening's number.
    Opening(u64),
    Duplicate,
    Poison,
}

/// What has to be known of a record when the broker answers.
#[derive(Debug, Clone, Copy)]
pub struct Stub {
    event_type: EventType,
    kind: Kind,
}

impl From<&Item> for Stub {
    fn from(item: &Item) -> Self {
        let kind = match item {
            Item::Event(_) => Kind::Event,
            Item::Opening(_, number) => Kind::Opening(*number),
            Item::Duplicate(_) => Kind::Duplicate,
            Item::Poison { .. } => Kind::Poison,
        };
        let event_type = item.event_type();
        Self { event_type, kind }
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Tally {
    by_type: [AtomicU64; EventType::ALL.len()],
    duplicates: AtomicU64,
    poison: AtomicU64,
    failed: AtomicU64,
    in_flight: AtomicU64,
    /// The generator has to know; it takes them before each draw.
    openings: Mutex<Vec<(u64, bool)>>,
    /// How many were acknowledged at some moments of the last while, oldest first.
    samples: Mutex<VecDeque<(Duration, u64)>>,
}

/// The counters at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub by_type: [u64; EventType::ALL.len()],
    pub faults: FaultCounts,
    pub failed: u64,
    pub in_flight: u64,
}

impl Counts {
    pub fn acked(&self) -> u64 {
        self.by_type.iter().sum()
    }
}

impl Tally {
    /// A record is about to be handed over.
    pub fn sent(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    /// It was not taken, and is going to be offered again.
    pub fn taken_back(&self) {
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// The broker answered for it.
    pub fn answered(&self, stub: Stub, acked: bool) {
        match (acked, stub.kind) {
            (true, Kind::Duplicate) => _ = self.duplicates.fetch_add(1, Relaxed),
            (true, Kind::Poison) => _ = self.poison.fetch_add(1, Relaxed),
            _ => {}
        }
        if acked {
            self.by_type[stub.event_type.index()].fetch_add(1, Relaxed);
        } else {
            self.failed.fetch_add(1, Relaxed);
        }
        if let Kind::Opening(number) = stub.kind {
            lock(&self.openings).push((number, acked));
        }
        // Last: who sees nothing in flight sees everything counted.
        self.in_flight
            .fetch_sub(1, std::sync::atomic::Ordering::Release);
    }

    /// Nobody waits any longer, because the service ends: what has no answer counts as failed.
    pub fn give_up(&self) -> u64 {
        let left = self.in_flight();
        self.failed.fetch_add(left, Relaxed);
        left
    }

    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(std::sync::atomic::Ordering::Acquire)
    }

    /// The openings that were answered since the last call.
    pub fn take_openings(&self) -> Vec<(u64, bool)> {
        std::mem::take(&mut lock(&self.openings))
    }

    pub fn counts(&self) -> Counts {
        let in_flight = self.in_flight();
        Counts {
            by_type: std::array::from_fn(|i| self.by_type[i].load(Relaxed)),
            faults: FaultCounts {
                duplicates: self.duplicates.load(Relaxed),
                poison: self.poison.load(Relaxed),
            },
            failed: self.failed.load(Relaxed),
            in_flight,
        }
    }

    /// Notes how far it is; may be called as often as one likes.
    pub fn sample(&self, elapsed: Duration) {
        let mut samples = lock(&self.samples);
        if samples
            .back()
            .is_some_and(|(at, _)| elapsed < *at + SAMPLE_EVERY)
        {
            return;
        }
        samples.push_back((elapsed, self.counts().acked()));
        // One sample older than the window stays, for the window's whole length to be covered.
        while samples
            .get(1)
            .is_some_and(|(at, _)| *at + WINDOW <= elapsed)
        {
            samples.pop_front();
        }
    }

    /// Events per second over the last while.
    pub fn rate(&self, elapsed: Duration) -> f64 {
        let samples = lock(&self.samples);
        let (at, acked) = samples.front().copied().unwrap_or_default();
        let seconds = elapsed.saturating_sub(at).as_secs_f64();
        // Of a moment so short one event more or less would be thousands per second.
        if seconds < 0.05 {
            return 0.0;
        }
        (self.counts().acked() - acked) as f64 / seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stub(kind: Kind) -> Stub {
        let event_type = EventType::DepotEffectue;
        Stub { event_type, kind }
    }

    #[test]
    fn every_record_is_counted_once_when_it_is_answered() {
        let tally = Tally::default();
        for kind in [Kind::Event, Kind::Duplicate, Kind::Poison, Kind::Opening(3)] {
            tally.sent();
            tally.answered(stub(kind), true);
        }
        for kind in [Kind::Opening(4), Kind::Duplicate] {
            tally.sent();
            tally.answered(stub(kind), false);
        }
        tally.sent();
        tally.sent();
        tally.taken_back();
        let counts = tally.counts();
        assert_eq!(counts.acked(), 4);
        assert_eq!(counts.by_type[EventType::DepotEffectue.index()], 4);
        let faults = FaultCounts {
            duplicates: 1,
            poison: 1,
        };
        assert_eq!(counts.faults, faults);
        assert_eq!((counts.failed, counts.in_flight), (2, 1));
        assert_eq!(tally.take_openings(), [(3, true), (4, false)]);
        assert!(tally.take_openings().is_empty());
        assert_eq!(tally.give_up(), 1);
        assert_eq!(tally.counts().failed, 3);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let tally = Tally::default();
        let ms = Duration::from_millis;
        assert_eq!(tally.rate(ms(10)), 0.0, "too early to tell");
        for step in 0..200 {
            tally.sample(ms(step * 100));
            // 10 per second for 10 s, then 100 per second.
            for _ in 0..(if step < 100 { 1 } else { 10 }) {
                tally.sent();
                tally.answered(stub(Kind::Event), true);
            }
            if step == 99 {
                assert!((tally.rate(ms(10_000)) - 10.0).abs() < 0.5);
            }
        }
        assert!(
            (tally.rate(ms(20_000)) - 100.0).abs() < 2.0,
            "{}",
            tally.rate(ms(20_000))
        );
        assert!(lock(&tally.samples).len() <= 12, "bounded");
    }
}
