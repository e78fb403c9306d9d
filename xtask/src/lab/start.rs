//! Starts parts concurrently: each waits for what it needs and for nothing else.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::kafka::admin;
use futures_util::future::try_join_all;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failures, Platform, UpOptions};
use crate::components::broker::Broker;
use crate::components::docker::Stack;
use crate::components::postgres::{self, Binaries};
use crate::components::{Part, Site, external, kafka, observability, services};
use crate::output::Step;
use crate::state::{ComponentState, LabState};

/// What the concurrent starts share.
struct Run {
    site: Site,
    platform: Platform,
    began: Instant,
    /// Open once the part is ready, or when this run does not start it.
    ready: BTreeMap<Part, CancellationToken>,
    built: CancellationToken,
    bin_dir: OnceLock<PathBuf>,
    /// The first failure, or the user, ends the others' waiting.
    abort: CancellationToken,
    state: Mutex<Written>,
}

struct Written {
    lab: LabState,
    started: Vec<String>,
}

/// Starts `options.parts`, returns the components that were started, and what failed.
pub(super) async fn all(
    site: Site,
    platform: &Platform,
    options: &UpOptions,
    running: &[ComponentState],
) -> (Vec<String>, Failures) {
    let ready = Part::every().map(|part| (part, CancellationToken::new()));
    let lab = site.lab.clone();
    let run = Arc::new(Run {
        site,
        platform: platform.clone(),
        began: Instant::now(),
        ready: ready.collect(),
        built: CancellationToken::new(),
        bin_dir: OnceLock::new(),
        abort: options.stop.child_token(),
        state: Mutex::new(Written {
            lab,
            started: Vec::new(),
        }),
    });
    let mut tasks = JoinSet::new();
    let is_running = |part: &Part| {
        let of = |c: &&ComponentState| c.part().is_some_and(|(of, _)| of == *part);
        running.iter().filter(of).count() >= run.site.lab.instances(*part) as usize
    };
    let to_build: Vec<Part> = options
        .parts
        .iter()
        .copied()
        .filter(|p| p.is_service() && !is_running(p))
        .filter(|p| platform.container(*p).is_none() && platform.elsewhere(*p).is_none())
        .collect();
    let build = options.build && std::env::var_os("EDALAB_BIN_DIR").is_none();
    if build && !to_build.is_empty() {
        tasks.spawn(guarded(run.clone(), build_services(run.clone(), to_build)));
    } else {
        run.built.cancel();
    }
    for part in Part::every() {
        if !options.parts.contains(&part) {
            run.ready[&part].cancel();
            continue;
        }
        let existing = running
            .iter()
            .filter(|c| c.part().is_some_and(|(of, _)| of == part));
        let existing = existing.cloned().collect();
        tasks.spawn(guarded(
            run.clone(),
            start_part(run.clone(), part, existing),
        ));
    }
    let results = tasks.join_all().await;
    let failures = results.into_iter().filter_map(Result::err).collect();
    let written = run.state.lock().expect("nobody panics while holding it");
    (written.started.clone(), Failures(failures))
}

/// Runs one start until it ends or the run is given up; its failure gives the run up.
async fn guarded(
    run: Arc<Run>,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let result = tokio::select! {
        biased;
        result = work => result,
        () = run.abort.cancelled() => return Ok(()),
    };
    if result.is_err() {
        run.abort.cancel();
    }
    result
}

async fn build_services(run: Arc<Run>, parts: Vec<Part>) -> anyhow::Result<()> {
    let step = run.site.ctx.out.step("build", "builds the services");
    match services::compile(&run.site.ctx, &parts, &step).await {
        Ok(dir) => {
            step.done("the services are built");
            let _ = run.bin_dir.set(dir);
            run.built.cancel();
            Ok(())
        }
        Err(e) => {
            step.fail("the services do not build");
            Err(e)
        }
    }
}

async fn start_part(
    run: Arc<Run>,
    part: Part,
    existing: Vec<ComponentState>,
) -> anyhow::Result<()> {
    let step = run
        .site
        .ctx
        .out
        .step(part.name(), "waits for what it needs");
    if let Some(external) = run.platform.elsewhere(part) {
        return match external::ready(&run.site, external, part, &step).await {
            Ok(()) => {
                step.done(format_args!("answers at {}", external.address(part)));
                run.ready[&part].cancel();
                Ok(())
            }
            Err(e) => {
                step.fail("failed");
                Err(e.context(format!("failed to use {}", part.name())))
            }
        };
    }
    let wanted = run.site.lab.instances(part);
    let numbers: Vec<u32> = existing.iter().filter_map(|c| Some(c.part()?.1)).collect();
    let missing: Vec<u32> = (1..=wanted).filter(|n| !numbers.contains(n)).collect();
    let result = match existing.first() {
        Some(component) if missing.is_empty() => {
            adopt(&run, part, &existing, &step).await.map(|()| {
                let place = match (&component.container, component.pid) {
                    (Some(id), _) => format!("container {}", id.get(..12).unwrap_or(id)),
                    (None, pid) => format!("pid {pid}"),
                };
                format!("already runs at {} ({place})", run.address(part, component))
            })
        }
        _ => launch(&run, part, existing, &missing, &step).await,
    };
    match result {
        Ok(message) => {
            step.done(message);
            run.ready[&part].cancel();
            Ok(())
        }
        Err(e) => {
            step.fail("failed");
            Err(e.context(format!("failed to start {}", part.name())))
        }
    }
}

