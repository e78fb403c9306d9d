//! The plan's validation of the whole: ten steps on a lab of its own, beside the user's.
//!
//! [`steps`] are the ten, [`plan`] finds the tests that carry the plan's names, [`report`] tells what
//! came out. The lab has its own folder and free ports; whatever happens in between, the last step
//! removes it. A step whose ground is missing is skipped and says so; the others still run, so that one
//! run names everything that is wrong.

pub mod plan;
pub mod report;
mod steps;

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

pub use self::report::{Outcome, Report, StepReport};
use self::steps::Run;
use crate::Context;
use crate::lab::on_ctrl_c;
use crate::state::Lock;
use crate::verbs::clean;

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Build the services first.
    pub build: bool,
    /// Every integration and end-to-end test, not only those that carry the plan's names.
    pub full: bool,
}

/// One of the ten, and which earlier ones it stands on.
struct Step {
    title: &'static str,
    needs: &'static [usize],
}

const STEPS: [Step; 10] = [
    step("infrastructure", &[]),
    step("infrastructure tests", &[1]),
    step("services", &[1]),
    step("unit tests", &[]),
    step("integration tests", &[]),
    step("end-to-end tests", &[]),
    step("Prometheus targets", &[1, 3]),
    step("Grafana", &[1]),
    step("simulation", &[1, 3]),
    step("cleanup", &[]),
];

const fn step(title: &'static str, needs: &'static [usize]) -> Step {
    Step { title, needs }
}

/// Runs the ten steps one after the other.
///
/// # Errors
/// When another validation of this checkout runs, or signals cannot be listened for. A step that fails
/// is no error: see [`Report::check`].
pub async fn run(ctx: &Context, options: Options) -> anyhow::Result<Report> {
    let began = Instant::now();
    let dir = ctx.reports_dir().join("validate-mvp");
    let _lock = Lock::take(&dir, Duration::ZERO, |_| {})
        .await
        .context("a validation of this checkout is under way")?;
    let lab = own_lab(ctx);
    // What a validation that was killed left behind.
    clean::remove(&lab, true).await?;
    let stop = on_ctrl_c(&lab)?;
    let mut run = Run::new(ctx, &lab, options, &dir, &stop);
    let mut done: Vec<StepReport> = Vec::new();
    for (number, step) in (1..).zip(&STEPS) {
        let is_last = number == STEPS.len();
        ctx.out
            .line(format_args!("[{number}/{}] {}", STEPS.len(), step.title));
        let started = Instant::now();
        let outcome = match why_not(step, &done, &stop) {
            Some(reason) if !is_last => Outcome::Failed(reason),
            _ if is_last => {
                let failed = done.iter().any(StepReport::has_failed);
                run.cleanup(failed).await
            }
            _ => tokio::select! {
                outcome = run.step(number) => outcome,
                () = given_up(&stop) => Outcome::Failed("interrupted".into()),
            },
        };
        let report = StepReport {
            number,
            title: step.title,
            outcome,
            took: started.elapsed(),
        };
        ctx.out.line(format_args!("{report}"));
        done.push(report);
    }
    let backend = run.backend().to_owned();
    Ok(Report::new(dir, backend, done, began.elapsed()))
}

/// The user's own lab, if any, is left alone.
fn own_lab(ctx: &Context) -> Context {
    let mut name = ctx.lab_dir.file_name().unwrap_or_default().to_owned();
    name.push("-mvp");
    Context {
        lab_dir: ctx.lab_dir.with_file_name(name),
        ..ctx.clone()
    }
}

fn why_not(step: &Step, done: &[StepReport], stop: &CancellationToken) -> Option<String> {
    if stop.is_cancelled() {
        return Some("interrupted".into());
    }
    let missing = step.needs.iter().find(|needed| {
        let earlier = done.iter().find(|report| report.number == **needed);
        earlier.is_none_or(StepReport::has_failed)
    });
    missing.map(|number| format!("not run: step {number} failed"))
}

/// Steps stop by themselves; one that does not is left behind after a while.
async fn given_up(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(number: usize, outcome: Outcome) -> StepReport {
        StepReport {
            number,
            title: STEPS[number - 1].title,
            outcome,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_step_needs_what_it_stands_on_and_nothing_else() {
        let stop = CancellationToken::new();
        let failed = [done(1, Outcome::Failed("no broker".into()))];
        let reason = why_not(&STEPS[1], &failed, &stop).expect("the infrastructure is missing");
        assert!(reason.contains("step 1"), "{reason}");
        assert_eq!(why_not(&STEPS[3], &failed, &stop), None);
        let passed = [done(1, Outcome::Passed("up".into()))];
        assert_eq!(why_not(&STEPS[1], &passed, &stop), None);
        stop.cancel();
        assert_eq!(
            why_not(&STEPS[3], &passed, &stop).as_deref(),
            Some("interrupted")
        );
    }

    #[test]
    fn steps_only_need_earlier_ones() {
        for (number, step) in (1..).zip(&STEPS) {
            assert!(step.needs.iter().all(|needed| *needed < number));
        }
    }
}
