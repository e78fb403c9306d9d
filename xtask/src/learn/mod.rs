//! Exercises with a judge: `cargo xtask learn start 01-3` remembers how the lab is, the learner
//! does the steps of `docs/patterns/01-pub-sub.md`, and `learn check 01-3` compares the lab of now
//! with what was remembered.
//!
//! [`snapshot`] is how the lab is at a moment; [`exercises`] are the exercises and what each asks of
//! the lab. A check looks at what happened (rows, offsets, processes, dead letters), never at which
//! commands were typed.

pub mod exercises;
pub mod snapshot;

use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use self::exercises::{EXERCISES, Exercise};
pub use self::snapshot::Snapshot;
use crate::Context;

/// One thing that an exercise asks of the lab, and what was found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What should be so.
    pub what: &'static str,
    pub passed: bool,
    /// What is so.
    pub found: String,
    /// What to do, when it is not so yet.
    pub hint: &'static str,
}

/// What `check` says.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    pub exercise: &'static str,
    pub passed: bool,
    pub findings: Vec<Finding>,
}

/// What `start` remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Started {
    exercise: String,
    before: Snapshot,
}

/// The exercise of an id such as `01-3`.
///
/// # Errors
/// When there is none; says which there are.
pub fn find(id: &str) -> anyhow::Result<&'static Exercise> {
    EXERCISES
        .iter()
        .find(|exercise| exercise.id == id)
        .with_context(|| {
            let ids: Vec<&str> = EXERCISES.iter().map(|exercise| exercise.id).collect();
            format!("there is no exercise {id:?}; they are {}", ids.join(", "))
        })
}

/// Remembers how the lab is. A second start begins anew.
///
/// # Errors
/// When the lab is not up or cannot be asked.
pub async fn start(ctx: &Context, exercise: &Exercise) -> anyhow::Result<()> {
    let before = Snapshot::take(&ctx.lab()?).await?;
    let started = Started {
        exercise: exercise.id.to_owned(),
        before,
    };
    let text = serde_json::to_string_pretty(&started).context("failed to write JSON")?;
    crate::junit::write_file(&path(ctx, exercise), &text)
}

/// True when the exercise was started and not reset.
pub fn is_started(ctx: &Context, exercise: &Exercise) -> bool {
    path(ctx, exercise).is_file()
}

/// Judges the lab of now against what `start` remembered.
///
/// # Errors
/// When the exercise was not started, or the lab cannot be asked.
pub async fn check(ctx: &Context, exercise: &'static Exercise) -> anyhow::Result<Verdict> {
    let path = path(ctx, exercise);
    let lab = ctx.lab()?;
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "exercise {} was not started; `cargo xtask learn start {0}`",
            exercise.id
        )
    })?;
    let started: Started = serde_json::from_str(&text).with_context(|| {
        format!(
            "failed to read {}; `cargo xtask learn start {}` begins anew",
            path.display(),
            exercise.id
        )
    })?;
    let after = Snapshot::take(&lab).await?;
    let findings = exercises::judge(exercise, &lab, &started.before, &after).await?;
    Ok(Verdict {
        exercise: exercise.id,
        passed: findings.iter().all(|finding| finding.passed),
        findings,
    })
}

/// Forgets what `start` remembered. Returns whether there was anything.
///
/// # Errors
/// When the file cannot be removed.
pub fn reset(ctx: &Context, exercise: &Exercise) -> anyhow::Result<bool> {
    match std::fs::remove_file(path(ctx, exercise)) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).context("failed to forget the exercise"),
    }
}

fn path(ctx: &Context, exercise: &Exercise) -> PathBuf {
    ctx.lab_dir
        .join("learn")
        .join(format!("{}.json", exercise.id))
}
