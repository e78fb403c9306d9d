//! The lab as a whole: [`up`], [`down`], and single parts in between.
//!
//! Everything that changes a lab goes through here, under its lock, and is written down at once:
//! whatever happens to xtask, the next run knows what there is to stop. [`platform`] decides what the
//! infrastructure runs on, [`prepare`] ports and passwords; [`start`] runs the parts' starts
//! concurrently, [`stop`] ends them. A [`temporary`] lab is a command's own.

mod interrupt;
mod platform;
mod prepare;
mod start;
mod stop;
pub mod temporary;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::Context as _;
pub use interrupt::{interrupted, on_ctrl_c};
use nix::sys::signal::Signal;
pub use platform::Platform;
pub(crate) use stop::stop_everything;
pub use stop::{down, scale_down, stop_components, stop_named};
use tokio_util::sync::CancellationToken;

use crate::Context;
use crate::components::broker::BrokerChoice;
use crate::components::docker::{self, Daemon};
use crate::components::{Detour, Part, Site, observability, services};
use crate::ports::PortPolicy;
use crate::state::{ComponentState, LabMemory, LabState, Lock};

/// A first `up` in another terminal may build for minutes.
const LOCK_PATIENCE: Duration = Duration::from_secs(20 * 60);

/// What to bring up, and how.
#[derive(Debug, Clone)]
pub struct UpOptions {
    pub parts: Vec<Part>,
    /// Build the services first.
    pub build: bool,
    pub ports: PortPolicy,
    /// Ports asked for by name: `kafka`, …, `kafka_controller`.
    pub asked_ports: BTreeMap<String, u16>,
    pub broker: Option<BrokerChoice>,
    /// How many brokers; without it, as many as the data was made by, else one.
    pub brokers: Option<u32>,
    /// Simulator and bancaire in containers; without it, as they are.
    pub container_services: Option<bool>,
    /// How many workers of bancaire; without it, as many as there are.
    pub workers: Option<u32>,
    /// What the services log.
    pub log_level: String,
    /// What an experiment changes; nothing for a user.
    pub detour: Detour,
    /// `json` or `pretty`; without it, as they do.
    pub log_format: Option<String>,
    /// Start Prometheus without Docker too.
    pub prometheus: bool,
    /// The broker shows its figures; without it, as it does.
    pub broker_metrics: bool,
    /// Where the services send their traces; without it, where they do.
    pub otlp: Option<String>,
    /// When cancelled, what was started is stopped again.
    pub stop: CancellationToken,
}

impl Default for UpOptions {
    fn default() -> Self {
        Self {
            parts: Part::ALL.into(),
            build: true,
            ports: PortPolicy::Preferred,
            asked_ports: BTreeMap::new(),
            broker: None,
            brokers: None,
            container_services: None,
            workers: None,
            log_level: "info".into(),
            detour: Detour::default(),
            log_format: None,
            prometheus: false,
            broker_metrics: false,
            otlp: None,
            stop: CancellationToken::new(),
        }
    }
}

/// Everything that went wrong, each once.
#[derive(Debug)]
pub struct Failures(pub Vec<anyhow::Error>);

impl Failures {
    /// # Errors
    /// When there is any.
    pub fn check(self) -> anyhow::Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into())
        }
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "{only:#}");
        }
        write!(f, "{} failures:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|error| write!(f, "\n- {error:#}"))
    }
}

impl std::error::Error for Failures {}

