//! Measurements, each against a baseline in the same run: machines are shared and noisy, so a
//! figure by itself says little.
//!
//! One module per benchmark ([`sink`], [`registry`], [`gateway`], [`ui`]); [`machine`] is what they ran on, [`report`] what they found.

pub mod deposits;
pub mod gateway;
pub mod machine;
pub mod registry;
pub mod report;
pub mod sink;
pub mod ui;

use serde::Serialize;

/// The middle of some values and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` without any value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([]), None);
        let spread = |values: &[f64]| Spread::of(values.iter().copied()).unwrap();
        assert_eq!(spread(&[3.0]).median, 3.0);
        assert_eq!(
            spread(&[9.0, 1.0, 2.0]),
            Spread {
                median: 2.0,
                min: 1.0,
                max: 9.0
            }
        );
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]).median, 3.0);
    }
}
