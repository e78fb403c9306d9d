//! The simulator's own load: does it reach the rate that is asked for, and is the lab the same
//! after minutes of it?

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use load::drift::Drift;
use serde::Serialize;
use serde_json::json;

use super::findings::{Benchmark, Bound, Figure, Line, Plot, Scale, Ticking, verified};
use super::sample::{Sample, Sampler};
use crate::Context;
use crate::output::Step;
use crate::state::LabState;
use crate::verbs::simulate::{self, Status};

/// The simulator's caches are full and the JVM's compiler has been at work after this many events.
const WARM_UP_EVENTS: f64 = 12_000.0;
const WARM_UP_RATE: f64 = 1_500.0;
/// Beyond its duration a simulation may take this long to be answered for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The plan asks for 100 events per second for a minute, and for 50 for five minutes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct SimulatedOptions {
    pub rate: f64,
    pub seconds: u64,
}

impl SimulatedOptions {
    pub fn throughput(quick: bool) -> Self {
        Self {
            rate: 100.0,
            seconds: if quick { 10 } else { 60 },
        }
    }

    pub fn sustained(quick: bool) -> Self {
        Self {
            rate: 50.0,
            seconds: if quick { 20 } else { 300 },
        }
    }
}

/// A simulation, with samples of every part twice a second.
async fn simulated(
    ctx: &Context,
    lab: &LabState,
    options: SimulatedOptions,
    step: &Step,
) -> anyhow::Result<(Status, Vec<Sample>)> {
    let id = simulate::begin(lab, options.rate, options.seconds).await?;
    let mut sampler = Sampler::new(ctx)?;
    let mut samples = Vec::new();
    let began = Instant::now();
    let limit = Duration::from_secs(options.seconds) + PATIENCE;
    loop {
        samples.push(sampler.sample(began.elapsed()).await?);
        let status = simulate::status(lab).await?;
        anyhow::ensure!(
            status.simulation_id.as_deref() == Some(id.as_str()),
            "the simulation was lost: the simulator was started again"
        );
        if !status.is_running() {
            return Ok((status, samples));
        }
        anyhow::ensure!(began.elapsed() < limit, "the simulation does not end");
        step.tick(format_args!(
            "{} events, {:.1} per second",
            status.events_produced, status.rate_actual
        ));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// # Errors
/// When a part does not do what is asked of it.
pub async fn throughput(ctx: &Context, options: SimulatedOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let lab = ctx.lab()?;
    let step = ctx.out.step("throughput", "starts");
    let (status, samples) = simulated(ctx, &lab, options, &step).await?;
    step.done(format_args!(
        "{} events, {:.1} per second",
        status.events_produced, status.rate_actual
    ));
    let share = status.rate_actual / options.rate;
    let verified = verified(ctx).await?;
    let mut sampler = Sampler::new(ctx)?;
    let end = sampler.sample(Duration::from_secs(options.seconds)).await?;
    let latency = end
        .latency_ms(&samples[0])
        .context("bancaire decided nothing")?;
    Ok(Benchmark {
        name: "throughput".into(),
        title: format!("The simulator at {} events/s", options.rate),
        how: format!(
            "A simulation of {} s through the gateway, as a user starts it: acknowledged events per \
             second, and how long after its timestamp an event was committed, on average, by \
             bancaire's own metric.",
            options.seconds
        ),
        figures: vec![
            Figure::new("share of the rate asked for", "", [share])?.floor(Bound::AtLeast(0.9)),
            Figure::new("rate", "events/s", [status.rate_actual])?,
            Figure::new("mean latency, timestamp → committed", "ms", [latency])?,
        ],
        plots: vec![rates(&samples), lag(&samples)],
        notes: Vec::new(),
        table: None,
        verified: Some(verified),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "status": status, "samples": samples }),
    })
}

/// # Errors
/// When a part does not do what is asked of it.
pub async fn sustained(ctx: &Context, options: SimulatedOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let lab = ctx.lab()?;
    let step = ctx.out.step("sustained", "warms up");
    let warm_up = SimulatedOptions {
        rate: WARM_UP_RATE,
        seconds: (WARM_UP_EVENTS / WARM_UP_RATE) as u64,
    };
    simulated(ctx, &lab, warm_up, &step).await?;
    let (status, samples) = simulated(ctx, &lab, options, &step).await?;
    step.done(format_args!("{} events", status.events_produced));
    let mut judged = Judged::default();
    judged.memory(&samples)?;
    judged.counts(&samples)?;
    judged.latency(&samples)?;
    let share = status.rate_actual / options.rate;
    let mut figures =
        vec![Figure::new("share of the rate asked for", "", [share])?.floor(Bound::AtLeast(0.9))];
    figures.extend(judged.figures);
    Ok(Benchmark {
        name: "sustained".into(),
        title: format!("{} events/s for {} s", options.rate, options.seconds),
        how: "A simulation after a warm-up that fills every cache, sampled twice a second. Growth is \
              Theil and Sen's slope times the duration, and 0 where its 95 % confidence interval \
              contains 0. Judged are the services; PostgreSQL touches more of its shared buffers and \
              the JVM more of its heap for a long time, both up to a set bound."
            .into(),
        figures,
        plots: vec![
            memory(&samples),
            latencies(&samples),
            rates(&samples),
            lag(&samples),
        ],
        notes: judged.notes,
        table: None,
        verified: Some(verified(ctx).await?),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "status": status, "samples": samples,
                         "drifts": judged.drifts }),
    })
}

