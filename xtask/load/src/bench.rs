//! Micro-benchmarks: how long a piece of code takes per element, alone and warm.
//!
//! A well-known crate does this with more statistics, but with it serde and others get another set
//! of features, and a test build would compile every dependency a second time.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Before anything counts, so that caches and branch predictors know the code.
const WARM_UP: Duration = Duration::from_millis(300);
/// One sample is at least that long: the clock's own cost vanishes.
const SAMPLE: Duration = Duration::from_millis(20);
const SAMPLES: usize = 50;

/// Nanoseconds per element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taken {
    pub median: f64,
    pub fastest: f64,
    pub slowest: f64,
}

/// Measures `work`, which deals with `elements`, and prints one line.
pub fn bench<T>(name: &str, elements: usize, work: impl FnMut() -> T) -> Taken {
    let taken = measure(elements, WARM_UP, SAMPLE, work);
    let Taken {
        median,
        fastest,
        slowest,
    } = taken;
    println!("{name:28} {median:>9.1} ns each  ({fastest:.1} to {slowest:.1})");
    taken
}

fn measure<T>(
    elements: usize,
    warm_up: Duration,
    sample: Duration,
    mut work: impl FnMut() -> T,
) -> Taken {
    let began = Instant::now();
    let mut calls = 0_u32;
    while calls == 0 || began.elapsed() < warm_up {
        black_box(work());
        calls += 1;
    }
    let one = began.elapsed() / calls;
    let repeat = (sample.as_nanos() / one.as_nanos().max(1)).clamp(1, 10_000_000) as u32;
    let mut samples: Vec<f64> = (0..SAMPLES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..repeat {
                black_box(work());
            }
            began.elapsed().as_nanos() as f64 / f64::from(repeat) / elements as f64
        })
        .collect();
    samples.sort_by(f64::total_cmp);
    Taken {
        median: samples[SAMPLES / 2],
        fastest: samples[0],
        slowest: samples[SAMPLES - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_per_element() {
        let nap = Duration::from_micros(200);
        let short = Duration::from_micros(1);
        let taken = measure(10, short, short, || std::thread::sleep(nap));
        assert!(taken.fastest >= 20_000.0, "{taken:?}");
        assert!(taken.fastest <= taken.median && taken.median <= taken.slowest);
    }
}
