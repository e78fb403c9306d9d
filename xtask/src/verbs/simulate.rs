//! `simulate`: produce events at a steady rate, through the gateway as a user would, or straight
//! through the simulator while the gateway is away.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::http::{HttpClient, Problem};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Context;
use crate::output::Step;
use crate::state::LabState;

/// A simulator or broker that is being started again is waited for this long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SimulateArgs {
    #[command(subcommand)]
    pub verb: Option<SimulateVerb>,
    /// Events per second.
    #[arg(long, default_value_t = 10.0, allow_negative_numbers = true)]
    pub rate: f64,
    /// Seconds; 0 goes on until it is stopped.
    #[arg(long, default_value_t = 30, allow_negative_numbers = true)]
    pub duration: i64,
    /// Which events, and in which proportions.
    #[arg(long, default_value = "default")]
    pub scenario: String,
    /// The same seed makes the same events.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Return when it has started.
    #[arg(long, short)]
    pub detach: bool,
}

#[derive(Debug, clap::Subcommand)]
pub enum SimulateVerb {
    /// Stop the simulation that runs.
    Stop,
    /// Show what was produced so far.
    Status,
}

impl SimulateArgs {
    /// The default scenario at a rate, for some seconds.
    pub fn of(rate: f64, duration: i64) -> Self {
        Self {
            verb: None,
            rate,
            duration,
            scenario: "default".into(),
            seed: None,
            detach: false,
        }
    }
}

/// What `GET /api/v1/simulation/status` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    pub status: String,
    #[serde(default)]
    pub simulation_id: Option<String>,
    #[serde(default)]
    pub events_produced: u64,
    #[serde(default)]
    pub rate_actual: f64,
    #[serde(default)]
    pub by_type: BTreeMap<String, i64>,
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

impl Status {
    pub fn is_running(&self) -> bool {
        matches!(self.status.as_str(), "running" | "starting" | "stopping")
    }
}

/// The simulation that runs, or the last one.
///
/// # Errors
/// When neither the gateway nor the simulator answers.
pub async fn status(lab: &LabState) -> anyhow::Result<Status> {
    call(lab, Method::GET, "status", None).await
}

/// Starts a simulation of the default scenario; its id.
///
/// # Errors
/// When neither the gateway nor the simulator answers, or another one runs.
pub async fn begin(lab: &LabState, rate: f64, seconds: u64) -> anyhow::Result<String> {
    let body = json!({ "scenario": "default", "rate": number(rate), "duration": seconds });
    let started: Value = call(lab, Method::POST, "start", Some(body)).await?;
    let id = started["simulation_id"].as_str();
    id.map(str::to_owned).context("the simulation has no id")
}

pub async fn run(ctx: &Context, args: &SimulateArgs) -> anyhow::Result<()> {
    let lab = ctx.lab()?;
    match args.verb {
        Some(SimulateVerb::Stop) => {
            let stopped: Value = call(&lab, Method::POST, "stop", Some(json!({}))).await?;
            if ctx.json {
                return ctx.print_json(&stopped);
            }
            println!("Stopped after {} events", stopped["events_produced"]);
            Ok(())
        }
        Some(SimulateVerb::Status) => show(ctx, &status(&lab).await?),
        None => start(ctx, &lab, args).await,
    }
}

async fn start(ctx: &Context, lab: &LabState, args: &SimulateArgs) -> anyhow::Result<()> {
    if args.detach {
        let started = begin_as_asked(lab, args).await?;
        if ctx.json {
            return ctx.print_json(&started);
        }
        let id = started["simulation_id"].as_str().unwrap_or_default();
        println!("Simulation {id} runs; `cargo xtask simulate status` shows it");
        return Ok(());
    }
    let step = ctx.out.step("simulate", "starts");
    let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or(()) };
    let ended = to_end(lab, args, &step, interrupted).await?;
    step.done(format_args!(
        "{} events produced, {:.1} per second",
        ended.events_produced, ended.rate_actual
    ));
    show(ctx, &ended)
}

