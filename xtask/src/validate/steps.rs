//! The work of each step. They reuse what the verbs of the same name do.

use std::path::Path;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::{Options, Outcome, plan};
use crate::Context;
use crate::components::{Part, checks, observability};
use crate::lab::{self, UpOptions};
use crate::ports::PortPolicy;
use crate::process;
use crate::state::LabState;
use crate::testing;
use crate::testing::needs::Needs;
use crate::testing::report::Report as Tests;
use crate::testing::suites::{Group, Suite};
use crate::verbs::{clean, simulate};
use crate::verify;

/// The plan's simulation: so many events a second, for so many seconds.
const RATE: f64 = 10.0;
const DURATION_S: i64 = 30;

/// What the steps share.
pub(super) struct Run<'a> {
    ctx: &'a Context,
    lab: &'a Context,
    options: Options,
    reports: &'a Path,
    stop: &'a CancellationToken,
    suites: Option<Vec<Suite>>,
    backend: String,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        ctx: &'a Context,
        lab: &'a Context,
        options: Options,
        reports: &'a Path,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            ctx,
            lab,
            options,
            reports,
            stop,
            suites: None,
            backend: "unknown".into(),
        }
    }

    /// What the lab runs on; known once it is up.
    pub(super) fn backend(&self) -> &str {
        &self.backend
    }

    /// Every step but the last.
    pub(super) async fn step(&mut self, number: usize) -> Outcome {
        let result = match number {
            1 => self.infrastructure().await,
            2 => self.infrastructure_tests().await,
            3 => self.services().await,
            4 => self.tests(Group::Unit).await,
            5 => self.tests(Group::Integration).await,
            6 => self.tests(Group::E2e).await,
            7 => self.observed_by(Part::Prometheus).await,
            8 => self.observed_by(Part::Grafana).await,
            9 => self.simulation().await,
            _ => Err(anyhow::anyhow!("there is no step {number}")),
        };
        result.unwrap_or_else(|e| Outcome::Failed(format!("{e:#}")))
    }

    async fn infrastructure(&mut self) -> anyhow::Result<Outcome> {
        let lab = self
            .up(Part::INFRA.into_iter().chain(Part::OBSERVABILITY).collect())
            .await?;
        self.backend.clone_from(&lab.backend);
        Ok(Outcome::Passed(started(&lab)))
    }

    async fn services(&self) -> anyhow::Result<Outcome> {
        let lab = self.up(Part::every().collect()).await?;
        Ok(Outcome::Passed(started(&lab)))
    }

    async fn up(&self, parts: Vec<Part>) -> anyhow::Result<LabState> {
        let options = UpOptions {
            parts,
            build: self.options.build,
            ports: PortPolicy::Free,
            stop: self.stop.clone(),
            ..UpOptions::default()
        };
        lab::up(self.lab, options).await
    }

    async fn infrastructure_tests(&self) -> anyhow::Result<Outcome> {
        let lab = self.lab.lab()?;
        let mut found = checks::all(&lab).await;
        // The services, which Prometheus asks, are not up yet: what it finds is for step 7.
        let observers = observability::checks::all(self.ctx, &lab).await;
        found.extend(observers.into_iter().filter(|c| c.name == "files"));
        let told = found.iter().filter(|check| !check.passed);
        let told: Vec<String> = told
            .map(|check| format!("{}: {}", check.name, check.detail))
            .collect();
        anyhow::ensure!(told.is_empty(), "{}", told.join("\n"));
        let names: Vec<&str> = found.iter().map(|check| check.name).collect();
        Ok(Outcome::Passed(format!("{} answer", names.join(", "))))
    }

    /// Unit tests all; of the others those that carry the plan's names, unless all are asked for.
    async fn tests(&mut self, group: Group) -> anyhow::Result<Outcome> {
        if self.suites.is_none() {
            self.suites = Some(testing::build(self.ctx, self.stop).await?);
        }
        let suites = self.suites.as_deref().context("the tests are not built")?;
        let wanted = plan::read(&self.ctx.root)?;
        let pick = |suite: &Suite| match (suite.group, self.options.full) {
            (picked, _) if picked != group => None,
            (Group::Unit, _) | (_, true) => Some(suite.clone()),
            _ => wanted.get(&suite.name).map(|names| suite.only(names)),
        };
        let mut tests = Tests::within(self.reports.join(group.name()));
        let mut needs = Needs::new(self.ctx, tests.strict);
        for suite in suites.iter().filter_map(pick) {
            testing::run_suite(self.ctx, &suite, &mut needs, &mut tests, self.stop).await?;
        }
        tests.write()?;
        let (passed, failed) = (tests.passed(), tests.failed());
        if failed > 0 {
            let mut text = Vec::new();
            tests.print(&mut text)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            let text = format!("{failed} tests failed, {passed} passed\n{}", text.trim());
            return Ok(Outcome::Failed(text));
        }
        anyhow::ensure!(passed > 0, "no test was run");
        let which = match (group, self.options.full) {
            (Group::Unit, _) | (_, true) => "tests passed",
            _ => "tests that carry the plan's names passed",
        };
        Ok(Outcome::Passed(format!("{passed} {which}")))
    }

    /// Prometheus' targets, or Grafana's health; where this lab runs it.
    async fn observed_by(&self, part: Part) -> anyhow::Result<Outcome> {
        let lab = self.lab.lab()?;
        let name = part.name();
        if lab.component(name).is_none() {
            let why = lab.skipped.get(name).cloned();
            let usual = || {
                let backend = &lab.backend;
                format!("the {backend} backend runs no {name}; --backend docker does")
            };
            return Ok(Outcome::Skipped(why.unwrap_or_else(usual)));
        }
        if part == Part::Prometheus {
            return observability::checks::targets(&lab)
                .await
                .map(Outcome::Passed);
        }
        observability::health(part, &lab).await?;
        Ok(Outcome::Passed(format!("{name} answers")))
    }

    /// As many events as the rate promises, within a tenth, and every one in the books.
    async fn simulation(&self) -> anyhow::Result<Outcome> {
        let lab = self.lab.lab()?;
        let args = simulate::SimulateArgs::of(RATE, DURATION_S);
        let step = self.ctx.out.step("simulate", "starts");
        let ended = simulate::to_end(&lab, &args, &step, self.stop.cancelled()).await?;
        let produced = ended.events_produced;
        step.done(format_args!("{produced} events produced"));
        anyhow::ensure!(!self.stop.is_cancelled(), "interrupted");
        let due = RATE * DURATION_S as f64;
        let deviation = (produced as f64 - due).abs() / due;
        anyhow::ensure!(
            deviation <= 0.1,
            "{produced} events were produced; {due} within 10 % were due"
        );
        let step = self.ctx.out.step("verify", "asks the lab");
        let judged = tokio::select! {
            judged = verify::judge(&lab, verify::Options::default(), &step) => judged?,
            () = self.stop.cancelled() => anyhow::bail!("interrupted"),
        };
        step.done(judged.summary());
        judged.check()?;
        let summary = judged.summary();
        Ok(Outcome::Passed(format!("{produced} events. {summary}")))
    }

    /// Ends and removes the lab, and looks whether anything of it is left.
    pub(super) async fn cleanup(&self, keep_logs: bool) -> Outcome {
        let result = async {
            if keep_logs {
                self.keep_logs()?;
            }
            let ports = match self.lab.lab() {
                Ok(lab) => lab.components.iter().map(|part| part.port).collect(),
                Err(_) => Vec::new(),
            };
            clean::remove(self.lab, true).await?;
            let left = process::marked(&self.lab.lab_dir);
            anyhow::ensure!(left.is_empty(), "processes are left: {left:?}");
            let answers = |port: &&u16| std::net::TcpStream::connect(("127.0.0.1", **port)).is_ok();
            let open: Vec<&u16> = ports.iter().filter(answers).collect();
            anyhow::ensure!(open.is_empty(), "ports still answer: {open:?}");
            anyhow::ensure!(
                !self.lab.lab_dir.exists(),
                "{} is left",
                self.lab.lab_dir.display()
            );
            Ok("no process, port or file is left".to_owned())
        };
        match result.await {
            Ok(text) => Outcome::Passed(text),
            Err(e) => Outcome::Failed(format!("{e:#}")),
        }
    }

    /// What the parts logged is worth a look when something failed, and would go with the lab.
    fn keep_logs(&self) -> anyhow::Result<()> {
        let (from, to) = (self.lab.lab_dir.join("logs"), self.reports.join("logs"));
        if !from.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(&to).context("failed to keep the lab's logs")?;
        for entry in std::fs::read_dir(&from).context("failed to read the lab's logs")? {
            let entry = entry.context("failed to read the lab's logs")?;
            if entry.path().is_file() {
                std::fs::copy(entry.path(), to.join(entry.file_name()))
                    .context("failed to keep the lab's logs")?;
            }
        }
        Ok(())
    }
}

fn started(lab: &LabState) -> String {
    let names: Vec<&str> = lab.components.iter().map(|part| &*part.name).collect();
    format!("{} ready on the {} backend", names.join(", "), lab.backend)
}
