//! How fast the simulator publishes, beside a bare librdkafka loop with the same records and the
//! same settings.
//!
//! A run: the simulator is asked for more than it can; what it published is read back from the logs;
//! a loop that does nothing else publishes just that to topics of its own. bancaire and the
//! gateway are stopped meanwhile; bancaire has all of it to verify afterwards.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::kafka::admin::{Inspector, Watermarks};
use load::bare;
use schemas::EventType;
use serde::Serialize;
use serde_json::json;

use super::findings::{Benchmark, Bound, Figure, Ticking, verified};
use crate::Context;
use crate::components::Part;
use crate::components::detour::Detour;
use crate::lab::{self, UpOptions};
use crate::output::Step;
use crate::process;
use crate::state::LabState;
use crate::verbs::simulate;

/// All events of a run are due within this, and overdue after it: what is overdue is published as
/// fast as it can.
const DUE_WITHIN_S: u64 = 1;
/// The most that a simulator can be told to take.
const LIMIT: (&str, &str) = ("SIMULATOR_MAX_RATE", "1000000");
const PATIENCE: Duration = Duration::from_secs(300);

/// How to measure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ProducerOptions {
    /// Events per run, a million at most.
    pub events: usize,
    pub runs: usize,
}

impl ProducerOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            // So many that they cannot all be published while they fall due: else that is measured.
            events: if quick { 250_000 } else { 500_000 },
            runs: if quick { 2 } else { 5 },
        }
    }
}

#[derive(Debug, Serialize)]
struct ProducerRun {
    records: usize,
    bytes: usize,
    simulator_rate: f64,
    bare_rate: f64,
    discard_rate: f64,
    /// CPU time of the simulator over its run, in cores.
    simulator_cores: Option<f64>,
}

/// Measures on the lab of `ctx`, which is up, with bancaire among its parts.
///
/// # Errors
/// When a part does not do what is asked of it.
pub async fn measure(ctx: &Context, options: ProducerOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let lab = ctx.lab()?;
    let kafka = lab.kafka();
    let inspector = Inspector::new(&kafka)?;
    bare::make_topics(&kafka, lab.replication()).await?;
    // The gateway too, where there is one: it would read all that the simulator publishes, and
    // nothing of what the bare loop does.
    let gateway = lab.component(Part::Gateway.name()).is_some();
    lab::stop_components(ctx, &[Part::Bancaire, Part::Gateway, Part::Simulator]).await?;
    let limit = BTreeMap::from([(LIMIT.0.to_owned(), LIMIT.1.to_owned())]);
    let mut unbounded = Detour::default();
    unbounded.env.insert(Part::Simulator, limit);
    start(ctx, Part::Simulator, unbounded).await?;
    let lab = ctx.lab()?;
    // The first to come would pay for a JVM that has compiled nothing yet.
    let step = ctx.out.step("warm-up", "the simulator publishes");
    run(&lab, &inspector, options, &step).await?;
    step.done("not counted");
    let mut runs = Vec::new();
    for number in 1..=options.runs {
        let name = format!("run {number}");
        let step = ctx.out.step(name, "the simulator publishes");
        let run = run(&lab, &inspector, options, &step).await?;
        step.done(format_args!(
            "simulator {:.0}/s, bare loop {:.0}/s",
            run.simulator_rate, run.bare_rate
        ));
        runs.push(run);
    }
    bare::remove_topics(&kafka).await?;
    // As it was found.
    lab::stop_components(ctx, &[Part::Simulator]).await?;
    start(ctx, Part::Simulator, Detour::default()).await?;
    start(ctx, Part::Bancaire, Detour::default()).await?;
    if gateway {
        start(ctx, Part::Gateway, Detour::default()).await?;
    }
    let step = ctx.out.step("bancaire", "drains what was published");
    for event_type in EventType::ALL {
        super::settle(&ctx.lab()?, event_type, &step).await?;
    }
    step.done("bancaire has all of it");
    let figure = |name: &str, unit: &str, of: fn(&ProducerRun) -> f64| {
        Figure::new(name, unit, runs.iter().map(of))
    };
    let ratio = figure("simulator / bare loop", "", |r| {
        r.simulator_rate / r.bare_rate
    })?;
    let cores = runs.iter().filter_map(|run| run.simulator_cores);
    let mut figures = vec![
        ratio.goal(Bound::AtLeast(0.8)),
        figure("simulator", "events/s", |r| r.simulator_rate)?,
        figure("bare librdkafka loop", "events/s", |r| r.bare_rate)?,
        figure("discarding consumer", "events/s", |r| r.discard_rate)?,
    ];
    figures.extend(Figure::new("simulator's CPU", "cores", cores));
    Ok(Benchmark {
        name: "producer".into(),
        title: "The simulator at full speed".into(),
        how: "The simulator draws, encodes and publishes events as fast as it can; a bare loop \
              publishes the same keys, values and headers with the same settings (idempotent, \
              acks=all) to topics of its own, in turn. The discarding consumer reads the \
              simulator's records and drops them."
            .into(),
        figures,
        plots: Vec::new(),
        notes: notes(options, &runs),
        table: None,
        verified: Some(verified(ctx).await?),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "runs": runs }),
    })
}

