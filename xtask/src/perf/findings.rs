//! What benchmarks found, in one form for all of them: figures with their bounds, and plots.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Spread;
use super::machine::CpuTicks;
use crate::Context;
use crate::verify;

/// What a figure is measured against.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    Below(f64),
    AtLeast(f64),
}

impl Bound {
    pub fn holds(self, value: f64) -> bool {
        match self {
            Bound::Below(bound) => value < bound,
            Bound::AtLeast(bound) => value >= bound,
        }
    }

    pub fn text(self, unit: &str) -> String {
        let (sign, bound) = match self {
            Bound::Below(bound) => ("<", bound),
            Bound::AtLeast(bound) => ("≥", bound),
        };
        format!("{sign} {} {unit}", number(bound)).trim_end().into()
    }
}

/// A bound of the benchmarks that have reports of their own.
#[derive(Debug, Serialize)]
pub struct Goal {
    pub what: &'static str,
    pub found: f64,
    pub below: f64,
}

/// One value, over all runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figure {
    pub name: String,
    /// `ms`, `/s`, `MB`, … ; empty for a ratio.
    pub unit: String,
    pub value: Spread,
    pub runs: usize,
    /// What must hold: missing it is a failure.
    pub floor: Option<Bound>,
    /// What is aimed for: missing it is said.
    pub goal: Option<Bound>,
}

impl Figure {
    /// # Errors
    /// Without any value.
    pub fn new(
        name: impl Into<String>,
        unit: &str,
        values: impl IntoIterator<Item = f64>,
    ) -> anyhow::Result<Self> {
        let values: Vec<f64> = values.into_iter().collect();
        Ok(Self {
            name: name.into(),
            unit: unit.into(),
            value: Spread::of(values.iter().copied()).context("nothing was measured")?,
            runs: values.len(),
            floor: None,
            goal: None,
        })
    }

    #[must_use]
    pub fn floor(mut self, bound: Bound) -> Self {
        self.floor = Some(bound);
        self
    }

    #[must_use]
    pub fn goal(mut self, bound: Bound) -> Self {
        self.goal = Some(bound);
        self
    }

    pub fn fails(&self) -> bool {
        self.floor.is_some_and(|b| !b.holds(self.value.median))
    }

    pub fn misses(&self) -> bool {
        self.goal.is_some_and(|b| !b.holds(self.value.median))
    }

    /// `met`, `goal missed`, `FAILED`, or nothing where nothing was asked.
    pub fn verdict(&self) -> &'static str {
        match (self.fails(), self.misses()) {
            (true, _) => "FAILED",
            (false, true) => "goal missed",
            _ if self.floor.is_some() || self.goal.is_some() => "met",
            _ => "",
        }
    }
}

/// Points of one colour.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// How values are laid along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    #[default]
    Linear,
    Log,
    /// Of quantiles: 90 %, 99 % and 99.9 % are equally far apart.
    Tail,
}

/// A diagram.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plot {
    pub title: String,
    pub x: String,
    pub y: String,
    #[serde(default)]
    pub x_scale: Scale,
    #[serde(default)]
    pub y_scale: Scale,
    pub lines: Vec<Line>,
}

/// What `verify` said afterwards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Verified {
    pub passed: bool,
    pub summary: String,
}

/// What one benchmark found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Benchmark {
    pub name: String,
    pub title: String,
    /// How it was measured, in a sentence or two.
    pub how: String,
    pub figures: Vec<Figure>,
    pub plots: Vec<Plot>,
    /// What else is to be known to read the figures.
    pub notes: Vec<String>,
    /// A table of the benchmark's own, as plain text.
    #[serde(default)]
    pub table: Option<String>,
    /// `None` where no event was published.
    pub verified: Option<Verified>,
    pub steal_percent: f64,
    /// Everything in the benchmark's own form.
    pub details: Value,
}

impl Benchmark {
    /// What must not be: a figure beyond its floor, a broken invariant.
    pub fn failures(&self) -> Vec<String> {
        let figures = self.figures.iter().filter(|figure| figure.fails());
        let mut failures: Vec<String> = figures
            .map(|figure| {
                let bound = figure.floor.map(|b| b.text(&figure.unit));
                let value = number(figure.value.median);
                format!(
                    "{}: {} is {value} {}, not {}",
                    self.name,
                    figure.name,
                    figure.unit,
                    bound.unwrap_or_default()
                )
            })
            .collect();
        if let Some(verified) = self.verified.as_ref().filter(|v| !v.passed) {
            failures.push(format!(
                "{}: verify failed: {}",
                self.name, verified.summary
            ));
        }
        failures
    }

