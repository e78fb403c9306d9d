//! How long an event takes from the simulator to a thousand WebSocket clients, and what one of them
//! that stops reading costs the others.
//!
//! Rounds with and without a stalled client take turns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use load::trace::{distribution, merged};
use load::websocket::{self, Tally};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::findings::{Benchmark, Bound, Figure, Line, Plot, Scale, Ticking, verified};
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

impl GatewayOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            clients: 1_000,
            rate: 100,
            seconds: if quick { 5 } else { 20 },
            rounds: if quick { 1 } else { 2 },
        }
    }
}

/// One round; latencies from publication to a client's socket.
#[derive(Debug, Clone, Serialize)]
struct Round {
    /// Clients that stopped reading.
    stalled: usize,
    received_per_s: f64,
    samples: u64,
    p50_ms: f64,
    p90_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Markers of skipped messages that reading clients got.
    lagged: u64,
    /// Connections of reading clients that ended.
    broken: u64,
    /// The gateway's, in cores; `None` where the system does not say.
    gateway_cores: Option<f64>,
    #[serde(skip)]
    latencies: Histogram<u64>,
}

/// Measures the gateway of the lab of `ctx`, which is up.
///
/// # Errors
/// When it does not answer, or takes fewer clients than it is to.
pub async fn measure(ctx: &Context, options: GatewayOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
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
    Ok(Benchmark {
        name: "gateway".into(),
        title: format!("{} WebSocket clients", options.clients),
        how: format!(
            "{} clients of every topic, {} events/s published: from the event's own time to a client's \
             socket, in turn with and without a client that has stopped reading. Clients and lab share \
             the machine.",
            options.clients, options.rate
        ),
        figures: figures(&rounds)?,
        plots: vec![Plot {
            title: "Latency distribution".into(),
            x: "share of messages".into(),
            y: "ms".into(),
            x_scale: Scale::Tail,
            y_scale: Scale::Linear,
            lines: [("all reading", 0), ("one stalled", 1)]
                .into_iter()
                .map(|(name, stalled)| Line {
                    name: name.into(),
                    points: distribution(&merged(of(&rounds, stalled).map(|r| &r.latencies))),
                })
                .collect(),
        }],
        notes: Vec::new(),
        table: None,
        verified: Some(verified(ctx).await?),
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "rounds": rounds }),
    })
}

/// The rounds with so many stalled clients.
fn of(rounds: &[Round], stalled: usize) -> impl Iterator<Item = &Round> {
    rounds.iter().filter(move |round| round.stalled == stalled)
}

fn figures(rounds: &[Round]) -> anyhow::Result<Vec<Figure>> {
    let latency = |name: &str, stalled, value: fn(&Round) -> f64| {
        Figure::new(name, "ms", of(rounds, stalled).map(value))
    };
    let most = |name: &str, value: fn(&Round) -> u64| {
        Figure::new(name, "", rounds.iter().map(value).max().map(|n| n as f64))
            .map(|figure| figure.goal(Bound::Below(1.0)))
    };
    let goal = Bound::Below(100.0);
    let mut figures = vec![
        latency("p50, all reading", 0, |round| round.p50_ms)?,
        latency("p99, all reading", 0, |round| round.p99_ms)?.goal(goal),
        latency("max, all reading", 0, |round| round.max_ms)?,
        latency("p50, one stalled", 1, |round| round.p50_ms)?,
        latency("p99, one stalled", 1, |round| round.p99_ms)?.goal(goal),
        latency("max, one stalled", 1, |round| round.max_ms)?,
        most("gaps of reading clients", |round| round.lagged)?,
        most("lost connections of reading clients", |round| round.broken)?,
        Figure::new(
            "received",
            "messages/s",
            rounds.iter().map(|round| round.received_per_s),
        )?,
    ];
    let cores: Vec<f64> = rounds.iter().filter_map(|r| r.gateway_cores).collect();
    if !cores.is_empty() {
        figures.push(Figure::new("gateway's CPU", "cores", cores)?);
    }
    Ok(figures)
}

async fn simulation(url: &str, verb: &str, body: Value) -> anyhow::Result<()> {
    let failed = || format!("failed to {verb} the simulation");
    let url = format!("{url}/api/v1/simulation/{verb}");
    let client = chassis::http::client::builder()
        .build()
        .with_context(failed)?;
    let answer = client.post(url).json(&body).send().await;
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
    let tally = Arc::new(Tally::default());
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
            let (began, cpu) = (Instant::now(), cpu_ms());
            tokio::time::sleep(Duration::from_secs(options.seconds.into())).await;
            let took = began.elapsed();
            let cpu = cpu_ms().zip(cpu).map(|(now, then)| now - then);
            let latencies = tally.latencies().clone();
            let quantile = |q| latencies.value_at_quantile(q) as f64 / 1000.0;
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
                latencies,
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
