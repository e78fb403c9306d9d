//! How long an event takes from the simulator to a thousand WebSocket clients, and what one of them
//! that stops reading costs the others.
//!
//! Rounds with and without a stalled client take turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use load::websocket::{self, Tally};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::findings::Goal;
use super::machine::{CpuTicks, Machine};
use crate::Context;
use crate::process;
use crate::state::LabState;

/// Connections that are being opened at the same time.
const OPENING: usize = 50;
/// Before a round counts.
const WARM_UP: Duration = Duration::from_secs(3);

/// How to measure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct GatewayOptions {
    pub clients: usize,
    /// Events per second.
    pub rate: u32,
    /// How long a round takes, in seconds.
    pub seconds: u32,
    /// Rounds of each kind.
    pub rounds: u32,
}

/// One round; latencies from publication to a client's socket.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    /// Clients that stopped reading.
    pub stalled: usize,
    pub received_per_s: f64,
    pub samples: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// Markers of skipped messages that reading clients got.
    pub lagged: u64,
    /// Connections of reading clients that ended.
    pub broken: u64,
    /// The gateway's, in cores; `None` where the system does not say.
    pub gateway_cores: Option<f64>,
    pub steal_percent: f64,
}

/// What was found, with the goals beside it.
#[derive(Debug, Serialize)]
pub struct GatewayReport {
    pub benchmark: &'static str,
    pub at: DateTime<Utc>,
    pub machine: Machine,
    pub options: GatewayOptions,
    pub rounds: Vec<Round>,
    pub goals: Vec<Goal>,
}

impl GatewayReport {
    pub fn met(&self) -> bool {
        self.goals.iter().all(|goal| goal.found < goal.below)
    }

    pub fn text(&self) -> String {
        let GatewayOptions { clients, rate, .. } = self.options;
        let mut lines = vec![
            format!("{clients} WebSocket clients of every topic, {rate} events/s published"),
            format!(
                "{:>7} {:>11} {:>8} {:>8} {:>8} {:>8} {:>7} {:>8} {:>6}",
                "STALLED",
                "RECEIVED/s",
                "P50 ms",
                "P90 ms",
                "P99 ms",
                "MAX ms",
                "LAGGED",
                "GATEWAY",
                "STEAL"
            ),
        ];
        for round in &self.rounds {
            let cores = match round.gateway_cores {
                Some(cores) => format!("{cores:.2} c"),
                None => "-".into(),
            };
            lines.push(format!(
                "{:>7} {:>11.0} {:>8.0} {:>8.0} {:>8.0} {:>8.0} {:>7} {cores:>8} {:>4.0} %",
                round.stalled,
                round.received_per_s,
                round.p50_ms,
                round.p90_ms,
                round.p99_ms,
                round.max_ms,
                round.lagged,
                round.steal_percent
            ));
        }
        lines.push(String::new());
        for Goal { what, found, below } in &self.goals {
            let verdict = if found < below { "met" } else { "MISSED" };
            lines.push(format!(
                "{what:<52} {found:>8.2}  goal < {below}: {verdict}"
            ));
        }
        lines.push(format!(
            "\nFrom the event's own time to a client's socket; clients and lab share {} cores.",
            self.machine.cores
        ));
        lines.join("\n")
    }
}

