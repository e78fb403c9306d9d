//! Deposits at moments that were set beforehand, each followed from there until it is visible in
//! PostgreSQL: latency at a steady rate, a burst, and the rate at which the lab can no more.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use load::deposits::Depositor;
use load::open_loop::{self, Load};
use load::trace::{Latencies, Run, distribution, merged};
use load::watch::Watch;
use schemas::EventType;
use serde::Serialize;
use serde_json::json;

use super::findings::{Benchmark, Bound, Figure, Line, Plot, Scale, Ticking, verified};
use super::settle;
use crate::Context;

/// As many points as a plot over time can show.
const SLICES: usize = 120;
/// Before the first run, so that connections, caches and the JVM's compiler are warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// Latency at a steady rate.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LatencyOptions {
    /// Events per second.
    pub rate: f64,
    pub seconds: f64,
    pub runs: usize,
    pub accounts: usize,
}

/// Events that are all due at once.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct BurstOptions {
    pub events: usize,
    pub runs: usize,
    pub accounts: usize,
}

/// Rates until the lab can no more.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct KneeOptions {
    /// The first rate that is tried.
    pub from: f64,
    /// How long each rate is held.
    pub seconds: f64,
    /// At half and at four fifths of the knee.
    pub runs: usize,
    pub accounts: usize,
}

impl LatencyOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            rate: 1_000.0,
            seconds: if quick { 3.0 } else { 20.0 },
            runs: if quick { 2 } else { 5 },
            accounts: 1_000,
        }
    }
}

impl BurstOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            events: 1_000,
            runs: if quick { 3 } else { 10 },
            accounts: 1_000,
        }
    }
}

impl KneeOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            from: 4_000.0,
            seconds: if quick { 2.0 } else { 8.0 },
            runs: if quick { 1 } else { 5 },
            accounts: 1_000,
        }
    }
}

/// One run, for the report.
#[derive(Debug, Serialize)]
struct Found {
    rate: Option<f64>,
    latencies_ms: Latencies,
    late: u64,
    latest_ms: f64,
    took_s: f64,
}

impl Found {
    fn of(rate: Option<f64>, run: &Run) -> Self {
        Self {
            rate,
            latencies_ms: Latencies::of(&run.latencies),
            late: run.late,
            latest_ms: run.latest_ms,
            took_s: run.took.as_secs_f64(),
        }
    }
}

/// The load generator on a lab whose accounts are open and that is warm.
struct Bench<'a> {
    ctx: &'a Context,
    depositor: Arc<Depositor>,
    watch: Watch,
}

impl<'a> Bench<'a> {
    async fn new(ctx: &'a Context, accounts: usize) -> anyhow::Result<Self> {
        let lab = ctx.lab()?;
        let step = ctx.out.step("accounts", "are opened");
        let depositor = Depositor::new(&lab.kafka(), &lab.registry_url(), accounts).await?;
        depositor.open().await?;
        settle(&lab, EventType::CompteOuvert, &step).await?;
        let mut bench = Self {
            ctx,
            depositor: Arc::new(depositor),
            watch: Watch::new(&lab.postgres())?,
        };
        bench.run(Load::steady(500.0, WARM_UP)).await?;
        step.done(format_args!("{accounts} accounts are open"));
        Ok(bench)
    }

    async fn run(&mut self, load: Load) -> anyhow::Result<Run> {
        let traces = open_loop::run(&self.depositor, &mut self.watch, load).await?;
        Ok(Run::of(&traces, SLICES))
    }

    async fn runs(&mut self, name: &str, load: Load, count: usize) -> anyhow::Result<Vec<Run>> {
        let mut runs = Vec::new();
        for number in 1..=count {
            let step = self.ctx.out.step(name, format!("run {number} of {count}"));
            let run = self.run(load).await?;
            let Latencies { p50, p99, max, .. } = Latencies::of(&run.latencies);
            step.done(format_args!(
                "p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.1} ms"
            ));
            runs.push(run);
        }
        Ok(runs)
    }
}