/// Verdicts over the samples.
#[derive(Default)]
struct Judged {
    figures: Vec<Figure>,
    notes: Vec<String>,
    drifts: BTreeMap<String, Drift>,
}

/// What grows by less is no leak: a page here, an allocator's arena there. A leak of 100 bytes per
/// event comes to more within the plan's five minutes.
const NEGLIGIBLE_MB: f64 = 1.0;
/// In a run shorter than this the allocator's single steps weigh more, so more is allowed.
const LONG_S: f64 = 120.0;
const NEGLIGIBLE_SHORT_MB: f64 = 4.0;
const NEGLIGIBLE_COUNT: f64 = 2.0;
/// A mean latency that grows by this is a queue that fills, whatever else the machine does.
const DEGRADED_MS: f64 = 100.0;
const NEGLIGIBLE_MS: f64 = 5.0;

impl Judged {
    fn drift(&mut self, name: String, points: &[(f64, f64)]) -> anyhow::Result<f64> {
        let drift = Drift::of(points).context("too few samples: the duration is too short")?;
        self.drifts.insert(name, drift);
        Ok(if drift.slope_low <= 0.0 {
            0.0
        } else {
            drift.growth
        })
    }

    fn memory(&mut self, samples: &[Sample]) -> anyhow::Result<()> {
        let lasted = samples.last().map_or(0.0, |sample| sample.at_s);
        let negligible = if lasted < LONG_S {
            NEGLIGIBLE_SHORT_MB
        } else {
            NEGLIGIBLE_MB
        };
        for (part, series) in by_part(samples, |usage| usage.rss_mb) {
            let median = median(&series);
            let growth = self.drift(format!("{part} memory"), &series)?;
            if matches!(part.as_str(), "postgres" | "kafka") {
                self.notes
                    .push(format!("{part}: {median:.0} MB, grew by {growth:.1} MB"));
                continue;
            }
            self.figures.push(
                Figure::new(format!("{part} memory growth"), "MB", [growth])?
                    // A leak is more than noise and a fortieth of what it has.
                    .floor(Bound::Below(negligible.max(median / 40.0))),
            );
            self.notes.push(format!("{part}: {median:.1} MB"));
        }
        Ok(())
    }