/// Measures the gateway of the lab of `ctx`, which is up.
///
/// # Errors
/// When it does not answer, or takes fewer clients than it is to.
pub async fn run(ctx: &Context, options: GatewayOptions) -> anyhow::Result<GatewayReport> {
    let lab = ctx.lab()?;
    let wanted = options.clients as u64 + 200;
    let files = rlimit::increase_nofile_limit(wanted.max(65_536)).unwrap_or(wanted);
    anyhow::ensure!(
        files >= wanted,
        "{files} open files are not enough for {} clients; see ulimit -n",
        options.clients
    );
    let url = lab.gateway_url();
    let address: SocketAddr = url
        .trim_start_matches("http://")
        .parse()
        .with_context(|| format!("{url} is not on this machine"))?;
    simulation(
        &url,
        "start",
        json!({"scenario": "default", "rate": options.rate, "duration": 0}),
    )
    .await?;
    let measured = rounds(ctx, &lab, address, options).await;
    simulation(&url, "stop", json!({})).await?;
    let rounds = measured?;
    let worst = |value: fn(&Round) -> f64| rounds.iter().map(value).fold(0.0, f64::max);
    let p99 = |stalled: bool| {
        let rounds = rounds.iter().filter(|round| (round.stalled > 0) == stalled);
        super::Spread::of(rounds.map(|round| round.p99_ms)).map_or(f64::NAN, |p99| p99.median)
    };
    let goal = |what, found, below| Goal { what, found, below };
    let goals = vec![
        goal("p99, all reading, median of rounds, ms", p99(false), 100.0),
        goal("p99, one stalled, median of rounds, ms", p99(true), 100.0),
        goal(
            "gaps of reading clients",
            worst(|round| round.lagged as f64),
            1.0,
        ),
        goal(
            "lost connections of reading clients",
            worst(|round| round.broken as f64),
            1.0,
        ),
    ];
    Ok(GatewayReport {
        benchmark: "gateway",
        at: Utc::now(),
        machine: Machine::look(&ctx.root, &ctx.lab_dir),
        options,
        rounds,
        goals,
    })
}

async fn simulation(url: &str, verb: &str, body: Value) -> anyhow::Result<()> {
    let failed = || format!("failed to {verb} the simulation");
    let url = format!("{url}/api/v1/simulation/{verb}");
    let answer = reqwest::Client::new().post(url).json(&body).send().await;
    let answer = answer.with_context(failed)?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    anyhow::ensure!(status.is_success(), "{}: {status} {text}", failed());
    Ok(())
}

async fn rounds(
    ctx: &Context,
    lab: &LabState,
    address: SocketAddr,
    options: GatewayOptions,
) -> anyhow::Result<Vec<Round>> {
    let step = ctx.out.step("gateway", "opens connections");
    let tally = Arc::new(Tally::new()?);
    // Dropped at the end, and with it every client.
    let mut readers = JoinSet::new();
    let mut opened = 0;
    while opened < options.clients {
        let some = OPENING.min(options.clients - opened);
        let opening = (0..some).map(|_| websocket::open(address));
        for stream in futures_util::future::try_join_all(opening).await? {
            readers.spawn(websocket::read(stream, tally.clone()));
        }
        opened += some;
        step.tick(format_args!("{opened} connections are open"));
    }
    let pid = lab.component("gateway").map(|gateway| gateway.pid);
    let cpu_ms = || pid.and_then(process::cpu_ms);
    let mut rounds = Vec::new();
    for round in 0..options.rounds {
        for stalled in [0, 1] {
            step.update(format_args!(
                "round {} of {}, {stalled} stalled",
                round + 1,
                options.rounds
            ));
            // Open, subscribed, and never read from.
            let silent = match stalled {
                0 => None,
                _ => Some(websocket::open(address).await?),
            };
            tokio::time::sleep(WARM_UP).await;
            tally.reset();
            let (began, ticks, cpu) = (Instant::now(), CpuTicks::now(), cpu_ms());
            tokio::time::sleep(Duration::from_secs(options.seconds.into())).await;
            let took = began.elapsed();
            let cpu = cpu_ms().zip(cpu).map(|(now, then)| now - then);
            let steal = CpuTicks::now().zip(ticks);
            let latencies = tally.latencies().clone();
            let quantile = |q| latencies.value_at_quantile(q) as f64;
            rounds.push(Round {
                stalled,
                received_per_s: tally.events.load(Ordering::Relaxed) as f64 / took.as_secs_f64(),
                samples: latencies.len(),
                p50_ms: quantile(0.5),
                p90_ms: quantile(0.9),
                p99_ms: quantile(0.99),
                max_ms: quantile(1.0),
                lagged: tally.lagged.load(Ordering::Relaxed),
                broken: tally.broken.load(Ordering::Relaxed),
                gateway_cores: cpu.map(|ms| ms as f64 / took.as_secs_f64() / 1000.0),
                steal_percent: steal.map_or(0.0, |(now, then)| now.steal_since(then)),
            });
            drop(silent);
        }
    }
    anyhow::ensure!(
        rounds.iter().all(|round| round.samples > 0),
        "no event came to any client"
    );
    step.done(format_args!("{} rounds", rounds.len()));
    Ok(rounds)
}