/// p50 to max over the runs, with the load generator's own delays beside them.
fn figures(prefix: &str, runs: &[Run]) -> anyhow::Result<Vec<Figure>> {
    let all: Vec<Latencies> = runs.iter().map(|r| Latencies::of(&r.latencies)).collect();
    let figure = |name: &str, of: fn(&Latencies) -> f64| {
        Figure::new(format!("{prefix}{name}"), "ms", all.iter().map(of))
    };
    let late = runs
        .iter()
        .map(|run| 100.0 * run.late as f64 / run.latencies.len().max(1) as f64);
    Ok(vec![
        figure("p50", |l| l.p50)?,
        figure("p90", |l| l.p90)?,
        figure("p95", |l| l.p95)?,
        figure("p99", |l| l.p99)?,
        figure("p99.9", |l| l.p999)?,
        figure("max", |l| l.max)?,
        Figure::new(format!("{prefix}sent over 1 ms late"), "%", late)?,
    ])
}

/// Distribution of all runs; latency, rates and lag over the time of the last one.
fn plots(runs: &[Run]) -> anyhow::Result<Vec<Plot>> {
    let last = runs.last().context("nothing was measured")?;
    let line = |name: &str, value: fn(&load::trace::Slice) -> Option<f64>| Line {
        name: name.into(),
        points: last
            .slices
            .iter()
            .filter_map(|slice| Some((slice.at_s, value(slice)?)))
            .collect(),
    };
    let over_time = |title: &str, y: &str, lines| Plot {
        title: title.into(),
        x: "seconds".into(),
        y: y.into(),
        x_scale: Scale::Linear,
        y_scale: Scale::Linear,
        lines,
    };
    Ok(vec![
        Plot {
            title: "Latency distribution, all runs".into(),
            x: "share of events".into(),
            y: "ms".into(),
            x_scale: Scale::Tail,
            y_scale: Scale::Linear,
            lines: vec![Line {
                name: "due → visible in PostgreSQL".into(),
                points: distribution(&merged(runs.iter().map(|run| &run.latencies))),
            }],
        },
        over_time(
            "Latency over time, last run",
            "ms",
            vec![line("p50", |s| s.p50), line("p99", |s| s.p99)],
        ),
        over_time(
            "Throughput, last run",
            "events/s",
            vec![
                line("sent", |s| Some(s.sent)),
                line("committed", |s| Some(s.committed)),
            ],
        ),
        over_time(
            "Due and not visible yet, last run",
            "events",
            vec![line("lag", |s| Some(s.lag))],
        ),
    ])
}

/// # Errors
/// When a part does not do what is asked of it.
pub async fn latency(ctx: &Context, options: LatencyOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let mut bench = Bench::new(ctx, options.accounts).await?;
    let load = Load::steady(options.rate, Duration::from_secs_f64(options.seconds));
    let runs = bench.runs("latency", load, options.runs).await?;
    let mut figures = figures("", &runs)?;
    for figure in figures.iter_mut().filter(|figure| figure.name == "p99") {
        figure.floor = Some(Bound::Below(500.0));
        figure.goal = Some(Bound::Below(25.0));
    }
    let found: Vec<Found> = runs.iter().map(|r| Found::of(load.rate, r)).collect();
    Ok(Benchmark {
        name: "latency".into(),
        title: format!("Latency at {} events/s", options.rate),
        how: "Open loop: every deposit is due at a moment set beforehand, and its latency counts \
              from then until a reader of PostgreSQL sees its batch committed, asked about once a \
              millisecond. What is sent late is counted as latency, and reported."
            .into(),
        plots: plots(&runs)?,
        figures,
        notes: vec![format!(
            "{} events a run, on {} accounts",
            load.events, options.accounts
        )],
        table: None,
        verified: Some(verified(ctx).await?),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "runs": found }),
    })
}

/// # Errors
/// When a part does not do what is asked of it.
pub async fn burst(ctx: &Context, options: BurstOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let mut bench = Bench::new(ctx, options.accounts).await?;
    let load = Load {
        events: options.events,
        rate: None,
    };
    let runs = bench.runs("burst", load, options.runs).await?;
    let took = runs.iter().map(|run| run.took.as_secs_f64() * 1000.0);
    let mut all = vec![
        Figure::new("all committed after", "ms", took)?
            .floor(Bound::Below(30_000.0))
            .goal(Bound::Below(250.0)),
        Figure::new("rate", "events/s", runs.iter().map(Run::rate))?,
    ];
    let latencies = figures("", &runs)?;
    all.extend(
        latencies
            .into_iter()
            .filter(|f| matches!(f.name.as_str(), "p50" | "p99")),
    );
    let found: Vec<Found> = runs.iter().map(|r| Found::of(None, r)).collect();
    Ok(Benchmark {
        name: "burst".into(),
        title: format!("A burst of {} events", options.events),
        how: "All deposits are due at the same moment; the time until the last of them is visible \
              in PostgreSQL, that is until the lab has recovered."
            .into(),
        // Over time there is only one moment at which events are due.
        plots: plots(&runs)?
            .into_iter()
            .filter(|plot| plot.y != "ms" || plot.x_scale == Scale::Tail)
            .collect(),
        figures: all,
        notes: Vec::new(),
        table: None,
        verified: Some(verified(ctx).await?),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "runs": found }),
    })
}