    fn counts(&mut self, samples: &[Sample]) -> anyhow::Result<()> {
        type Count = (&'static str, fn(&super::sample::Usage) -> Option<f64>);
        let counts: [Count; 3] = [
            ("open files", |usage| usage.files),
            ("threads", |usage| usage.threads),
            ("tasks", |usage| usage.tasks),
        ];
        for (name, of) in counts {
            let mut worst = 0.0_f64;
            for (part, series) in by_part(samples, of) {
                if !matches!(part.as_str(), "postgres" | "kafka") {
                    worst = worst.max(self.drift(format!("{part} {name}"), &series)?);
                }
            }
            self.figures.push(
                Figure::new(format!("{name} growth, worst service"), "", [worst])?
                    .floor(Bound::Below(NEGLIGIBLE_COUNT)),
            );
        }
        type Queue = (&'static str, fn(&Sample) -> f64);
        let queues: [Queue; 3] = [
            ("lag", |sample| sample.lag),
            ("outbox", |sample| sample.outbox),
            ("parked", |sample| sample.parked),
        ];
        for (name, of) in queues {
            let series: Vec<_> = samples.iter().map(|s| (s.at_s, of(s))).collect();
            let growth = self.drift(name.into(), &series)?;
            // A quarter of a second's events may wait at any moment.
            self.figures.push(
                Figure::new(format!("{name} growth"), "events", [growth])?
                    .floor(Bound::Below(20.0)),
            );
        }
        Ok(())
    }

    fn latency(&mut self, samples: &[Sample]) -> anyhow::Result<()> {
        let series = latency_series(samples);
        let growth = self.drift("latency".into(), &series)?;
        let median = median(&series);
        self.figures
            .push(Figure::new("mean latency", "ms", [median])?);
        self.figures.push(
            Figure::new("mean latency growth", "ms", [growth])?
                .floor(Bound::Below(DEGRADED_MS))
                .goal(Bound::Below(NEGLIGIBLE_MS.max(median / 4.0))),
        );
        Ok(())
    }
}

fn median(series: &[(f64, f64)]) -> f64 {
    let values = series.iter().map(|(_, value)| *value);
    super::Spread::of(values).map_or(0.0, |spread| spread.median)
}

fn by_part(
    samples: &[Sample],
    of: fn(&super::sample::Usage) -> Option<f64>,
) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut parts: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for sample in samples {
        for (part, usage) in &sample.parts {
            if let Some(value) = of(usage) {
                parts
                    .entry(part.clone())
                    .or_default()
                    .push((sample.at_s, value));
            }
        }
    }
    parts
}

/// Mean latency of what was decided within the last five seconds before each sample.
fn latency_series(samples: &[Sample]) -> Vec<(f64, f64)> {
    let windows = samples.windows(11);
    windows
        .filter_map(|window| {
            let (first, last) = (window.first()?, window.last()?);
            Some((last.at_s, last.latency_ms(first)?))
        })
        .collect()
}

fn over_time(title: &str, y: &str, y_scale: Scale, lines: Vec<Line>) -> Plot {
    Plot {
        title: title.into(),
        x: "seconds".into(),
        y: y.into(),
        x_scale: Scale::Linear,
        y_scale,
        lines,
    }
}

fn memory(samples: &[Sample]) -> Plot {
    let parts = by_part(samples, |usage| usage.rss_mb);
    let lines = parts
        .into_iter()
        .map(|(name, points)| Line { name, points });
    over_time("Resident memory", "MB", Scale::Log, lines.collect())
}

fn latencies(samples: &[Sample]) -> Plot {
    let line = Line {
        name: "mean of the last 5 s".into(),
        points: latency_series(samples),
    };
    over_time(
        "Latency, timestamp → committed",
        "ms",
        Scale::Linear,
        vec![line],
    )
}

fn rates(samples: &[Sample]) -> Plot {
    let rate = |name: &str, of: fn(&Sample) -> f64| Line {
        name: name.into(),
        points: samples
            .windows(5)
            .filter_map(|window| {
                let (first, last) = (window.first()?, window.last()?);
                let seconds = last.at_s - first.at_s;
                Some((last.at_s, (of(last) - of(first)) / seconds))
            })
            .collect(),
    };
    let lines = vec![
        rate("produced", |sample| sample.produced),
        rate("committed, with the credits of transfers", |sample| {
            sample.consumed
        }),
    ];
    over_time("Throughput", "events/s", Scale::Linear, lines)
}

fn lag(samples: &[Sample]) -> Plot {
    let line = |name: &str, of: fn(&Sample) -> f64| Line {
        name: name.into(),
        points: samples.iter().map(|s| (s.at_s, of(s))).collect(),
    };
    let lines = vec![
        line("consumer lag", |sample| sample.lag),
        line("outbox", |sample| sample.outbox),
        line("parked", |sample| sample.parked),
    ];
    over_time("Queues", "events", Scale::Linear, lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perf::sample::Usage;

    fn samples(rss: impl Fn(f64) -> f64) -> Vec<Sample> {
        (0..300)
            .map(|i| {
                let at_s = f64::from(i) * 0.5;
                let usage = Usage {
                    rss_mb: Some(rss(at_s)),
                    files: Some(20.0),
                    threads: Some(5.0),
                    tasks: None,
                };
                Sample {
                    at_s,
                    parts: BTreeMap::from([("bancaire".to_owned(), usage)]),
                    produced: at_s * 50.0,
                    consumed: at_s * 50.0,
                    decided: at_s * 50.0,
                    latency_sum_s: at_s * 50.0 * 0.004,
                    ..Sample::default()
                }
            })
            .collect()
    }

    fn failing(samples: &[Sample]) -> Vec<String> {
        let mut judged = Judged::default();
        judged.memory(samples).unwrap();
        judged.counts(samples).unwrap();
        judged.latency(samples).unwrap();
        let failing = judged.figures.into_iter().filter(Figure::fails);
        failing.map(|figure| figure.name).collect()
    }

    #[test]
    fn a_steady_lab_passes_and_a_leaking_one_does_not() {
        assert!(failing(&samples(|_| 30.0)).is_empty());
        let leaking = samples(|at| 30.0 + at * 0.1);
        assert_eq!(failing(&leaking), ["bancaire memory growth"]);
        let mut filling = samples(|_| 30.0);
        for sample in &mut filling {
            sample.outbox = sample.at_s * 3.0;
        }
        assert_eq!(failing(&filling), ["outbox growth"]);
    }

    #[test]
    fn rates_and_latencies_are_differences() {
        let samples = samples(|_| 30.0);
        let (_, ms) = *latency_series(&samples).last().unwrap();
        assert!((ms - 4.0).abs() < 1e-6, "{ms}");
        let rate = rates(&samples).lines[0].points[3].1;
        assert!((rate - 50.0).abs() < 1e-6, "{rate}");
    }
}
