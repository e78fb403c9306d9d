//! How the lab is at a moment: what [`exercises`](super::exercises) compare.

use std::collections::BTreeMap;

use anyhow::Context as _;
use chassis::http::HttpClient;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use crate::state::{ComponentState, LabState};
use crate::verbs::schemas::segment;

/// Sums over all topics, from the rows that bancaire keeps with its offsets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub applied: i64,
    pub rejected: i64,
    pub parked: i64,
    pub dead_lettered: i64,
    pub duplicates: i64,
}

/// A process of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Tells a process from a later one of the same part.
    pub identity: String,
    pub started_at: DateTime<Utc>,
    pub is_alive: bool,
}

/// The lab at a moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    pub taken_at: DateTime<Utc>,
    pub totals: Totals,
    /// By part.
    pub processes: BTreeMap<String, Process>,
    /// Registered versions by subject.
    pub subjects: BTreeMap<String, Vec<i32>>,
}

impl Snapshot {
    /// # Errors
    /// When PostgreSQL or the registry does not answer.
    pub async fn take(lab: &LabState) -> anyhow::Result<Self> {
        let pool = chassis::postgres::connect(&lab.postgres())?;
        Ok(Self {
            taken_at: now(&pool).await?,
            totals: totals(&pool).await?,
            processes: lab.components.iter().map(process).collect(),
            subjects: subjects(lab).await?,
        })
    }

    pub fn process(&self, part: &str) -> Option<&Process> {
        self.processes.get(part)
    }
}

fn process(component: &ComponentState) -> (String, Process) {
    let process = Process {
        identity: format!("{}:{}", component.pid, component.start_id),
        started_at: component.started_at,
        is_alive: component.is_alive(),
    };
    (component.name.clone(), process)
}

/// PostgreSQL's own clock, which is the one that rows are stamped with.
async fn now(pool: &PgPool) -> anyhow::Result<DateTime<Utc>> {
    sqlx::query_scalar("SELECT clock_timestamp()")
        .fetch_one(pool)
        .await
        .context("PostgreSQL does not answer; `cargo xtask services up` starts what is dead")
}

async fn totals(pool: &PgPool) -> anyhow::Result<Totals> {
    let (applied, rejected, parked, dead_lettered, duplicates) = sqlx::query_as(
        "SELECT COALESCE(SUM(applied), 0)::BIGINT, COALESCE(SUM(rejected), 0)::BIGINT,
                COALESCE(SUM(parked), 0)::BIGINT, COALESCE(SUM(dead_lettered), 0)::BIGINT,
                COALESCE(SUM(duplicates), 0)::BIGINT
         FROM bancaire.flux",
    )
    .fetch_one(pool)
    .await
    .context("failed to read what bancaire counted")?;
    Ok(Totals {
        applied,
        rejected,
        parked,
        dead_lettered,
        duplicates,
    })
}

async fn subjects(lab: &LabState) -> anyhow::Result<BTreeMap<String, Vec<i32>>> {
    let registry = lab.registry_url();
    let names: Vec<String> = get(&format!("{registry}/subjects")).await?;
    let mut subjects = BTreeMap::new();
    for name in names {
        let path = format!("{registry}/subjects/{}/versions", segment(&name));
        let versions = get(&path).await?;
        subjects.insert(name, versions);
    }
    Ok(subjects)
}

/// One JSON answer.
pub(super) async fn get<T: serde::de::DeserializeOwned>(url: &str) -> anyhow::Result<T> {
    let answer = HttpClient::default().get(url.to_owned()).send().await;
    let answer = answer
        .and_then(reqwest::Response::error_for_status)
        .with_context(|| format!("no answer from {url}"))?;
    answer
        .json()
        .await
        .with_context(|| format!("failed to understand {url}"))
}
