//! From the moments of single events to figures: latencies, and what happened over time.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// An event that is handed over later than this after it was due makes the load generator suspect.
const LATE: Duration = Duration::from_millis(1);
/// A histogram's upper end; longer ones count as this.
const LONGEST_US: u64 = 600_000_000;

/// The moments of one event, from the begin of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trace {
    /// When it should have been handed over.
    pub due: Duration,
    pub sent: Duration,
    /// When its effect was seen in PostgreSQL.
    pub visible: Duration,
}

/// Latencies in microseconds, up to ten minutes, three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are in order")
}

/// Latencies from the moment at which each event was due, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latencies {
    pub count: u64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Latencies {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: histogram.len(),
            mean: histogram.mean() / 1000.0,
            p50: ms(0.5),
            p90: ms(0.9),
            p95: ms(0.95),
            p99: ms(0.99),
            p999: ms(0.999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

/// A while of a run, for a plot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Its middle, in seconds from the begin.
    pub at_s: f64,
    /// Of the events that were due in it, in milliseconds; `None` when there was none.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    /// Events per second that were sent, and that became visible.
    pub sent: f64,
    pub committed: f64,
    /// Events that were due and not visible at its end.
    pub lag: f64,
}

/// What one run came to.
#[derive(Debug, Clone)]
pub struct Run {
    pub latencies: Histogram<u64>,
    /// How many events were handed over more than a millisecond late, and the latest.
    pub late: u64,
    pub latest_ms: f64,
    /// From the first event due to the last one visible.
    pub took: Duration,
    pub slices: Vec<Slice>,
}

impl Run {
    /// `slices` is how many pieces the run is cut into for plots.
    pub fn of(traces: &[Trace], slices: usize) -> Self {
        let mut latencies = histogram();
        let mut late = 0;
        let mut latest = Duration::ZERO;
        for trace in traces {
            latencies.saturating_record(micros(trace.visible.saturating_sub(trace.due)));
            let behind = trace.sent.saturating_sub(trace.due);
            late += u64::from(behind > LATE);
            latest = latest.max(behind);
        }
        let first = traces.iter().map(|t| t.due).min().unwrap_or_default();
        let last = traces.iter().map(|t| t.visible).max().unwrap_or_default();
        Self {
            latencies,
            late,
            latest_ms: latest.as_secs_f64() * 1000.0,
            took: last.saturating_sub(first),
            slices: cut(traces, last, slices.max(1)),
        }
    }

    /// Events per second from the first due to the last visible.
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn cut(traces: &[Trace], end: Duration, count: usize) -> Vec<Slice> {
    let width = (end.as_secs_f64() / count as f64).max(1e-6);
    let place = |at: Duration| ((at.as_secs_f64() / width) as usize).min(count - 1);
    let mut sent = vec![0_u64; count];
    let mut due = vec![0_u64; count];
    let mut committed = vec![0_u64; count];
    let mut latencies: Vec<Histogram<u64>> = (0..count).map(|_| histogram()).collect();
    for trace in traces {
        sent[place(trace.sent)] += 1;
        due[place(trace.due)] += 1;
        committed[place(trace.visible)] += 1;
        let latency = micros(trace.visible.saturating_sub(trace.due));
        latencies[place(trace.due)].saturating_record(latency);
    }
    let mut lag = 0_i64;
    (0..count)
        .map(|i| {
            lag += due[i] as i64 - committed[i] as i64;
            let ms = |quantile| latencies[i].value_at_quantile(quantile) as f64 / 1000.0;
            let any = !latencies[i].is_empty();
            Slice {
                at_s: (i as f64 + 0.5) * width,
                p50: any.then(|| ms(0.5)),
                p99: any.then(|| ms(0.99)),
                sent: sent[i] as f64 / width,
                committed: committed[i] as f64 / width,
                lag: lag as f64,
            }
        })
        .collect()
}

/// The latencies of several runs together.
pub fn merged<'a>(histograms: impl IntoIterator<Item = &'a Histogram<u64>>) -> Histogram<u64> {
    let mut all = histogram();
    for one in histograms {
        all.add(one).expect("all have the same bounds");
    }
    all
}

/// Quantile and latency in milliseconds, for the plot of a distribution: denser towards the end.
pub fn distribution(histogram: &Histogram<u64>) -> Vec<(f64, f64)> {
    let mut curve = Vec::new();
    let mut tail = 1.0;
    // Half of what is left, in steps of a fifth of that, while there is still an event in it.
    while tail * histogram.len() as f64 >= 1.0 {
        for fifth in 0..5 {
            let quantile = 1.0 - tail * (1.0 - f64::from(fifth) / 10.0);
            let ms = histogram.value_at_quantile(quantile) as f64 / 1000.0;
            curve.push((quantile, ms));
        }
        tail /= 2.0;
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(due: u64, sent: u64, visible: u64) -> Trace {
        let [due, sent, visible] = [due, sent, visible].map(Duration::from_millis);
        Trace { due, sent, visible }
    }

    /// A stall of the generator counts as latency: from when it was due, not from when it was sent.
    #[test]
    fn latency_counts_from_when_an_event_was_due() {
        let run = Run::of(&[trace(0, 0, 4), trace(10, 60, 64), trace(20, 60, 64)], 2);
        let latencies = Latencies::of(&run.latencies);
        assert_eq!(latencies.count, 3);
        assert!((latencies.max - 54.0).abs() < 0.1, "{latencies:?}");
        assert_eq!(run.late, 2);
        assert_eq!(run.latest_ms, 50.0);
        assert_eq!(run.took, Duration::from_millis(64));
    }

    #[test]
    fn slices_tell_what_was_behind_at_their_end() {
        let traces: Vec<Trace> = (0..10).map(|n| trace(n * 10, n * 10, 100)).collect();
        let run = Run::of(&traces, 2);
        let [first, second] = &run.slices[..] else {
            panic!("two were asked for: {:?}", run.slices);
        };
        assert_eq!((first.lag, second.lag), (5.0, 0.0));
        assert_eq!((first.committed, second.committed), (0.0, 200.0));
        assert!(first.p99 > second.p99);
        let empty = Run::of(&[], 3);
        assert_eq!(empty.took, Duration::ZERO);
        assert!(empty.slices.iter().all(|slice| slice.p99.is_none()));
    }

    #[test]
    fn a_distribution_rises_to_the_last_event() {
        let mut histogram = histogram();
        for us in 1..=1000 {
            histogram.record(us).unwrap();
        }
        let curve = distribution(&histogram);
        assert!(curve.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
        let (quantile, ms) = *curve.last().unwrap();
        assert!(quantile > 0.998 && ms > 0.997, "{quantile} {ms}");
    }
}
