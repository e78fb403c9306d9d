//! Faults that the repository's own tests try, in labs of their own: builds and runs those tests.

use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::judge::Finding;
use super::run::Outcome;
use super::scenario::{Fault, Step, Test};
use crate::output::Step as Progress;
use crate::{Context, cargo};

/// The test programs that some faults need.
#[derive(Debug, Default)]
pub struct OwnTests(Vec<cargo::Artifact>);

impl OwnTests {
    /// Builds what `faults` need, before the first of them: what does not build says nothing of the
    /// lab, and what is changed in the tree afterwards is of no consequence.
    ///
    /// # Errors
    /// With the compiler's own words, or at an interruption.
    pub async fn build(
        ctx: &Context,
        faults: &[Fault],
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let mut targets: Vec<_> = faults.iter().flat_map(of).map(|t| &t.target).collect();
        targets.sort_unstable();
        targets.dedup();
        if targets.is_empty() {
            return Ok(Self::default());
        }
        // With the whole workspace, as all tests are built: a package by itself gets other features of
        // what it shares, and everything is compiled once more.
        let mut args = vec!["test", "--workspace", "--no-run"];
        for target in targets {
            match target {
                Some(target) => args.extend(["--test", target]),
                None => args.push("--lib"),
            }
        }
        let step = ctx.out.step("build", "builds the tests");
        let built = tokio::select! {
            built = cargo::build(ctx, &args, "the tests", &step) => built,
            () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        };
        match built {
            Ok(artifacts) => {
                step.done("the tests are built");
                Ok(Self(artifacts))
            }
            Err(e) => {
                step.fail("the tests do not build");
                Err(e)
            }
        }
    }

    /// Runs the tests of a fault. What fails is a verdict, not an error.
    pub async fn run(
        &self,
        fault: &Fault,
        seed: u64,
        shown: &Progress,
        stop: &CancellationToken,
    ) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome::new(fault, seed, "test");
        for test in of(fault) {
            shown.update("runs its tests");
            let ran = tokio::select! {
                ran = self.run_one(test) => ran,
                () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
            };
            outcome.took_ms = began.elapsed().as_millis() as u64;
            let name = match &test.target {
                Some(target) => format!("{} {target}::{}", test.package, test.name),
                None => format!("{} {}", test.package, test.name),
            };
            match ran {
                Ok(said) => {
                    let finding = Finding::new("T", &name, said, Vec::new());
                    outcome.findings.push(finding);
                }
                Err(e) => {
                    let finding = Finding::new("T", &name, "failed".into(), vec![format!("{e:#}")]);
                    outcome.findings.push(finding);
                    return outcome.failed(format!("the test {name} failed"));
                }
            }
        }
        outcome
    }

    /// # Errors
    /// When a test fails, with what it said, or there are not as many as there should be.
    async fn run_one(&self, test: &Test) -> anyhow::Result<String> {
        let found = self.0.iter().find_map(|artifact| program(artifact, test));
        let (program, dir) =
            found.with_context(|| format!("{} has no such tests", test.package))?;
        let mut command = tokio::process::Command::new(program);
        command
            .arg(&test.name)
            .current_dir(dir)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if test.ignored {
            command.arg("--ignored");
        }
        let output = command
            .output()
            .await
            .context("failed to start the tests")?;
        let text = format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let end: Vec<&str> = text.lines().rev().take(40).collect();
        let end: Vec<&str> = end.into_iter().rev().collect();
        anyhow::ensure!(output.status.success(), "{}", end.join("\n"));
        let passed = passed(&text);
        anyhow::ensure!(
            passed == test.count,
            "{passed} tests are called {}, not {}",
            test.name,
            test.count
        );
        Ok(format!("{passed} tests passed"))
    }
}

/// The tests that a fault consists of.
fn of(fault: &Fault) -> impl Iterator<Item = &Test> {
    fault.steps.iter().filter_map(|step| match step {
        Step::Test(test) => Some(test),
        _ => None,
    })
}

/// An artifact's program and its package's folder, when it has a test.
fn program<'a>(artifact: &'a cargo::Artifact, test: &Test) -> Option<(&'a Path, &'a Path)> {
    let dir = artifact.manifest_path.parent()?;
    let has = artifact.profile.test
        && dir
            .file_name()
            .is_some_and(|name| name == test.package.as_str())
        && match &test.target {
            Some(target) => artifact.target.name == *target,
            None => artifact.target.kind.iter().any(|kind| kind == "lib"),
        };
    has.then_some((artifact.executable.as_deref()?, dir))
}

/// The sum of what each binary says: `test result: ok. 2 passed; …`.
fn passed(text: &str) -> u32 {
    let results = text
        .lines()
        .filter_map(|line| line.strip_prefix("test result: ok. "));
    let counts = results.filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    counts.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_passed_are_counted() {
        let text = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 1 ignored;\n\
                    test result: ok. 0 passed; 0 failed\n";
        assert_eq!(passed(text), 2);
        assert_eq!(passed("test result: FAILED. 1 passed; 1 failed"), 0);
    }
}
