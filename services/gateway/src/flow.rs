//! Counts the records that pass: per topic how many, and how fast.
//!
//! [`crate::streaming`] tells it of each record, [`crate::metrics_api`] and the `stats` messages of
//! [`crate::websocket`] show the sums.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::websocket::TOPICS;

/// Rates are averages over this time: long enough to be steady, short enough to follow.
const WINDOW: Duration = Duration::from_secs(2);
/// The window is counted in slices of this.
const SLICE: Duration = Duration::from_millis(250);

/// What passed on one topic.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figures {
    /// Records since the gateway started.
    pub count: u64,
    /// Records per second, over the last two seconds.
    pub rate: f64,
}

/// Records of one slice of time.
#[derive(Debug, Clone, Copy)]
struct Slice {
    began: Instant,
    records: u64,
}

#[derive(Debug, Default)]
struct Counter {
    count: u64,
    recent: VecDeque<Slice>,
}

impl Counter {
    fn add(&mut self, now: Instant) {
        self.count += 1;
        match self.recent.back_mut() {
            Some(slice) if now.duration_since(slice.began) < SLICE => slice.records += 1,
            _ => {
                self.forget(now);
                self.recent.push_back(Slice {
                    began: now,
                    records: 1,
                });
            }
        }
    }

    fn figures(&mut self, now: Instant) -> Figures {
        self.forget(now);
        let records: u64 = self.recent.iter().map(|slice| slice.records).sum();
        Figures {
            count: self.count,
            rate: records as f64 / WINDOW.as_secs_f64(),
        }
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |slice: &Slice| now.duration_since(slice.began) > WINDOW;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
    }
}

/// Shared by the stream and by those who show it; topics are named by their index in [`TOPICS`].
#[derive(Debug, Default)]
pub struct Flow(Mutex<[Counter; TOPICS.len()]>);

impl Flow {
    /// A record of a topic passed.
    pub fn saw(&self, topic: usize, now: Instant) {
        self.lock()[topic].add(now);
    }

    /// The figures of every topic.
    pub fn tick(&self, now: Instant) -> [Figures; TOPICS.len()] {
        let mut counters = self.lock();
        let mut figures = [Figures::default(); TOPICS.len()];
        for (figures, counter) in figures.iter_mut().zip(counters.iter_mut()) {
            *figures = counter.figures(now);
        }
        figures
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Counter; TOPICS.len()]> {
        self.0.lock().expect("the flow's lock is not poisoned")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_two_seconds_and_a_count_of_all() {
        let mut counter = Counter::default();
        let start = Instant::now();
        for i in 0..100 {
            counter.add(start + Duration::from_millis(10 * i));
        }
        let figures = counter.figures(start + Duration::from_secs(1));
        assert_eq!((figures.count, figures.rate), (100, 50.0));
        let figures = counter.figures(start + Duration::from_secs(10));
        assert_eq!((figures.count, figures.rate), (100, 0.0));
    }

    #[test]
    fn slices_are_few_however_many_records_pass() {
        let mut counter = Counter::default();
        let start = Instant::now();
        for i in 0..100_000 {
            counter.add(start + Duration::from_micros(100 * i));
        }
        assert!(counter.recent.len() <= 10, "{}", counter.recent.len());
    }

    #[test]
    fn topics_are_counted_apart() {
        let (flow, now) = (Flow::default(), Instant::now());
        flow.saw(0, now);
        flow.saw(0, now);
        flow.saw(3, now);
        let figures = flow.tick(now);
        assert_eq!(figures.map(|f| f.count), [2, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(figures[0].rate, 1.0);
    }
}