/// A rate is kept when all is visible this soon after the last was due.
const KEPT_WITHIN: Duration = Duration::from_millis(500);
/// Neither the lab nor the load generator goes beyond this on any machine of today.
const HIGHEST: f64 = 400_000.0;

/// # Errors
/// When a part does not do what is asked of it, or the first rate is already too much.
pub async fn knee(ctx: &Context, options: KneeOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let mut bench = Bench::new(ctx, options.accounts).await?;
    let held = Duration::from_secs_f64(options.seconds);
    let mut tried: Vec<Found> = Vec::new();
    let mut kept = 0.0;
    let mut lost = HIGHEST;
    let mut rate = options.from;
    // By half as much again until it is too much, then between the two.
    while rate < HIGHEST && lost / f64::max(kept, 1.0) > 1.15 {
        let step = ctx.out.step("knee", format!("{rate:.0} events/s"));
        let run = bench.run(Load::steady(rate, held)).await?;
        let is_kept = run.took < held + KEPT_WITHIN;
        let found = Found::of(Some(rate), &run);
        let p99 = found.latencies_ms.p99;
        tried.push(found);
        let word = if is_kept { "kept" } else { "too much" };
        step.done(format_args!("{rate:.0} events/s: {word}, p99 {p99:.1} ms"));
        if is_kept {
            kept = rate;
        } else {
            lost = rate;
        }
        rate = if lost == HIGHEST {
            rate * 1.5
        } else {
            f64::midpoint(kept, lost)
        };
        anyhow::ensure!(
            kept > 0.0 || rate > 50.0,
            "the lab does not even keep 50 events/s"
        );
    }
    let mut all = vec![Figure::new("knee", "events/s", [kept])?];
    let mut shares = Vec::new();
    for share in [0.5, 0.8] {
        let name = format!("{:.0} %", share * 100.0);
        let load = Load::steady(kept * share, held);
        let runs = bench.runs(&name, load, options.runs).await?;
        for mut figure in figures(&format!("at {name} of it, "), &runs)? {
            if figure.name.ends_with(" p99") && share == 0.5 {
                figure.goal = Some(Bound::Below(100.0));
            }
            if ["p50", "p99", "max", "late"]
                .iter()
                .any(|end| figure.name.ends_with(end))
            {
                all.push(figure);
            }
        }
        shares.push(Line {
            name: format!("{name} of the knee, {:.0}/s", kept * share),
            points: distribution(&merged(runs.iter().map(|run| &run.latencies))),
        });
    }
    tried.sort_by(|a, b| a.rate.unwrap_or(0.0).total_cmp(&b.rate.unwrap_or(0.0)));
    let by_rate = |name: &str, value: fn(&Latencies) -> f64| Line {
        name: name.into(),
        points: tried
            .iter()
            .map(|found| (found.rate.unwrap_or(0.0), value(&found.latencies_ms)))
            .collect(),
    };
    Ok(Benchmark {
        name: "knee".into(),
        title: "The knee: how much the lab can".into(),
        how: format!(
            "Open loop at rising rates, each for {} s. A rate is kept when every event is visible \
             in PostgreSQL within {} ms after the last one was due; the knee is the highest rate \
             that was kept, to within 15 %. Load generator, broker, services and PostgreSQL share \
             the machine.",
            options.seconds,
            KEPT_WITHIN.as_millis()
        ),
        plots: vec![
            Plot {
                title: "Latency by rate".into(),
                x: "events/s".into(),
                y: "ms".into(),
                x_scale: Scale::Linear,
                y_scale: Scale::Log,
                lines: vec![by_rate("p50", |l| l.p50), by_rate("p99", |l| l.p99)],
            },
            Plot {
                title: "Latency distribution below the knee".into(),
                x: "share of events".into(),
                y: "ms".into(),
                x_scale: Scale::Tail,
                y_scale: Scale::Log,
                lines: shares,
            },
        ],
        figures: all,
        notes: Vec::new(),
        table: None,
        verified: Some(verified(ctx).await?),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "tried": tried }),
    })
}
