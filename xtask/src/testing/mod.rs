//! Builds and runs the workspace's tests: [`suites`] finds and runs them, [`libtest`] understands
//! them, [`ui`] runs the page's; [`needs`] says what this machine cannot run, [`report`] tells it all.

pub mod libtest;
pub mod needs;
pub mod report;
pub mod suites;
pub mod ui;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use self::libtest::{Outcome, Test};
use self::needs::{Need, Needs};
use self::report::{NotRun, Report};
use self::suites::{Group, Suite};
use crate::Context;
use crate::cargo;
use crate::components::Part;
use crate::junit::{self, Case};

/// Builds once, then runs the suites of `groups` one after the other.
///
/// # Errors
/// When nothing builds, a suite cannot be started, or at an interruption. A test that fails is no
/// error: see [`Report::check`].
pub async fn run(
    ctx: &Context,
    groups: &BTreeSet<Group>,
    filter: Option<&str>,
    stop: &CancellationToken,
) -> anyhow::Result<Report> {
    let began = Instant::now();
    let mut report = Report::new(ctx);
    let mut needs = Needs::new(ctx, report.strict);
    if groups.iter().any(|group| *group != Group::Ui) {
        let suites = build(ctx, stop).await?;
        let pick = |suite: &Suite| match filter {
            _ if !groups.contains(&suite.group) => None,
            Some(filter) => Some(suite.filtered(filter)),
            None => Some(suite.clone()),
        };
        for suite in suites.iter().filter_map(pick) {
            run_suite(ctx, &suite, &mut needs, &mut report, stop).await?;
        }
    }
    if groups.contains(&Group::Ui) && filter.is_none() {
        ui::run(ctx, &mut needs, &mut report, stop).await?;
    }
    report.took = began.elapsed();
    Ok(report)
}

/// What is tested first, so that an error of the compiler is said once and clearly; then the
/// binaries that the tests' labs consist of are there too.
///
/// # Errors
/// With the compiler's own words, or at an interruption.
pub async fn build(ctx: &Context, stop: &CancellationToken) -> anyhow::Result<Vec<Suite>> {
    let step = ctx.out.step("build", "builds the services");
    let mut services = vec!["build", "--package", "xtask"];
    let parts = Part::ALL.into_iter().filter(|part| part.is_service());
    services.extend(parts.flat_map(|part| ["--package", part.name()]));
    let building = async {
        cargo::build(ctx, &services, "the services", &step).await?;
        let args = ["test", "--workspace", "--no-run"];
        cargo::build(ctx, &args, "the tests", &step).await
    };
    let built = tokio::select! {
        built = building => built,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    match built {
        Ok(artifacts) => {
            step.done("services and tests are built");
            Ok(suites::find(ctx, &artifacts))
        }
        Err(e) => {
            step.fail("they do not build");
            Err(e)
        }
    }
}

/// Runs one suite as far as this machine can.
///
/// # Errors
/// When it cannot be started, or at an interruption.
pub async fn run_suite(
    ctx: &Context,
    suite: &Suite,
    needs: &mut Needs<'_>,
    report: &mut Report,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if suite.needs_lab
        && let Some((reason, remedy)) = needs.missing(Need::Lab).await
    {
        report
            .not_run
            .push(NotRun::new(&suite.name, &reason, &remedy));
        return Ok(());
    }
    let step = ctx
        .out
        .step(suite.group.name(), format_args!("runs {}", suite.name));
    let log = report.log(&suite.name);
    let mut ran = suite.run(&log, &step, stop)?;
    // What is left out by default because it needs something: here it may be there.
    let mut possible = BTreeSet::new();
    for test in &ran.tests {
        if let Outcome::Ignored(reason) = &test.outcome
            && let Some(need) = Need::of(reason)
            && needs.missing(need).await.is_none()
        {
            possible.insert(test.name.clone());
        }
    }
    if !possible.is_empty() {
        let log = report.log(&format!("{} with more", suite.name));
        let second = suite.only_ignored(&possible).run(&log, &step, stop)?;
        ran.took += second.took;
        ran.tests.retain(|test| !possible.contains(&test.name));
        ran.tests.extend(second.tests);
    }
    let count = |wanted: fn(&Outcome) -> bool| {
        ran.tests
            .iter()
            .filter(|test| wanted(&test.outcome))
            .count()
    };
    let failed = count(|outcome| matches!(outcome, Outcome::Failed(_)));
    let ignored = match count(|outcome| matches!(outcome, Outcome::Ignored(_))) {
        0 => String::new(),
        n => format!(", {n} not run"),
    };
    let passed = count(|outcome| *outcome == Outcome::Passed);
    if failed == 0 {
        step.done(format_args!("{}: {passed} passed{ignored}", suite.name));
    } else {
        step.fail(format_args!(
            "{}: {failed} FAILED, {passed} passed{ignored}",
            suite.name
        ));
    }
    note_ignored(&suite.name, &ran.tests, needs, report).await;
    let cases = ran.tests.into_iter().map(case);
    report.add(
        suite.group,
        junit::Suite {
            name: suite.name.clone(),
            cases: cases.collect(),
        },
        ran.took,
    );
    Ok(())
}

/// Tests that were left out, by reason: one line each, however many there are.
async fn note_ignored(suite: &str, tests: &[Test], needs: &mut Needs<'_>, report: &mut Report) {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for test in tests {
        if let Outcome::Ignored(reason) = &test.outcome {
            by_reason.entry(reason).or_default().push(&test.name);
        }
    }
    for (reason, names) in by_reason {
        let missing = match Need::of(reason) {
            Some(need) => needs.missing(need).await,
            None => None,
        };
        let (reason, remedy) = match &missing {
            Some((reason, remedy)) => (reason.as_str(), remedy.as_str()),
            None if reason.is_empty() => ("it is marked as ignored", "take the mark away"),
            None => (reason, ""),
        };
        let what = format!("{suite}: {}", names.join(", "));
        report.not_run.push(NotRun::new(&what, reason, remedy));
    }
}

fn case(test: Test) -> Case {
    Case {
        name: test.name,
        took: test.took,
        outcome: match test.outcome {
            Outcome::Passed => junit::Outcome::Passed,
            Outcome::Failed(output) => junit::Outcome::Failed(output.trim().to_owned()),
            Outcome::Ignored(reason) => junit::Outcome::Skipped(reason),
        },
    }
}
