//! Looks at every part of a running lab: memory, open files, threads, tasks, and what waits where.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use chassis::http::HttpClient;
use serde::Serialize;
use sqlx::PgPool;

use crate::Context;
use crate::components::Part;
use crate::process;
use crate::state::LabState;

/// What one part has; `None` where the system does not say.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    pub rss_mb: Option<f64>,
    pub files: Option<f64>,
    pub threads: Option<f64>,
    pub tasks: Option<f64>,
}

/// A moment of the lab.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Sample {
    pub at_s: f64,
    pub parts: BTreeMap<String, Usage>,
    /// Records that bancaire has not committed yet.
    pub lag: f64,
    pub outbox: f64,
    pub parked: f64,
    /// Counters since the services started.
    pub produced: f64,
    pub consumed: f64,
    /// Events that bancaire decided, and the sum of their latencies in seconds.
    pub decided: f64,
    pub latency_sum_s: f64,
}

impl Sample {
    /// Mean latency of what was decided since an earlier sample; `None` when nothing was.
    pub fn latency_ms(&self, since: &Sample) -> Option<f64> {
        let decided = self.decided - since.decided;
        (decided > 0.0).then(|| (self.latency_sum_s - since.latency_sum_s) * 1000.0 / decided)
    }
}

/// Keeps its connections between samples.
pub struct Sampler {
    lab: LabState,
    pool: PgPool,
    http: HttpClient,
}

impl Sampler {
    /// # Errors
    /// When no lab is up.
    pub fn new(ctx: &Context) -> anyhow::Result<Self> {
        let lab = ctx.lab()?;
        let pool = chassis::postgres::connect(&lab.postgres())?;
        Ok(Self {
            lab,
            pool,
            http: HttpClient::default(),
        })
    }

    /// # Errors
    /// When a service or PostgreSQL does not answer.
    pub async fn sample(&mut self, at: Duration) -> anyhow::Result<Sample> {
        let mut sample = Sample {
            at_s: at.as_secs_f64(),
            ..Sample::default()
        };
        for component in &self.lab.components {
            let Some((part, number)) = component.part() else {
                continue;
            };
            let mut usage = of_process(component.pid);
            if part.is_service() {
                let text = self.metrics(&component.url).await?;
                usage.tasks = value(&text, "edalab_tokio_alive_tasks");
                if part == Part::Simulator {
                    sample.produced = sum(&text, "edalab_messages_produced_total");
                }
                if part == Part::Bancaire {
                    sample.consumed += sum(&text, "edalab_messages_consumed_total");
                    sample.lag += sum(&text, "edalab_consumer_lag");
                    sample.decided += sum(&text, "edalab_end_to_end_latency_seconds_count");
                    sample.latency_sum_s += sum(&text, "edalab_end_to_end_latency_seconds_sum");
                }
            }
            let name = match number {
                1 => part.name().to_owned(),
                _ => component.name.clone(),
            };
            sample.parts.insert(name, usage);
        }
        let sql = "SELECT (SELECT count(*) FROM bancaire.outbox),
                          (SELECT count(*) FROM bancaire.parques)";
        let waiting = sqlx::query_as(sql).fetch_one(&self.pool).await;
        let (outbox, parked): (i64, i64) = waiting.context("failed to count what waits")?;
        sample.outbox = outbox as f64;
        sample.parked = parked as f64;
        Ok(sample)
    }

    async fn metrics(&self, url: &str) -> anyhow::Result<String> {
        let failed = || format!("failed to read the metrics of {url}");
        let response = self.http.get(format!("{url}/metrics")).send().await;
        let response = response.map_err(reqwest::Error::without_url);
        let response = response.with_context(failed)?;
        let text = response.text().await.map_err(reqwest::Error::without_url);
        text.with_context(failed)
    }
}

/// Of a process and everything below it. A part in a container has no process that we see.
fn of_process(pid: u32) -> Usage {
    if pid == 0 {
        return Usage::default();
    }
    let rss = process::memory(pid).rss_bytes;
    let entries = |dir: &str| {
        let entries = std::fs::read_dir(format!("/proc/{pid}/{dir}")).ok()?;
        Some(entries.count() as f64)
    };
    Usage {
        rss_mb: Some(rss as f64 / 1e6).filter(|mb| *mb > 0.0),
        files: entries("fd"),
        threads: entries("task"),
        tasks: None,
    }
}

/// The values of a metric in the exposition text, whatever its labels.
fn values<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = f64> + 'a {
    text.lines().filter_map(move |line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit(' ').next()?.parse().ok()
    })
}

fn sum(text: &str, name: &str) -> f64 {
    values(text, name).sum()
}

fn value(text: &str, name: &str) -> Option<f64> {
    values(text, name).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"2\"} 3.5\na_more 9\nb 7\n";
        assert_eq!(sum(text, "a"), 5.5);
        assert_eq!(value(text, "b"), Some(7.0));
        assert_eq!(value(text, "c"), None);
    }

    #[test]
    fn latency_is_of_what_was_decided_between() {
        let at = |decided, latency_sum_s| Sample {
            decided,
            latency_sum_s,
            ..Sample::default()
        };
        assert_eq!(at(30.0, 0.5).latency_ms(&at(10.0, 0.3)), Some(10.0));
        assert_eq!(at(10.0, 0.3).latency_ms(&at(10.0, 0.3)), None);
    }
}
