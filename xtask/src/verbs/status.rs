//! `status`: every part, its address, its health, its memory. Non-zero when one is dead or ill;
//! a part that was stopped on purpose is neither.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::Utc;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::Context;
use crate::components::docker::{self, Daemon};
use crate::components::{Part, external, instance, kafka, observability, postgres, services};
use crate::images::ImageUsed;
use crate::process::{self, Memory};
use crate::state::{ComponentState, LabState};

#[derive(Debug, clap::Args)]
pub struct StatusArgs {}

/// What `status --json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    pub up: bool,
    pub healthy: bool,
    pub backend: Option<String>,
    pub broker: Option<String>,
    /// What the parts in containers run from.
    pub images: BTreeMap<String, ImageUsed>,
    pub components: Vec<PartReport>,
    #[serde(flatten)]
    pub memory: Memory,
}

#[derive(Debug, Serialize)]
pub struct PartReport {
    pub name: String,
    /// `running`, `external` (not the lab's own), `paused`, `dead` (it ended by itself or was killed) or `stopped`.
    pub state: &'static str,
    pub healthy: bool,
    /// Why it is not healthy.
    pub problem: Option<String>,
    pub pid: Option<u32>,
    pub container: Option<String>,
    pub port: u16,
    pub url: String,
    pub uptime_seconds: Option<i64>,
    /// How long it took to be ready after its own start.
    pub start_ms: Option<u64>,
    #[serde(flatten)]
    pub memory: Memory,
}

pub async fn run(ctx: &Context, _args: &StatusArgs) -> anyhow::Result<()> {
    let report = report(LabState::load(&ctx.lab_dir)?).await;
    if ctx.json {
        ctx.print_json(&report)?;
    } else if report.up {
        print(&report);
    }
    anyhow::ensure!(
        report.up,
        "no lab is up here; start one with `cargo xtask up --detach`"
    );
    let ill: Vec<String> = report
        .components
        .iter()
        .filter(|part| !part.healthy && part.state != "stopped")
        .map(|part| {
            format!(
                "{}: {}",
                part.name,
                part.problem.as_deref().unwrap_or(part.state)
            )
        })
        .collect();
    anyhow::ensure!(
        ill.is_empty(),
        "{}; `cargo xtask services up` starts what is dead",
        ill.join("; ")
    );
    Ok(())
}

/// Asks every part at once.
pub async fn report(lab: Option<LabState>) -> Report {
    let Some(lab) = lab else {
        return Report {
            up: false,
            healthy: false,
            backend: None,
            broker: None,
            images: BTreeMap::new(),
            components: Vec::new(),
            memory: Memory::default(),
        };
    };
    let mut asking = JoinSet::new();
    let is_there = |part: &Part| Part::ALL.contains(part) || lab.components_of(*part).count() > 0;
    for part in Part::every().filter(is_there) {
        let known = lab
            .components_of(part)
            .filter_map(|c| Some(c.part()?.1))
            .max();
        for number in 1..=lab.instances(part).max(known.unwrap_or(1)) {
            asking.spawn(part_report(part, number, lab.clone()));
        }
    }
    let mut components = asking.join_all().await;
    components.sort_by_key(|part| Part::instance_from_name(&part.name));
    Report {
        up: true,
        healthy: components.iter().all(|part| part.healthy),
        backend: Some(lab.backend),
        broker: Some(lab.broker),
        images: lab.images,
        memory: Memory {
            rss_bytes: components.iter().map(|part| part.memory.rss_bytes).sum(),
            pss_bytes: components.iter().map(|part| part.memory.pss_bytes).sum(),
        },
        components,
    }
}

