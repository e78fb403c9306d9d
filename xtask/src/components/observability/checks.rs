//! What must hold of the observability that is up: files that are understood, targets that answer,
//! series that are there, dashboards that are shown.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::Value;

use super::{Part, get, health, queries, query};
use crate::Context;
use crate::components::checks::{Check, timed};
use crate::state::LabState;

/// Prometheus asks every 5 s, and a target that was just started gets a second chance.
const PATIENCE: Duration = Duration::from_secs(15);

/// All checks of what is up; the files are always looked at.
pub async fn all(ctx: &Context, lab: &LabState) -> Vec<Check> {
    let mut found = vec![timed("files", files(ctx)).await];
    let is_up = |part: Part| lab.component(part.name()).is_some();
    if is_up(Part::Prometheus) {
        found.push(timed("targets", targets(lab)).await);
        found.push(timed("series", series(ctx, lab)).await);
    }
    for part in [Part::Grafana, Part::Jaeger] {
        if is_up(part) {
            let check = async { health(part, lab).await.map(|()| "it answers".to_owned()) };
            found.push(timed(part.name(), check).await);
        }
    }
    found
}

/// The dashboards and the rules are what they should be, by form.
async fn files(ctx: &Context) -> anyhow::Result<String> {
    let queries = queries::all(&ctx.root.join("infra"))?;
    Ok(format!("{} queries in dashboards and rules", queries.len()))
}

/// Every target of Prometheus is up; a service that was not started is none.
///
/// # Errors
/// Naming those that are not, and why.
pub async fn targets(lab: &LabState) -> anyhow::Result<String> {
    let url = format!(
        "{}/api/v1/targets?state=active",
        lab.url(Part::Prometheus.name())
    );
    let idle: Vec<&str> = Part::ALL
        .into_iter()
        .filter(|part| part.is_service() && lab.component(part.name()).is_none())
        .map(Part::name)
        .collect();
    let began = Instant::now();
    loop {
        let answer = get(&url).await?;
        let targets = answer["data"]["activeTargets"].as_array().cloned();
        let mut targets = targets.context("Prometheus names no targets")?;
        targets.retain(|target| {
            target["labels"]["job"]
                .as_str()
                .is_none_or(|job| !idle.contains(&job))
        });
        let down: Vec<String> = targets
            .iter()
            .filter(|target| target["health"] != "up")
            .map(|target| {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let labels = &target["labels"];
                let (job, instance) = (text(&labels["job"]), text(&labels["instance"]));
                format!("{job} at {instance}: {}", text(&target["lastError"]))
            })
            .collect();
        if down.is_empty() && !targets.is_empty() {
            let rest = match idle.as_slice() {
                [] => String::new(),
                idle => format!("; not started: {}", idle.join(", ")),
            };
            return Ok(format!("all {} are up{rest}", targets.len()));
        }
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "not up: {}",
            if targets.is_empty() {
                "there is none".into()
            } else {
                down.join("; ")
            }
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Every query of a dashboard or a rule is answered, and every metric in them is there.
///
/// # Errors
/// The file and line of a query that is refused; the metrics that are missing.
pub async fn series(ctx: &Context, lab: &LabState) -> anyhow::Result<String> {
    let base = lab.url(Part::Prometheus.name());
    let queries = queries::all(&ctx.root.join("infra"))?;
    for asked in &queries {
        let answer = query(&base, &asked.filled()).await;
        answer.map_err(|e| anyhow::anyhow!("{asked}: {e:#}"))?;
    }
    let mut wanted: BTreeSet<String> = queries.iter().flat_map(queries::Query::metrics).collect();
    if lab.jmx_agent.is_none() {
        wanted.retain(|name| !name.starts_with("kafka_") && !name.starts_with("jvm_"));
    }
    let began = Instant::now();
    loop {
        let answer = get(&format!("{base}/api/v1/label/__name__/values")).await?;
        let names = answer["data"].as_array().into_iter().flatten();
        let there: BTreeSet<&str> = names.filter_map(Value::as_str).collect();
        let missing: Vec<&str> = wanted
            .iter()
            .map(String::as_str)
            .filter(|name| !there.contains(name))
            .collect();
        if missing.is_empty() {
            let (queries, names) = (queries.len(), wanted.len());
            return Ok(format!(
                "{queries} queries are answered, all {names} metrics are there"
            ));
        }
        let is_fresh = !there.contains("edalab_messages_produced_total");
        if began.elapsed() >= PATIENCE || is_fresh && began.elapsed() >= PATIENCE / 2 {
            anyhow::ensure!(is_fresh, "not there: {}", missing.join(", "));
            return Ok(format!(
                "{} queries are answered; {} of {} metrics wait for the first events (cargo xtask \
                 simulate)",
                queries.len(),
                missing.len(),
                wanted.len()
            ));
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