    /// Goals that are not met.
    pub fn missed(&self) -> Vec<String> {
        let missed = self.figures.iter().filter(|figure| figure.misses());
        missed
            .map(|figure| format!("{}: {}", self.name, figure.name))
            .collect()
    }

    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }

    /// The rows of a Markdown table.
    pub fn rows(&self) -> Vec<String> {
        let row = |figure: &Figure| {
            let Spread { median, min, max } = figure.value;
            let spread = match figure.runs {
                1 => String::new(),
                runs => format!("{} to {} ({runs} runs)", number(min), number(max)),
            };
            let bound = |bound: Option<Bound>| {
                bound.map_or(String::new(), |bound| bound.text(&figure.unit))
            };
            format!(
                "| {} | {} | {} | {spread} | {} | {} | {} |",
                self.name,
                figure.name,
                format!("{} {}", number(median), figure.unit).trim_end(),
                bound(figure.floor),
                bound(figure.goal),
                figure.verdict()
            )
        };
        self.figures.iter().map(row).collect()
    }
}

/// As many digits as a person wants to see.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        x if x >= 1000.0 => return thousands(value),
        x if x >= 100.0 || x == 0.0 => 0,
        x if x >= 10.0 => 1,
        x if x >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Steal over a while.
pub struct Ticking(Option<CpuTicks>);

impl Ticking {
    pub fn start() -> Self {
        Self(CpuTicks::now())
    }

    /// Per cent of the time since the start that others had.
    pub fn steal_percent(&self) -> f64 {
        let now = CpuTicks::now().zip(self.0);
        now.map_or(0.0, |(now, then)| now.steal_since(then))
    }
}

/// Asks the lab whether anything was lost, doubled or reordered by what was just measured.
///
/// # Errors
/// When it cannot be asked. A verdict that is bad is no error.
pub async fn verified(ctx: &Context) -> anyhow::Result<Verified> {
    let step = ctx.out.step("verify", "asks the lab");
    let options = verify::Options {
        settle: std::time::Duration::from_secs(60),
        read_back_limit: i64::MAX,
    };
    let verdict = verify::judge(&ctx.lab()?, options, &step).await?;
    if verdict.passed {
        step.done("every invariant that could be judged holds");
    } else {
        step.fail("an invariant is broken");
    }
    Ok(Verified {
        passed: verdict.passed,
        summary: verdict.summary(),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::perf) fn sample(p99: f64) -> Benchmark {
        let p99 = Figure::new("p99", "ms", [p99, p99 + 1.0, p99 + 2.0])
            .unwrap()
            .floor(Bound::Below(500.0))
            .goal(Bound::Below(25.0));
        Benchmark {
            name: "latency".into(),
            title: "Latency <of> events".into(),
            how: "An open loop.".into(),
            figures: vec![p99],
            plots: vec![Plot {
                title: "Over time".into(),
                x: "s".into(),
                y: "ms".into(),
                x_scale: Scale::Linear,
                y_scale: Scale::Log,
                lines: vec![Line {
                    name: "p99".into(),
                    points: vec![(0.0, 1.0), (1.0, 20.0)],
                }],
            }],
            notes: vec!["A note.".into()],
            table: None,
            verified: Some(Verified {
                passed: true,
                summary: "all hold".into(),
            }),
            steal_percent: 1.0,
            details: Value::Null,
        }
    }

    #[test]
    fn a_floor_fails_and_a_goal_is_only_missed() {
        let good = sample(3.0);
        assert!(good.failures().is_empty() && good.missed().is_empty());
        assert_eq!(good.figures[0].verdict(), "met");
        let slow = sample(100.0);
        assert!(slow.failures().is_empty());
        assert_eq!(slow.missed(), ["latency: p99"]);
        let broken = sample(600.0);
        assert_eq!(broken.failures(), ["latency: p99 is 601 ms, not < 500 ms"]);
        let mut lossy = sample(3.0);
        lossy.verified.as_mut().unwrap().passed = false;
        assert_eq!(lossy.failures().len(), 1);
    }

    #[test]
    fn rows_are_markdown() {
        assert_eq!(
            sample(3.0).rows(),
            ["| latency | p99 | 4 ms | 3 to 5 (3 runs) | < 500 ms | < 25 ms | met |"]
        );
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.0123, "0.0123"),
            (0.5, "0.5"),
            (12.34, "12.3"),
            (456.7, "457"),
            (1234.5, "1,234"),
            (-1234567.0, "-1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
