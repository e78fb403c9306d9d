//! Does what a fault's steps say.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::http::HttpClient;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::lab::ChaosLab;
use super::produce::Producer;
use super::scenario::{Component, Condition, HELD, Load, Made, Poison, State, Step, Storm, Wired};
use super::wire::{LOSS_PATIENCE, Wire};
use crate::lab;
use crate::state::ComponentState;

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does one step in a lab.
///
/// # Errors
/// When it cannot be done, or what it waits for does not come.
pub async fn perform(lab: &mut ChaosLab, step: &Step, seed: u64) -> anyhow::Result<()> {
    match step {
        Step::Wait(time) => tokio::time::sleep(time.0).await,
        Step::Kill(component) => lab.signal(&who(lab, component)?, Signal::SIGKILL).await?,
        Step::Terminate(component) => lab.stop(&who(lab, component)?).await?,
        Step::Pause(component) => {
            lab::pause_component(&lab.ctx, &who(lab, component)?.0)?;
        }
        Step::Resume(component) => {
            lab::resume_component(&lab.ctx, &who(lab, component)?.0)?;
        }
        Step::Start(component) => lab.start_part(component.part()).await?,
        Step::Workers(count) => lab.workers(*count).await?,
        Step::Storm(storm) => rage(lab, storm).await?,
        Step::Wire(wiring) => wire(lab, wiring.to)?.set(wiring.is.clone()),
        Step::LoseReply(lost) => {
            let wire = wire(lab, lost.to)?;
            wire.lose_reply(&lost.after);
            let began = Instant::now();
            while !wire.has_lost() {
                anyhow::ensure!(
                    began.elapsed() < LOSS_PATIENCE,
                    "nobody asked for {:?}",
                    lost.after
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Step::Hold(point) => {
            arm(lab, point.name())?;
            held(lab, point.name()).await?;
        }
        Step::Arm(point) => arm(lab, point.name())?,
        Step::Held(point) => held(lab, point.name()).await?,
        Step::Release(point) => {
            let release = lab.faults_dir.join(format!("{}.release", point.name()));
            std::fs::write(release, "").context("failed to release a fail point")?;
        }
        Step::Poison(poison) => publish_poison(lab, poison).await?,
        Step::Duplicate(count) => {
            ask(lab, "events/duplicate", json!({ "count": count })).await?;
        }
        Step::Replay => {
            Producer::new(lab, seed).await?.replay(lab).await?;
        }
        Step::Produce(made) => produce(lab, *made, seed).await?,
        Step::Until(condition) => until(lab, *condition).await?,
        Step::FillDisk => lab
            .disk
            .as_ref()
            .context("lab.postgres_mb is not set")?
            .fill()?,
        Step::FreeDisk => lab
            .disk
            .as_ref()
            .context("lab.postgres_mb is not set")?
            .free()?,
        Step::Test(_) => {
            anyhow::bail!("a test has a lab of its own; it cannot be one of several steps")
        }
    }
    Ok(())
}

fn wire(lab: &ChaosLab, to: Wired) -> anyhow::Result<&Wire> {
    let wire = lab.wires.get(&to);
    wire.with_context(|| format!("in this lab there is no wire to {to:?}; add `needs: [kafka]`"))
}

/// Mends whatever a step may have broken, for a run that was given up.
pub fn mend(lab: &ChaosLab) {
    for wire in lab.wires.values() {
        wire.set(State::Through);
    }
}

async fn rage(lab: &mut ChaosLab, storm: &Storm) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut turn = 1;
    while began.elapsed() < storm.lasts.0 {
        let next = Instant::now() + storm.every.0;
        lab.workers(storm.between[turn % 2]).await?;
        turn += 1;
        tokio::time::sleep_until(next.into()).await;
    }
    lab.workers(storm.between[0]).await
}

fn arm(lab: &ChaosLab, point: &str) -> anyhow::Result<()> {
    // From an earlier step of the same fault.
    for stale in ["reached", "release"] {
        let _ = std::fs::remove_file(lab.faults_dir.join(format!("{point}.{stale}")));
    }
    std::fs::write(lab.faults_dir.join(point), "").context("failed to arm a fail point")
}

async fn held(lab: &ChaosLab, point: &str) -> anyhow::Result<()> {
    let reached = lab.faults_dir.join(format!("{point}.reached"));
    let began = Instant::now();
    // It is there before its content is.
    while std::fs::read_to_string(&reached).is_ok_and(|pid| pid.is_empty()) || !reached.exists() {
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "nothing came to the fail point {point}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// The instance that a step means.
fn who(lab: &ChaosLab, component: &Component) -> anyhow::Result<Component> {
    if component.0 != HELD {
        return Ok(component.clone());
    }
    for entry in std::fs::read_dir(&lab.faults_dir)?.flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        let held = |c: &&ComponentState| text.parse() == Ok(c.pid);
        if let Some(found) = lab.ctx.lab()?.components.iter().find(held) {
            return Ok(Component(found.name.clone()));
        }
    }
    anyhow::bail!("nobody is held at a fail point")
}

async fn publish_poison(lab: &ChaosLab, poison: &Poison) -> anyhow::Result<()> {
    for event_type in schemas::EventType::ALL {
        for kind in &poison.kinds {
            let body = json!({
                "topic": event_type.topic(), "kind": kind, "count": poison.count,
            });
            ask(lab, "events/poison", body).await?;
        }
    }
    Ok(())
}

async fn produce(lab: &ChaosLab, made: Made, seed: u64) -> anyhow::Result<()> {
    Producer::new(lab, seed)
        .await?
        .make(lab, made)
        .await
        .map(drop)
}

/// Starts a simulation, which goes on by itself.
///
/// # Errors
/// With the simulator's reason.
pub async fn start_load(lab: &ChaosLab, load: &Load, seed: u64) -> anyhow::Result<()> {
    let body = json!({
        "scenario": load.scenario,
        "rate": load.rate.0,
        "duration": load.duration.0.as_secs_f64(),
        "seed": seed,
    });
    ask(lab, "simulation/start", body).await.map(drop)
}

async fn ask(lab: &ChaosLab, path: &str, body: Value) -> anyhow::Result<Value> {
    let client = HttpClient::with_timeout(Duration::from_secs(20));
    let url = format!("{}/api/v1/{path}", lab.lab.simulator_url());
    let request = client.request(reqwest::Method::POST, url).json(&body);
    let answer = request.send().await.map_err(reqwest::Error::without_url);
    let answer = answer.context("the simulator does not answer")?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    anyhow::ensure!(
        status.is_success(),
        "the simulator answers {status}: {text}"
    );
    serde_json::from_str(&text).context("failed to understand the simulator")
}

async fn until(lab: &ChaosLab, condition: Condition) -> anyhow::Result<()> {
    let began = Instant::now();
    let marks = match condition {
        Condition::CaughtUp => Some(lab.marks().await?),
        _ => None,
    };
    let mut last = String::new();
    while began.elapsed() < PATIENCE {
        let holds = match (condition, &marks) {
            (Condition::CaughtUp, Some(marks)) => lab.behind(marks).await.map(|n| n == 0),
            _ => look(lab, condition).await,
        };
        match holds {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(e) => last = format!(": {e:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("waited a minute in vain until {condition:?}{last}")
}

async fn look(lab: &ChaosLab, condition: Condition) -> anyhow::Result<bool> {
    match condition {
        Condition::Flowing => {
            let query = sqlx::query_scalar("SELECT count(*) FROM bancaire.transactions");
            let rows: i64 = query.fetch_one(&lab.pool).await?;
            Ok(rows >= 100)
        }
        Condition::Lagging => Ok(lab.behind(&lab.marks().await?).await? >= 100),
        Condition::CaughtUp => Ok(lab.behind(&lab.marks().await?).await? == 0),
        Condition::Degraded => Ok(health(lab).await? == "degraded"),
        Condition::Healthy => Ok(health(lab).await? == "healthy"),
    }
}

/// What bancaire says of itself.
async fn health(lab: &ChaosLab) -> anyhow::Result<String> {
    let client = HttpClient::with_timeout(Duration::from_secs(5));
    let url = format!("{}/api/v1/health", lab.lab.bancaire_url());
    let answer = client
        .get(url)
        .send()
        .await
        .map_err(reqwest::Error::without_url)?;
    let body: Value = answer.json().await.map_err(reqwest::Error::without_url)?;
    Ok(body["status"].as_str().unwrap_or_default().to_owned())
}
