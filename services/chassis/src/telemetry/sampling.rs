//! Which traces are recorded: so many per second, whatever the load. A trace that was begun
//! elsewhere is followed as its `traceparent` says.
//!
//! Records are not asked about one by one: [`admits_event`] decides before a span exists, so that
//! an event without a trace costs one comparison of clocks.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

/// Traces of reading requests, which pages and probes repeat all the time, as a share of the others.
const READS: f64 = 0.1;

/// For events that begin a trace.
static BEGINNING: LazyLock<Bucket> = LazyLock::new(|| Bucket::new(10.0));
/// For events that go on in one, as many again: a simulation must not use up what a request needs.
static FOLLOWING: LazyLock<Bucket> = LazyLock::new(|| Bucket::new(10.0));

/// True when an event published now may have a span of its own; `follows` in a trace that is recorded.
pub fn admits_event(follows: bool) -> bool {
    if follows { &FOLLOWING } else { &BEGINNING }.admits()
}

pub(super) fn set_events_per_second(per_second: f64) {
    BEGINNING.set(per_second);
    FOLLOWING.set(per_second);
}

/// So many per second, with a second's worth at once: the generic cell rate algorithm, without a
/// lock.
#[derive(Debug)]
struct Bucket {
    began: Instant,
    /// Nanoseconds between two; 0 admits nothing.
    interval_ns: AtomicU64,
    /// When the next one would be due if they came evenly.
    due_ns: AtomicU64,
}

impl Bucket {
    fn new(per_second: f64) -> Self {
        let bucket = Self {
            began: Instant::now(),
            interval_ns: AtomicU64::new(0),
            due_ns: AtomicU64::new(0),
        };
        bucket.set(per_second);
        bucket
    }

    fn set(&self, per_second: f64) {
        let interval = if per_second > 0.0 {
            (1e9 / per_second).ceil() as u64
        } else {
            0
        };
        self.interval_ns.store(interval, Ordering::Relaxed);
    }

    fn admits(&self) -> bool {
        self.admits_at(self.began.elapsed().as_nanos() as u64)
    }

    fn admits_at(&self, now: u64) -> bool {
        let interval = self.interval_ns.load(Ordering::Relaxed);
        if interval == 0 {
            return false;
        }
        // At least one at once, however rare.
        let burst = interval.max(1_000_000_000);
        self.due_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due| {
                let due = due.max(now) + interval;
                (due <= now + burst).then_some(due)
            })
            .is_ok()
    }
}

/// Decides for spans that begin a trace; see the module's text.
#[derive(Debug)]
pub(super) struct Sampler {
    reads: Bucket,
    others: Bucket,
}

impl Sampler {
    pub(super) fn new(per_second: f64) -> Self {
        Self {
            reads: Bucket::new(per_second * READS),
            others: Bucket::new(per_second),
        }
    }

    fn begins(&self, kind: &SpanKind, attributes: &[KeyValue]) -> bool {
        match kind {
            // Asked about before.
            SpanKind::Producer => true,
            SpanKind::Server if is_read(attributes) => self.reads.admits(),
            _ => self.others.admits(),
        }
    }
}

impl Clone for Sampler {
    fn clone(&self) -> Self {
        let copy = |bucket: &Bucket| Bucket {
            began: bucket.began,
            interval_ns: AtomicU64::new(bucket.interval_ns.load(Ordering::Relaxed)),
            due_ns: AtomicU64::new(bucket.due_ns.load(Ordering::Relaxed)),
        };
        Self {
            reads: copy(&self.reads),
            others: copy(&self.others),
        }
    }
}

fn is_read(attributes: &[KeyValue]) -> bool {
    let method = attributes
        .iter()
        .find(|attribute| attribute.key.as_str() == "http.request.method");
    method.is_some_and(|method| ["GET", "HEAD"].contains(&method.value.as_str().as_ref()))
}

impl ShouldSample for Sampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        _: TraceId,
        _: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let parent = parent.map(|context| context.span().span_context().clone());
        let parent = parent.filter(|span| span.is_valid());
        let is_sampled = match &parent {
            Some(parent) => parent.is_sampled(),
            None => self.begins(kind, attributes),
        };
        SamplingResult {
            decision: if is_sampled {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: parent.map_or_else(TraceState::default, |span| span.trace_state().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_bucket_admits_its_rate_and_no_more() {
        let bucket = Bucket::new(10.0);
        let admitted = |from: u64| {
            let times = (0..10_000).map(|i| from + i * SECOND / 10_000);
            times.filter(|now| bucket.admits_at(*now)).count()
        };
        // What was not used before may come at once.
        assert!((19..=20).contains(&admitted(0)));
        assert!((9..=11).contains(&admitted(SECOND)));
        bucket.set(0.0);
        assert_eq!(admitted(100 * SECOND), 0);
        bucket.set(0.1);
        assert_eq!(admitted(200 * SECOND), 1);
    }

    #[test]
    fn a_simulation_does_not_use_up_what_a_request_needs() {
        set_events_per_second(10.0);
        let begun = (0..100).filter(|_| admits_event(false)).count();
        assert!(begun < 100, "{begun}");
        assert!(admits_event(true));
    }

    #[test]
    fn reading_requests_do_not_use_up_what_others_need() {
        let sampler = Sampler::new(10.0);
        let method = |method: &'static str| [KeyValue::new("http.request.method", method)];
        let begins = |word| sampler.begins(&SpanKind::Server, &method(word));
        let reads = (0..100).filter(|_| begins("GET")).count();
        assert!((1..=2).contains(&reads), "{reads}");
        assert!(begins("POST"));
    }
}