/// Says so when the simulator was not at its limit.
fn notes(options: ProducerOptions, runs: &[ProducerRun]) -> Vec<String> {
    let asked = options.events as f64 / DUE_WITHIN_S as f64;
    let idle = runs.iter().filter(|run| run.simulator_rate > 0.8 * asked);
    match idle.count() {
        0 => Vec::new(),
        count => vec![format!(
            "In {count} of {} runs the simulator published nearly all as it fell due ({asked:.0}/s): \
             its limit is higher; see --events.",
            runs.len()
        )],
    }
}

async fn start(ctx: &Context, part: Part, detour: Detour) -> anyhow::Result<()> {
    let up = UpOptions {
        parts: vec![part],
        build: false,
        detour,
        ..UpOptions::default()
    };
    lab::up(ctx, up).await.map(drop)
}

async fn run(
    lab: &LabState,
    inspector: &Inspector,
    options: ProducerOptions,
    step: &Step,
) -> anyhow::Result<ProducerRun> {
    let topics = EventType::ALL.map(EventType::topic);
    let before = inspector.watermarks(&topics).await?;
    let cpu = || process::cpu_ms(lab.component(Part::Simulator.name())?.pid);
    let cpu_before = cpu();
    let id = simulate::begin(lab, options.events as f64, DUE_WITHIN_S).await?;
    let began = Instant::now();
    let status = loop {
        let status = simulate::status(lab).await?;
        if !status.is_running() && status.simulation_id.as_ref() == Some(&id) {
            break status;
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "the simulation does not end");
        step.tick(format_args!("simulator: {} events", status.events_produced));
        // Seldom, so that asking costs nothing: the simulator itself knows how long it took.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let elapsed = status
        .other
        .get("elapsed_seconds")
        .and_then(serde_json::Value::as_f64);
    let elapsed = elapsed.context("the simulator does not say how long it took")?;
    let cores = cpu().zip(cpu_before);
    let simulator_cores = cores.map(|(now, then)| (now - then) as f64 / 1000.0 / elapsed);
    let after = inspector.watermarks(&topics).await?;
    step.tick("reads it back");
    let (discard_rate, captured) = read_back(lab, &before, &after).await?;
    anyhow::ensure!(
        captured.len() as u64 == status.events_produced,
        "{} of {} acknowledged events are in the logs",
        captured.len(),
        status.events_produced
    );
    step.tick("the bare loop publishes");
    let (records, bytes) = (captured.len(), captured.bytes());
    let kafka = lab.kafka();
    let took = tokio::task::spawn_blocking(move || bare::produce(&kafka, &captured))
        .await
        .context("the bare loop panicked")??;
    Ok(ProducerRun {
        records,
        bytes,
        simulator_rate: status.events_produced as f64 / elapsed,
        bare_rate: records as f64 / took.as_secs_f64(),
        discard_rate,
        simulator_cores,
    })
}

/// What lies between: dropped, timed, and then kept.
async fn read_back(
    lab: &LabState,
    from: &Watermarks,
    to: &Watermarks,
) -> anyhow::Result<(f64, bare::Captured)> {
    let (kafka, from, to) = (lab.kafka(), from.clone(), to.clone());
    tokio::task::spawn_blocking(move || {
        let (count, took) = bare::discard(&kafka, &from, &to)?;
        let captured = bare::capture(&kafka, &from, &to)?;
        Ok((count as f64 / took.as_secs_f64(), captured))
    })
    .await
    .context("reading back panicked")?
}
