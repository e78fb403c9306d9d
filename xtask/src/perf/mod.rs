//! Measurements, each against a baseline in the same run: machines are shared and noisy, so a
//! figure by itself says little.
//!
//! One module per way of measuring: [`paced`] (latency, burst, knee), [`simulated`] (throughput,
//! sustained), [`gateway`], [`producer`], [`sink`], [`registry`], [`start`] (`up`). What they find has
//! one form, [`findings`], and goes into one [`report`] of what was found on which [`machine`]: JSON,
//! Markdown and a page ([`html`], [`svg`]); [`ui`], which needs a browser, has a report of its own. Loops
//! that are themselves measured stand in the crate `load`.

pub mod findings;
pub mod gateway;
pub mod html;
pub mod jobs;
pub mod lab;
pub mod machine;
pub mod paced;
pub mod producer;
pub mod registry;
pub mod report;
pub mod sample;
pub mod simulated;
pub mod sink;
pub mod sink_table;
pub mod start;
pub mod svg;
pub mod ui;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::kafka::admin::Inspector;
use schemas::EventType;
use serde::{Deserialize, Serialize};

use crate::output::Step;
use crate::state::LabState;

/// The middle of some values and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
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

/// A sink that commits nothing for this long has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until bancaire's stored offsets of a topic have reached its logs' ends.
///
/// # Errors
/// When bancaire stops on the way.
pub async fn settle(lab: &LabState, event_type: EventType, step: &Step) -> anyhow::Result<()> {
    let pool = chassis::postgres::connect(&lab.postgres())?;
    let inspector = Inspector::new(&lab.kafka())?;
    let topic = event_type.topic();
    let mut progress = (0, Instant::now());
    loop {
        // Asked each time: what bancaire itself publishes makes a log longer.
        let watermarks = inspector.watermarks(&[topic]).await?;
        let end: i64 = watermarks.values().map(|(_, high)| high).sum();
        let sql = "SELECT coalesce(sum(next_offset), 0)::bigint FROM bancaire.flux
                   WHERE topic = $1";
        let next = sqlx::query_scalar(sql).bind(topic).fetch_one(&pool).await;
        let next: i64 = next.context("failed to ask how far bancaire is")?;
        if next >= end {
            return Ok(());
        }
        if next != progress.0 {
            progress = (next, Instant::now());
        }
        anyhow::ensure!(
            progress.1.elapsed() < PATIENCE,
            "bancaire has stopped at {next} of {end} records of {topic}"
        );
        step.tick(format_args!("bancaire reads {topic}: {} to go", end - next));
        tokio::time::sleep(Duration::from_millis(50)).await;
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