async fn part_report(part: Part, number: u32, lab: LabState) -> PartReport {
    let name = instance(part, number);
    let component = lab.component(&name).cloned();
    let mut report = PartReport {
        state: "stopped",
        healthy: false,
        problem: None,
        pid: None,
        container: None,
        port: lab.port(&name),
        name,
        url: String::new(),
        uptime_seconds: None,
        start_ms: None,
        memory: Memory::default(),
    };
    if let Some(external) = lab
        .external
        .as_ref()
        .filter(|_| Part::INFRA.contains(&part))
    {
        report.state = "external";
        report.port = 0;
        report.url = external.address(part);
        let asked = external::health(&lab, external, part);
        match tokio::time::timeout(Duration::from_secs(12), asked).await {
            Ok(Ok(())) => report.healthy = true,
            Ok(Err(e)) => report.problem = Some(format!("{e:#}")),
            Err(_) => report.problem = Some("silent for 12 s".into()),
        }
        return report;
    }
    let Some(component) = component else {
        return report;
    };
    report.url.clone_from(&component.url);
    report.state = "dead";
    report.container.clone_from(&component.container);
    match is_alive(&component).await {
        Ok(true) => {}
        Ok(false) => return report,
        Err(e) => {
            report.problem = Some(format!("{e:#}"));
            return report;
        }
    }
    report.state = "running";
    report.pid = Some(component.pid).filter(|pid| *pid != 0);
    report.uptime_seconds = Some((Utc::now() - component.started_at).num_seconds());
    report.start_ms = Some(component.start_ms);
    report.memory = memory(&component).await;
    if is_paused(&component).await {
        report.state = "paused";
        let resume = format!("paused; `cargo xtask services resume {}`", part.name());
        report.problem = Some(resume);
        return report;
    }
    let health = health(part, &component, &lab);
    let answer = tokio::time::timeout(Duration::from_secs(8), health).await;
    match answer {
        Ok(Ok(())) => report.healthy = true,
        Ok(Err(e)) => report.problem = Some(format!("{e:#}")),
        Err(_) => report.problem = Some("silent for 8 s".into()),
    }
    report
}

async fn is_paused(component: &ComponentState) -> bool {
    match &component.container {
        Some(id) => match Daemon::connect().await {
            Ok(daemon) => docker::is_paused(&daemon, id).await,
            Err(_) => false,
        },
        None => component.identity().is_suspended(),
    }
}

async fn is_alive(component: &ComponentState) -> anyhow::Result<bool> {
    match &component.container {
        Some(id) => docker::is_running(&Daemon::connect().await?, id).await,
        None => Ok(component.is_alive()),
    }
}

/// Of a container whose processes this system does not show, as the daemon counts it.
async fn memory(component: &ComponentState) -> Memory {
    match &component.container {
        Some(id) if component.pid == 0 => match Daemon::connect().await {
            Ok(daemon) => docker::memory(&daemon, id).await,
            Err(_) => Memory::default(),
        },
        _ => process::memory(component.pid),
    }
}

async fn health(part: Part, component: &ComponentState, lab: &LabState) -> anyhow::Result<()> {
    match part {
        Part::Kafka => {
            kafka::answers(component.port).await?;
            kafka::round_trip_replicated(&lab.kafka(), lab.replication()).await
        }
        Part::Postgres => postgres::round_trip(&lab.postgres()).await,
        Part::Registry if component.container.is_some() => services::register_schemas(lab).await,
        Part::Prometheus | Part::Grafana | Part::Jaeger => observability::health(part, lab).await,
        _ => services::health(&services::client()?, &component.url).await,
    }
}

fn print(report: &Report) {
    println!(
        "{:10} {:9} {:>7} {:36} {:>9} {:>8} {:>8}",
        "PART", "STATE", "PID", "ADDRESS", "MEMORY", "UPTIME", "START"
    );
    for part in &report.components {
        let state = match (part.state, part.healthy) {
            ("running", true) => "healthy",
            ("running" | "external", false) => "ill",
            (state, _) => state,
        };
        let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        println!(
            "{:10} {:9} {:>7} {:36} {:>9} {:>8} {:>8}",
            part.name,
            state,
            or_dash(part.pid.map(|pid| pid.to_string())),
            part.url,
            or_dash((part.state == "running").then(|| megabytes(part.memory))),
            or_dash(part.uptime_seconds.map(uptime)),
            or_dash(
                part.start_ms
                    .map(|ms| format!("{:.1} s", ms as f64 / 1000.0))
            ),
        );
    }
    println!(
        "\nMemory of the lab: {} MB resident, {} MB with shared pages counted once",
        report.memory.rss_bytes >> 20,
        report.memory.pss_bytes >> 20
    );
}

/// Shared pages counted once where the system says so.
fn megabytes(memory: Memory) -> String {
    let bytes = if memory.pss_bytes > 0 {
        memory.pss_bytes
    } else {
        memory.rss_bytes
    };
    format!("{} MB", bytes >> 20)
}

fn uptime(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
