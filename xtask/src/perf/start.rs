//! How long `up` takes on a built tree, the first time and later, and what the lab costs at rest.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::findings::{Benchmark, Bound, Figure, Ticking};
use crate::Context;
use crate::components::Part;
use crate::components::broker::BrokerChoice;
use crate::components::postgres::template;
use crate::lab::temporary::Temporary;
use crate::lab::{self, UpOptions, on_ctrl_c};
use crate::ports::PortPolicy;
use crate::process;
use crate::state::LabState;
use crate::verbs::clean;

/// After this the parts have settled: what starting needed is given back.
const AT_REST_AFTER: Duration = Duration::from_secs(3);

/// How to measure.
#[derive(Debug, Clone, Serialize)]
pub struct StartOptions {
    /// How often each broker's lab is made and started.
    pub runs: usize,
    /// `kafka`, `light`.
    pub brokers: Vec<String>,
}

impl StartOptions {
    pub fn usual(quick: bool) -> Self {
        let brokers = if quick {
            &["kafka"][..]
        } else {
            &["kafka", "light"]
        };
        Self {
            runs: if quick { 1 } else { 5 },
            brokers: brokers.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

#[derive(Debug, Default, Serialize)]
struct Started {
    broker: String,
    /// With PostgreSQL's initdb, as on a machine that had no lab yet.
    first_s: f64,
    /// Of a further lab, whose cluster is a copy.
    new_s: f64,
    again_s: f64,
    down_s: f64,
    rest_mb: Option<f64>,
    /// Part and its own time to ready, in milliseconds, of the first start.
    parts_ms: Vec<(String, u64)>,
}

/// What each broker's lab is asked for: first start, later ones, memory at rest.
fn goals(broker: BrokerChoice) -> [f64; 3] {
    match broker {
        BrokerChoice::Kafka => [10.0, 6.0, 600.0],
        BrokerChoice::Light => [3.0, 1.5, 250.0],
    }
}

/// Measures on labs of its own; what they run is built.
///
/// # Errors
/// When one does not come up or go down.
pub async fn measure(ctx: &Context, options: StartOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let mut all = Vec::new();
    let mut figures = Vec::new();
    for name in &options.brokers {
        let broker = match name.as_str() {
            "light" => BrokerChoice::Light,
            _ => BrokerChoice::Kafka,
        };
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            let step = ctx.out.step(format!("{name} {number}"), "a new lab");
            let run = run(ctx, broker).await?;
            step.done(format_args!(
                "first {:.2} s, a further one {:.2} s, again {:.2} s",
                run.first_s, run.new_s, run.again_s
            ));
            runs.push(run);
        }
        let [first, again, rest] = goals(broker).map(Bound::Below);
        let figure = |what: &str, unit: &str, of: fn(&Started) -> f64| {
            Figure::new(format!("{name}, {what}"), unit, runs.iter().map(of))
        };
        figures.push(figure("first up", "s", |r| r.first_s)?.goal(first));
        figures.push(figure("first up of a further lab", "s", |r| r.new_s)?.goal(first));
        figures.push(figure("up again", "s", |r| r.again_s)?.goal(again));
        figures.push(figure("down", "s", |r| r.down_s)?);
        let memory = runs.iter().filter_map(|run| run.rest_mb);
        let memory = Figure::new(format!("{name}, memory at rest"), "MB", memory);
        figures.extend(memory.map(|figure| figure.goal(rest)));
        all.extend(runs);
    }
    Ok(Benchmark {
        name: "up".into(),
        title: "Starting the lab".into(),
        how: "A new lab in an empty folder (initdb and Kafka's formatting included) is started; \
              then a further one, whose database cluster is a copy of the first one's empty one; \
              this is left at rest, stopped and started again on its data. The binaries are built \
              and the broker is in the cache. Memory is the sum of all processes' resident pages, shared \
              ones counted once for all (PSS) where the system says so."
            .into(),
        figures,
        plots: Vec::new(),
        notes: all.last().map(parts).into_iter().collect(),
        table: None,
        verified: None,
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "runs": all }),
    })
}

fn parts(run: &Started) -> String {
    let parts = run.parts_ms.iter();
    let parts: Vec<String> = parts.map(|(part, ms)| format!("{part} {ms} ms")).collect();
    format!(
        "Each part's own time to ready, last first start: {}",
        parts.join(", ")
    )
}

async fn run(ctx: &Context, broker: BrokerChoice) -> anyhow::Result<Started> {
    let own = Temporary::prepare(ctx, "perf-up")?;
    let measured = start_thrice(&own.ctx, broker).await;
    let ended = own.end().await;
    let measured = measured?;
    ended?;
    Ok(measured)
}

async fn start_thrice(own: &Context, broker: BrokerChoice) -> anyhow::Result<Started> {
    let stop = on_ctrl_c(own)?;
    let up = || UpOptions {
        parts: Part::ALL.into(),
        build: false,
        ports: PortPolicy::Free,
        broker: Some(broker),
        stop: stop.clone(),
        ..UpOptions::default()
    };
    template::forget(own)?;
    let began = Instant::now();
    let lab = lab::up(own, up()).await?;
    let first_s = began.elapsed().as_secs_f64();
    let parts = lab.components.iter();
    let parts_ms = parts
        .map(|part| (part.name.clone(), part.start_ms))
        .collect();
    lab::down(own).await?;
    clean::remove(own, false).await?;
    let began = Instant::now();
    let lab = lab::up(own, up()).await?;
    let new_s = began.elapsed().as_secs_f64();
    // Not a wait for anything: the state at rest is what is asked for.
    tokio::time::sleep(AT_REST_AFTER).await;
    let rest_mb = memory_mb(&lab);
    let began = Instant::now();
    lab::down(own).await?;
    let down_s = began.elapsed().as_secs_f64();
    let began = Instant::now();
    lab::up(own, up()).await?;
    Ok(Started {
        broker: broker.name().into(),
        first_s,
        new_s,
        again_s: began.elapsed().as_secs_f64(),
        down_s,
        rest_mb,
        parts_ms,
    })
}

/// Of all processes of a lab together.
fn memory_mb(lab: &LabState) -> Option<f64> {
    let mut bytes = 0;
    for component in lab.components.iter().filter(|component| component.pid != 0) {
        let memory = process::memory(component.pid);
        bytes += match memory.pss_bytes {
            0 => memory.rss_bytes,
            pss => pss,
        };
    }
    Some(bytes as f64 / 1e6).filter(|mb| *mb > 0.0)
}