/// A part that ran before must still answer.
async fn adopt(
    run: &Run,
    part: Part,
    components: &[ComponentState],
    step: &Step,
) -> anyhow::Result<()> {
    if part.is_service() {
        // Its health may depend on parts that this run is starting.
        run.wait_for_needs(part).await;
    }
    run.part_ready(part, components, step).await
}

async fn launch(
    run: &Run,
    part: Part,
    existing: Vec<ComponentState>,
    missing: &[u32],
    step: &Step,
) -> anyhow::Result<String> {
    let site = &run.site;
    let mut components = existing;
    let launched = match part {
        _ if run.platform.container(part).is_some() => {
            run.wait_for_needs(part).await;
            step.update("starts");
            let launched = Instant::now();
            let stack = run.platform.stack().context("the stack is there")?;
            let starts = missing
                .iter()
                .map(|number| run.container(stack, part, *number));
            components.extend(try_join_all(starts).await?);
            launched
        }
        Part::Kafka => {
            let broker = Broker::prepare(&site.ctx, &site.lab.broker, step).await?;
            step.update("starts");
            let launched = Instant::now();
            components.push(run.record(broker.start(site)?)?);
            launched
        }
        Part::Postgres => {
            let home = site.memory.postgres_dir.as_deref();
            let home = home.context("failed to place PostgreSQL's data")?;
            let binaries = Binaries::find(&site.ctx, postgres::data_major(home), step).await?;
            let launched = Instant::now();
            components.push(run.record(postgres::start(site, &binaries, step).await?)?);
            launched
        }
        Part::Prometheus => {
            step.update("starts");
            let launched = Instant::now();
            components.push(run.record(observability::start(site)?)?);
            launched
        }
        Part::Grafana | Part::Jaeger => {
            anyhow::bail!("{} runs in the Docker backend only", part.name())
        }
        Part::Registry | Part::Simulator | Part::Bancaire | Part::Gateway => {
            run.built.cancelled().await;
            run.wait_for_needs(part).await;
            step.update("starts");
            let bin_dir = run.bin_dir.get().unwrap_or(&site.lab.bin_dir);
            let launched = Instant::now();
            for number in missing {
                components.push(run.record(services::start(site, bin_dir, part, *number)?)?);
            }
            launched
        }
    };
    run.part_ready(part, &components, step).await?;
    let own = launched.elapsed();
    run.note_ready(part, missing, own)?;
    let component = components.first().context("a part has an instance")?;
    Ok(format!(
        "ready at {}, {:.1} s of its own",
        run.address(part, component),
        own.as_secs_f64()
    ))
}

impl Run {
    async fn wait_for_needs(&self, part: Part) {
        for needed in self.platform.needs(part) {
            self.ready[&needed].cancelled().await;
        }
    }

    /// Where clients find a part.
    fn address(&self, part: Part, component: &ComponentState) -> String {
        match part {
            Part::Kafka => self.site.lab.kafka_bootstrap(),
            _ => component.url.clone(),
        }
    }

    /// Creates and starts one container; it is known before it runs.
    async fn container(
        &self,
        stack: &Stack,
        part: Part,
        number: u32,
    ) -> anyhow::Result<ComponentState> {
        let created = self.record(stack.create(&self.site, part, number).await?)?;
        self.record(stack.start(&self.site, created).await?)
    }

    /// Waits for the round trip of a part, all of its instances taking part.
    async fn part_ready(
        &self,
        part: Part,
        components: &[ComponentState],
        step: &Step,
    ) -> anyhow::Result<()> {
        let site = &self.site;
        match part {
            Part::Kafka => {
                kafka::ready(site, components, step).await?;
                let topics = schemas::catalogue();
                let replication = site.lab.replication();
                let made = admin::ensure_topics(&site.lab.kafka(), &topics, replication).await;
                made.map(drop)
            }
            Part::Postgres => {
                for component in components {
                    postgres::ready(site, component, step).await?;
                }
                Ok(())
            }
            Part::Prometheus | Part::Grafana | Part::Jaeger => {
                for component in components {
                    observability::ready(site, part, component, step).await?;
                }
                Ok(())
            }
            _ => {
                for component in components {
                    services::ready(site, part, component, step).await?;
                }
                Ok(())
            }
        }
    }

    /// Written down before anything is awaited: from here on it can be found and stopped.
    fn record(&self, component: ComponentState) -> anyhow::Result<ComponentState> {
        let mut written = self.state.lock().expect("nobody panics while holding it");
        if !written.started.contains(&component.name) {
            written.started.push(component.name.clone());
        }
        written.lab.put(component.clone());
        if let Some(dir) = self.bin_dir.get() {
            written.lab.bin_dir = dir.clone();
        }
        written.lab.save(&self.site.ctx.lab_dir)?;
        Ok(component)
    }

    fn note_ready(&self, part: Part, numbers: &[u32], own: Duration) -> anyhow::Result<()> {
        let mut written = self.state.lock().expect("nobody panics while holding it");
        let after = self.began.elapsed();
        for component in &mut written.lab.components {
            if component
                .part()
                .is_some_and(|(of, number)| of == part && numbers.contains(&number))
            {
                component.start_ms = own.as_millis() as u64;
                component.ready_after_ms = after.as_millis() as u64;
            }
        }
        written.lab.save(&self.site.ctx.lab_dir)
    }
}
