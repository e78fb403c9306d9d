//! Runs one fault from its load to its verdict.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::judge::{self, Finding};
use super::lab::ChaosLab;
use super::scenario::{Fault, Step};
use super::steps;
use crate::process;
use crate::verbs::simulate;

/// More than any service of the lab takes by far: what grows without a bound passes it.
const MEMORY_LIMIT: u64 = 512 << 20;
/// A simulation that does not end this long after its time hangs.
const LOAD_PATIENCE: Duration = Duration::from_secs(180);

/// What came of one fault.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub name: String,
    pub row: Option<u32>,
    pub hypothesis: String,
    pub seed: u64,
    pub began_at: DateTime<Utc>,
    pub took_ms: u64,
    /// From the last step until everything was handled that was in the logs by then.
    pub recovered_ms: Option<u64>,
    pub verdict: Verdict,
    /// Why it failed or was not run.
    pub reason: Option<String>,
    pub backend: String,
    pub findings: Vec<Finding>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Failed,
    NotRun,
}

impl Outcome {
    /// Before anything is known.
    pub fn new(fault: &Fault, seed: u64, backend: &str) -> Self {
        Self {
            name: fault.name.0.clone(),
            row: fault.row,
            hypothesis: fault.hypothesis.trim().to_owned(),
            seed,
            began_at: Utc::now(),
            took_ms: 0,
            recovered_ms: None,
            verdict: Verdict::Passed,
            reason: None,
            backend: backend.into(),
            findings: Vec::new(),
        }
    }

    pub fn failed(mut self, reason: String) -> Self {
        self.verdict = Verdict::Failed;
        self.reason = Some(reason);
        self
    }

    pub fn not_run(mut self, reason: String) -> Self {
        self.verdict = Verdict::NotRun;
        self.reason = Some(reason);
        self
    }

    /// What did not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.passed)
    }
}

/// Runs one fault in a lab that is ready and empty. What goes wrong is a verdict, not an error.
pub async fn run(
    lab: &mut ChaosLab,
    fault: &Fault,
    seed: u64,
    stop: &CancellationToken,
) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome::new(fault, seed, &lab.lab.backend);
    let watch = MemoryWatch::start(lab);
    let result = tokio::select! {
        result = perform(lab, fault, seed, &mut outcome) => result,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    if fault.judges("B") {
        outcome
            .findings
            .push(judge::memory(&watch.peaks(), MEMORY_LIMIT));
    }
    outcome.took_ms = began.elapsed().as_millis() as u64;
    if let Err(e) = result {
        steps::mend(lab);
        keep_logs(lab, fault);
        return outcome.failed(format!("{e:#}"));
    }
    let broken: Vec<String> = outcome
        .broken()
        .map(|finding| format!("{} {}", finding.invariant, finding.name))
        .collect();
    if broken.is_empty() {
        outcome
    } else {
        keep_logs(lab, fault);
        outcome.failed(broken.join("; "))
    }
}

/// What the parts logged goes with their lab, unless it may say why something broke. Best effort.
fn keep_logs(lab: &ChaosLab, fault: &Fault) {
    let kept = lab.ctx.reports_dir().join("chaos/logs").join(&fault.name.0);
    let _ = std::fs::create_dir_all(&kept);
    for entry in std::fs::read_dir(lab.ctx.lab_dir.join("logs"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let _ = std::fs::copy(entry.path(), kept.join(entry.file_name()));
    }
}

async fn perform(
    lab: &mut ChaosLab,
    fault: &Fault,
    seed: u64,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    if let Some(load) = &fault.load {
        steps::start_load(lab, load, seed).await?;
    }
    for (n, step) in fault.steps.iter().enumerate() {
        use anyhow::Context as _;
        let performed = steps::perform(lab, step, seed).await;
        performed.with_context(|| format!("step {} ({})", n + 1, name(step)))?;
    }
    let healed = Instant::now();
    outcome.recovered_ms = recover(lab, healed, fault.recover_within.0).await;
    if fault.judges("R") {
        let took = outcome.recovered_ms.map(Duration::from_millis);
        outcome
            .findings
            .push(judge::recovery(took, fault.recover_within.0));
    }
    if let Some(load) = &fault.load {
        wait_for_load(lab, load.duration.0 + LOAD_PATIENCE).await?;
    }
    outcome.findings.extend(judge::judge(lab, fault).await?);
    Ok(())
}

/// Waits until everything is handled that is in the logs now.
async fn recover(lab: &ChaosLab, healed: Instant, bound: Duration) -> Option<u64> {
    let mut marks = None;
    // Longer than the bound, so that the report can say how much too long it took.
    while healed.elapsed() < bound * 2 {
        if marks.is_none() {
            marks = lab.marks().await.ok();
        }
        if let Some(marks) = &marks
            && lab.behind(marks).await.is_ok_and(|behind| behind == 0)
        {
            return Some(healed.elapsed().as_millis() as u64);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

async fn wait_for_load(lab: &ChaosLab, patience: Duration) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let status = simulate::status(&lab.lab).await;
        // A simulator that was killed has no simulation any more.
        if status.as_ref().is_ok_and(|status| !status.is_running()) {
            return Ok(());
        }
        anyhow::ensure!(
            began.elapsed() < patience,
            "the simulation does not end: {status:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The step's name as in the file.
fn name(step: &Step) -> String {
    let text = format!("{step:?}");
    text.split(['(', ' '])
        .next()
        .unwrap_or_default()
        .to_lowercase()
}

/// Looks at the services' memory all the time.
struct MemoryWatch {
    peaks: Arc<Mutex<BTreeMap<String, u64>>>,
    looking: tokio::task::JoinHandle<()>,
}

impl MemoryWatch {
    fn start(lab: &ChaosLab) -> Self {
        let peaks: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let (noted, ctx) = (peaks.clone(), lab.ctx.clone());
        let looking = tokio::spawn(async move {
            loop {
                if let Ok(lab) = ctx.lab() {
                    let services = lab.components.iter().filter(|component| {
                        component.pid != 0 && component.part().is_some_and(|(p, _)| p.is_service())
                    });
                    for service in services.filter(|service| service.is_alive()) {
                        let now = process::memory(service.pid).rss_bytes;
                        let mut peaks = noted.lock().expect("nobody panics while holding it");
                        let peak = peaks.entry(service.name.clone()).or_default();
                        *peak = now.max(*peak);
                    }
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        Self { peaks, looking }
    }

    fn peaks(&self) -> BTreeMap<String, u64> {
        let peaks = self.peaks.lock();
        peaks.expect("nobody panics while holding it").clone()
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}
