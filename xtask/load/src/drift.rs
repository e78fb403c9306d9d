//! Whether a series of samples grows: a leak, or noise?
//!
//! The slope is Theil and Sen's: the median of the slopes between any two samples, which a few
//! outliers do not move, and its confidence interval comes from Kendall's variance. Samples of
//! memory are not independent (it grows in steps and stays), so the interval is too narrow; hence
//! growth that amounts to next to nothing is called flat too.

use serde::{Deserialize, Serialize};

/// Two-sided, 95 %.
const Z: f64 = 1.96;

/// How a series moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    pub median: f64,
    /// Per second.
    pub slope: f64,
    /// The slope is between these with 95 % confidence.
    pub slope_low: f64,
    pub slope_high: f64,
    /// What the slope comes to over the whole series.
    pub growth: f64,
}

impl Drift {
    /// Of samples of (seconds, value), in order. `None` below ten.
    pub fn of(samples: &[(f64, f64)]) -> Option<Self> {
        let n = samples.len();
        if n < 10 {
            return None;
        }
        let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
        for (i, (t0, v0)) in samples.iter().enumerate() {
            for (t1, v1) in &samples[i + 1..] {
                if t1 > t0 {
                    slopes.push((v1 - v0) / (t1 - t0));
                }
            }
        }
        slopes.sort_by(f64::total_cmp);
        let mut values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        let nf = n as f64;
        let width = Z * (nf * (nf - 1.0) * (2.0 * nf + 5.0) / 18.0).sqrt();
        let pairs = slopes.len() as f64;
        let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(slopes.len() - 1)];
        let slope = at(pairs / 2.0);
        let (first, last) = (samples[0].0, samples[n - 1].0);
        Some(Self {
            median: values[n / 2],
            slope,
            slope_low: at((pairs - width) / 2.0),
            slope_high: at((pairs + width) / 2.0),
            growth: slope * (last - first),
        })
    }

    /// Not distinguishable from a constant, or growth that is below `negligible`.
    pub fn is_flat(&self, negligible: f64) -> bool {
        self.slope_low <= 0.0 || self.growth <= negligible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(value: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
        (0..300).map(|i| (i as f64, value(i))).collect()
    }
    /// Noise between -1 and 1 that is the same every time.
    fn noise(i: usize) -> f64 {
        ((i * 7919) % 201) as f64 / 100.0 - 1.0
    }

    #[test]
    fn a_leak_is_told_from_noise() {
        let noisy = Drift::of(&series(|i| 50.0 + 3.0 * noise(i))).unwrap();
        assert!(noisy.is_flat(0.0), "{noisy:?}");
        let leak = Drift::of(&series(|i| 50.0 + 0.02 * i as f64 + noise(i))).unwrap();
        assert!(!leak.is_flat(1.0), "{leak:?}");
        assert!((leak.growth - 6.0).abs() < 0.5, "{leak:?}");
        assert!(leak.is_flat(10.0), "it is small against what was allowed");
    }

    #[test]
    fn single_steps_and_outliers_are_no_leak() {
        let step = Drift::of(&series(|i| if i < 40 { 50.0 } else { 51.0 })).unwrap();
        assert!(step.is_flat(0.5), "{step:?}");
        let spike = Drift::of(&series(|i| if i == 200 { 500.0 } else { 50.0 })).unwrap();
        assert_eq!(spike.slope, 0.0);
        assert!(Drift::of(&[(0.0, 1.0); 9]).is_none());
    }

    #[test]
    fn what_shrinks_does_not_leak() {
        let shrinking = Drift::of(&series(|i| 50.0 - 0.1 * i as f64)).unwrap();
        assert!(shrinking.is_flat(0.0));
    }
}