/// Starts what is not running and returns when everything answers. What already ran stays.
///
/// # Errors
/// Every part that failed; what was started is stopped again.
pub async fn up(ctx: &Context, options: UpOptions) -> anyhow::Result<LabState> {
    let _lock = tokio::select! {
        lock = lock(ctx) => lock?,
        () = options.stop.cancelled() => anyhow::bail!("interrupted"),
    };
    let previous = LabState::load(&ctx.lab_dir)?;
    let mut memory = LabMemory::load(&ctx.lab_dir)?;
    let mut running: Vec<ComponentState> = previous
        .iter()
        .flat_map(|lab| &lab.components)
        .filter(|component| component.is_alive())
        .cloned()
        .collect();
    let mut platform = Platform::choose(ctx, previous.as_ref(), !running.is_empty()).await?;
    let was_so = || previous.as_ref().is_some_and(|lab| lab.container_services);
    let container_services = options.container_services.unwrap_or_else(was_so);
    if container_services {
        platform = platform.with_services(ctx, &options, &running).await?;
    }
    stop::end_orphans(ctx, &running).await?;
    let (platform, options) = prepare::observability(ctx, platform, options).await?;
    let brokers = prepare::brokers(&options, &platform, &mut memory)?;
    let broker = prepare::broker(ctx, &options, &platform, &running).await?;
    let workers = options.workers.or(previous.as_ref().map(|lab| lab.workers));
    let workers = workers.unwrap_or(1);
    prepare::assign_ports(ctx, &options, (brokers, workers), &running, &mut memory)?;
    match &platform {
        Platform::Embedded if options.parts.contains(&Part::Postgres) => {
            prepare::place_postgres(ctx, &mut memory)?;
        }
        Platform::Embedded | Platform::External(_) => {}
        Platform::Docker(_) => prepare::place_volumes(ctx, &platform, &mut memory).await?,
    }
    memory.save(&ctx.lab_dir)?;
    let mut lab = LabState::new(broker.name(), &memory, services::bin_dir()?, options.build);
    lab.backend = platform.name().into();
    lab.brokers = brokers;
    lab.workers = workers;
    lab.container_services = container_services;
    if let Some(stack) = platform.stack() {
        lab.skipped.clone_from(&stack.skipped);
    }
    let current = previous.as_ref().filter(|_| !running.is_empty());
    lab.otlp = options.otlp.clone();
    if lab.otlp.is_none() {
        lab.otlp = current.and_then(|lab| lab.otlp.clone());
    }
    let log_format = options.log_format.clone();
    let log_format = log_format.or_else(|| current.map(|lab| lab.log_format.clone()));
    lab.log_format = log_format.unwrap_or(lab.log_format);
    lab.jmx_agent = current.and_then(|lab| lab.jmx_agent.clone());
    let wants_agent = options.broker_metrics && lab.jmx_agent.is_none();
    if wants_agent && broker == BrokerChoice::Kafka && lab.external.is_none() {
        lab.jmx_agent = prepare::jmx_agent(ctx).await;
    }
    if options.parts.contains(&Part::Jaeger) && lab.otlp.is_none() {
        lab.otlp = Some(lab.url("jaeger_otlp"));
    }
    lab.external = platform.external().cloned();
    if let Some(stack) = platform.stack() {
        lab.images = stack.images.clone();
    }
    if let Some(previous) = previous {
        lab.started_at = if running.is_empty() {
            lab.started_at
        } else {
            previous.started_at
        };
        // What died stays in the list, for `status`, until it is started again.
        lab.components = previous.components;
    }
    if let Some(stack) = platform.stack() {
        stack.ensure_network(&ctx.lab_dir).await?;
    }
    lab.save(&ctx.lab_dir)?;
    let site = Site {
        ctx: ctx.clone(),
        lab,
        memory,
        log_level: options.log_level.clone(),
        detour: options.detour.clone(),
    };
    if let Some(stack) = platform.stack() {
        end_outdated(&site, stack, &options, &mut running).await?;
    }
    let (started, failures) = start::all(site.clone(), &platform, &options, &running).await;
    let interrupted = options.stop.is_cancelled();
    if failures.0.is_empty() && !interrupted {
        let is_prometheus = |c: &&ComponentState| c.part() == Some((Part::Prometheus, 1));
        if let Some(prometheus) = running.iter().find(is_prometheus)
            && let Err(e) = observability::retarget(&site, prometheus).await
        {
            ctx.out
                .line(format_args!("Prometheus keeps its old targets: {e:#}"));
        }
        return ctx.lab();
    }
    let mut failures = failures;
    let stopped = stop::stop_where(ctx, |component| started.contains(&component.name)).await;
    if let Err(e) = stopped {
        failures.0.push(e);
    }
    // A step that was given up in the middle may have left a child of a child.
    if let Err(e) = stop::end_orphans(ctx, &running).await {
        failures.0.push(e);
    }
    if interrupted {
        failures.0.push(anyhow::anyhow!(
            "interrupted; what was started is stopped again"
        ));
    }
    failures.check()?;
    unreachable!("an interruption is a failure")
}