/// Starts a simulation and waits for its end; when `interrupted` comes first, it is stopped.
///
/// # Errors
/// When it cannot be started, or is lost.
pub async fn to_end(
    lab: &LabState,
    args: &SimulateArgs,
    step: &Step,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<Status> {
    let started = begin_as_asked(lab, args).await?;
    let id = started["simulation_id"].as_str().unwrap_or_default();
    tokio::select! {
        ended = wait(lab, id, args, step) => ended,
        () = interrupted => {
            step.tick("stops");
            let _: Value = call(lab, Method::POST, "stop", Some(json!({}))).await?;
            status(lab).await
        }
    }
}

async fn begin_as_asked(lab: &LabState, args: &SimulateArgs) -> anyhow::Result<Value> {
    let mut body = json!({
        "scenario": args.scenario,
        "rate": number(args.rate),
        "duration": args.duration,
    });
    if let Some(seed) = args.seed {
        body["seed"] = json!(seed);
    }
    call(lab, Method::POST, "start", Some(body)).await
}

/// Until it ends by itself. While nobody answers, somebody may be starting the part again.
async fn wait(
    lab: &LabState,
    id: &str,
    args: &SimulateArgs,
    step: &Step,
) -> anyhow::Result<Status> {
    let mut last = 0;
    let mut answered = Instant::now();
    loop {
        match status(lab).await {
            Ok(status) => {
                answered = Instant::now();
                anyhow::ensure!(
                    status.simulation_id.as_deref() == Some(id),
                    "the simulation was lost after {last} events: the simulator was started again"
                );
                anyhow::ensure!(
                    status.status != "failed",
                    "the simulation failed after {} events: {}",
                    status.events_produced,
                    status.other.get("error").unwrap_or(&Value::Null)
                );
                if !status.is_running() {
                    return Ok(status);
                }
                last = status.events_produced;
                let due = args.rate * args.duration as f64;
                let of = if due > 0.0 {
                    format!(" of {due}")
                } else {
                    String::new()
                };
                step.tick(format_args!(
                    "{last}{of} events, {:.1} per second",
                    status.rate_actual
                ));
            }
            Err(e) if answered.elapsed() > PATIENCE => return Err(e),
            Err(e) => step.tick(format_args!("waits: {e:#}")),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn show(ctx: &Context, status: &Status) -> anyhow::Result<()> {
    if ctx.json {
        return ctx.print_json(status);
    }
    println!(
        "{}: {} events produced, {:.1} per second",
        status.status, status.events_produced, status.rate_actual
    );
    for (name, count) in &status.by_type {
        println!("  {name:24} {count:>9}");
    }
    Ok(())
}

/// One for all calls, which share its connections.
static CLIENT: LazyLock<HttpClient> =
    LazyLock::new(|| HttpClient::with_timeout(Duration::from_secs(20)));

/// Asks the gateway, and the simulator itself when the gateway is not there.
async fn call<T: DeserializeOwned>(
    lab: &LabState,
    method: Method,
    action: &str,
    body: Option<Value>,
) -> anyhow::Result<T> {
    let path = format!("/api/v1/simulation/{action}");
    let send = async |base: String| {
        let mut request = CLIENT.request(method.clone(), format!("{base}{path}"));
        if let Some(body) = &body {
            request = request.json(body);
        }
        request.send().await.map_err(reqwest::Error::without_url)
    };
    let response = match send(lab.gateway_url()).await {
        // Nothing was sent, so asking somebody else cannot do it twice.
        Err(e) if e.is_connect() => send(lab.simulator_url()).await.context(
            "neither the gateway nor the simulator answers; `cargo xtask services up` starts them",
        )?,
        response => response.context("the gateway does not answer")?,
    };
    let status = response.status();
    let bytes = response.bytes().await.map_err(reqwest::Error::without_url);
    let bytes = bytes.context("failed to read the answer")?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).context("failed to understand the answer");
    }
    match serde_json::from_slice::<Problem>(&bytes) {
        Ok(problem) => anyhow::bail!("{} ({status}): {}", problem.title, problem.detail),
        Err(_) => anyhow::bail!("the answer is {status}"),
    }
}

/// A whole number as one, so that an interface that takes only such is content.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_with_what_it_lacks_and_keeps_what_is_new() {
        let status: Status = serde_json::from_value(json!({
            "status": "running", "simulation_id": "x", "scenario": "default",
            "events_produced": 7, "rate_actual": 9.8, "by_type": { "CompteOuvert": 7 }
        }))
        .unwrap();
        assert!(status.is_running());
        assert_eq!(status.other["scenario"], "default");
        assert_eq!(
            serde_json::to_value(&status).unwrap()["by_type"]["CompteOuvert"],
            7
        );
        let stopped: Status = serde_json::from_value(json!({ "status": "stopped" })).unwrap();
        assert!(!stopped.is_running());
    }

    #[test]
    fn whole_rates_stay_whole() {
        assert_eq!(number(100.0).to_string(), "100");
        assert_eq!(number(-3.0).to_string(), "-3");
        assert_eq!(number(0.5).to_string(), "0.5");
    }
}
