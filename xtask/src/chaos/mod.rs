//! Breaks the lab on purpose and judges what it did: one YAML file per fault, a temporary lab, a
//! verdict.
//!
//! [`scenario`] reads the files, [`lab`] brings up a lab with [`wire`]s that can be cut, [`run`] does
//! one fault's [`steps`] under load or its [`own_tests`], [`judge`] compares the producers' journal, the logs and
//! PostgreSQL, and [`report`] prints. [`build`] makes the services with fail points, and with the defects
//! of [`mutants`], each of which the suite must see.

pub mod build;
pub mod disk;
pub mod judge;
pub mod lab;
pub mod mutants;
pub mod own_tests;
pub mod produce;
pub mod report;
pub mod run;
pub mod scenario;
pub mod steps;
pub mod wire;

use nix::unistd::geteuid;
use tokio_util::sync::CancellationToken;

use self::build::Programs;
use self::lab::{ChaosLab, Shape};
use self::own_tests::OwnTests;
use self::run::{Outcome, Verdict};
use self::scenario::{Fault, Need};
use crate::Context;
use crate::components::broker::BrokerChoice;
use crate::components::docker::Daemon;

/// How to run them.
#[derive(Debug, Clone)]
pub struct Options {
    /// Without one, each fault has its own, which is printed.
    pub seed: Option<u64>,
    pub broker: Option<BrokerChoice>,
    /// Build the services first.
    pub build: bool,
    pub stop: CancellationToken,
}

/// Runs faults one after the other, in one lab for as long as that serves, and returns what came of
/// them. After an interruption the others are not run.
///
/// # Errors
/// When the services or the tests do not build, or a lab cannot be removed.
pub async fn run_all(
    ctx: &Context,
    faults: &[Fault],
    options: &Options,
) -> anyhow::Result<Vec<Outcome>> {
    lab::sweep(ctx).await?;
    let faulty = faults.iter().any(Fault::holds);
    let programs = Programs::prepare(ctx, faulty, options.build).await?;
    let tests = OwnTests::build(ctx, faults, &options.stop).await?;
    let mut current: Option<ChaosLab> = None;
    let mut outcomes = Vec::new();
    for fault in faults {
        let seed = options.seed.unwrap_or_else(random_seed);
        if options.stop.is_cancelled() {
            outcomes.push(Outcome::new(fault, seed, "").not_run("interrupted".into()));
            continue;
        }
        let step = ctx
            .out
            .step("chaos", format_args!("{} (seed {seed})", fault.name));
        let outcome = if let Some(reason) = lacks(fault).await {
            Outcome::new(fault, seed, "").not_run(reason)
        } else if fault.is_tests() {
            tests.run(fault, seed, &step, &options.stop).await
        } else {
            run_in_lab(ctx, fault, seed, &mut current, &programs, options).await?
        };
        match outcome.verdict {
            Verdict::Passed => step.done(format_args!("{} holds", fault.name)),
            Verdict::Failed => step.fail(format_args!("{} FAILED (seed {seed})", fault.name)),
            Verdict::NotRun => step.done(format_args!("{} is not run here", fault.name)),
        }
        outcomes.push(outcome);
    }
    if let Some(lab) = current {
        lab.end().await?;
    }
    Ok(outcomes)
}

async fn run_in_lab(
    ctx: &Context,
    fault: &Fault,
    seed: u64,
    current: &mut Option<ChaosLab>,
    programs: &Programs,
    options: &Options,
) -> anyhow::Result<Outcome> {
    let shape = Shape::of(ctx, fault, options.broker).await?;
    match ready(ctx, shape, current, programs, &options.stop).await {
        Ok(()) => {}
        Err(e) => {
            let outcome = Outcome::new(fault, seed, "");
            return Ok(outcome.failed(format!("the lab did not come up: {e:#}")));
        }
    }
    let Some(lab) = current else {
        anyhow::bail!("a lab that came up is there");
    };
    let outcome = run::run(lab, fault, seed, &options.stop).await;
    // What failed may have left anything behind.
    if (outcome.verdict == Verdict::Failed || fault.lab.own)
        && let Some(lab) = current.take()
    {
        lab.end().await?;
    }
    Ok(outcome)
}

/// Makes the current lab one of `shape`, or starts another.
pub(crate) async fn ready(
    ctx: &Context,
    shape: Shape,
    current: &mut Option<ChaosLab>,
    programs: &Programs,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if let Some(lab) = current
        && lab.serves(&shape)
        && lab.reset(shape.clone()).await.is_ok()
    {
        return Ok(());
    }
    if let Some(lab) = current.take() {
        lab.end().await?;
    }
    *current = Some(ChaosLab::start(ctx, shape, programs, stop).await?);
    Ok(())
}

/// What this machine lacks for a fault.
async fn lacks(fault: &Fault) -> Option<String> {
    for need in &fault.needs {
        match need {
            Need::Docker => {
                if let Err(e) = Daemon::connect().await {
                    return Some(format!("needs a Docker daemon: {e:#}"));
                }
            }
            Need::Root if !geteuid().is_root() => {
                return Some("needs root, to mount a small file system".into());
            }
            Need::Root | Need::Kafka => {}
        }
    }
    None
}

pub(crate) fn random_seed() -> u64 {
    // Short enough to be typed again.
    uuid::Uuid::new_v4().as_u64_pair().0 % 1_000_000
}