/// Stops the containers that are not what they would be if they were made now.
async fn end_outdated(
    site: &Site,
    stack: &docker::Stack,
    options: &UpOptions,
    running: &mut Vec<ComponentState>,
) -> anyhow::Result<()> {
    let mut kept = Vec::new();
    for component in running.drain(..) {
        let part = component.part().map(|(part, _)| part);
        let part = part.filter(|part| options.parts.contains(part));
        match part {
            Some(part) if stack.is_outdated(site, &component).await => {
                let name = &component.name;
                let out = &site.ctx.out;
                out.line(format_args!(
                    "{name} is made anew, because its definition changed"
                ));
                part.stop(&component).await?;
            }
            _ => kept.push(component),
        }
    }
    *running = kept;
    Ok(())
}

/// Stops one part and starts it again, built anew when the lab builds.
///
/// # Errors
/// When no part has that name, or it does not come up.
pub async fn restart_component(ctx: &Context, name: &str) -> anyhow::Result<LabState> {
    let part = Part::from_name(name)?;
    let build = ctx.lab()?.build;
    stop_named(ctx, &[name.to_owned()]).await?;
    up(
        ctx,
        UpOptions {
            parts: vec![part],
            build,
            ..UpOptions::default()
        },
    )
    .await
}

/// Sends a signal to one part and waits until it is gone when that is what the signal does. The
/// lab still counts it as its own: `status` calls it dead.
///
/// # Errors
/// When no part has that name, or it does not run.
pub async fn kill_component(ctx: &Context, name: &str, signal: Signal) -> anyhow::Result<u32> {
    let component = running(ctx, name)?;
    let deadline = Duration::from_secs(10);
    let gone = match &component.container {
        Some(id) => {
            let daemon = Daemon::connect().await?;
            docker::signal(&daemon, id, signal.as_str()).await?;
            signal != Signal::SIGKILL || wait_stopped(&daemon, id, deadline).await?
        }
        None => {
            let process = component.identity();
            let sent = match signal {
                Signal::SIGKILL => process.kill(),
                _ => process.signal(signal),
            };
            anyhow::ensure!(sent, "failed to signal {name}");
            signal != Signal::SIGKILL || process.wait_gone(deadline).await
        }
    };
    anyhow::ensure!(gone, "{name} (pid {}) survives SIGKILL", component.pid);
    Ok(component.pid)
}

/// Suspends one part: it keeps its connections and answers nothing.
///
/// # Errors
/// When no part has that name, or it does not run.
pub fn pause_component(ctx: &Context, name: &str) -> anyhow::Result<u32> {
    let component = running(ctx, name)?;
    match &component.container {
        Some(id) => docker::blocking(|| docker::pause(id))?,
        None => anyhow::ensure!(component.identity().suspend(), "failed to pause {name}"),
    }
    Ok(component.pid)
}

/// Lets a part that was paused go on.
///
/// # Errors
/// When no part has that name, or it does not run.
pub fn resume_component(ctx: &Context, name: &str) -> anyhow::Result<u32> {
    let component = running(ctx, name)?;
    match &component.container {
        Some(id) => docker::blocking(|| docker::resume(id))?,
        None => anyhow::ensure!(component.identity().resume(), "failed to resume {name}"),
    }
    Ok(component.pid)
}

fn running(ctx: &Context, name: &str) -> anyhow::Result<ComponentState> {
    Part::from_name(name)?;
    let lab = ctx.lab()?;
    let component = lab.component(name).filter(|component| component.is_alive());
    component
        .cloned()
        .with_context(|| format!("{name} does not run"))
}

async fn wait_stopped(daemon: &Daemon, id: &str, deadline: Duration) -> anyhow::Result<bool> {
    let started = Instant::now();
    while docker::is_running(daemon, id).await? {
        if started.elapsed() > deadline {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}

pub(crate) async fn lock(ctx: &Context) -> anyhow::Result<Lock> {
    let waiting = |pid: &str| {
        ctx.out.line(format_args!(
            "Another xtask (pid {pid}) is at work on this lab; waiting"
        ));
    };
    Lock::take(&ctx.lab_dir, LOCK_PATIENCE, waiting).await
}
