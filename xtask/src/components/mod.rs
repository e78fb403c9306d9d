//! One module per part of the lab: how it is started, when it is ready, how it is stopped, where
//! it logs. [`crate::lab`] decides when; nothing else in the workspace starts these processes.
//! A part is a process of this machine, or a container ([`docker`]).
//!
//! Readiness is a round trip, never an open port: [`kafka`] produces and reads back, [`postgres`]
//! answers a query, the registry among the [`services`] gives back a schema.

pub mod broker;
pub mod checks;
pub mod detour;
pub mod docker;
pub mod external;
pub mod kafka;
pub mod light;
pub mod observability;
pub mod postgres;
pub mod services;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chrono::Utc;
use nix::sys::signal::Signal;

pub use self::detour::{Detour, SideDoor};
use self::docker::Daemon;
use crate::Context;
use crate::output::Step;
use crate::ports;
use crate::process::{self, Identity, Stopped, log_tail};
use crate::state::{ComponentState, LabMemory, LabState};

/// A part of the lab, in the order in which they depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    Kafka,
    Postgres,
    Registry,
    Simulator,
    Bancaire,
    Gateway,
    Prometheus,
    Grafana,
    Jaeger,
}

impl Part {
    pub const ALL: [Part; 6] = [
        Part::Kafka,
        Part::Postgres,
        Part::Registry,
        Part::Simulator,
        Part::Bancaire,
        Part::Gateway,
    ];
    /// What watches the lab. It runs without them.
    pub const OBSERVABILITY: [Part; 3] = [Part::Prometheus, Part::Grafana, Part::Jaeger];
    /// What the plan calls infrastructure.
    pub const INFRA: [Part; 3] = [Part::Kafka, Part::Postgres, Part::Registry];

    pub const fn name(self) -> &'static str {
        match self {
            Part::Kafka => "kafka",
            Part::Postgres => "postgres",
            Part::Registry => "registry",
            Part::Simulator => "simulator",
            Part::Bancaire => "bancaire",
            Part::Gateway => "gateway",
            Part::Prometheus => "prometheus",
            Part::Grafana => "grafana",
            Part::Jaeger => "jaeger",
        }
    }

    /// The part of this name, or that `kafka-2` is an instance of.
    ///
    /// # Errors
    /// When no part has that name; says which there are.
    pub fn from_name(name: &str) -> anyhow::Result<Self> {
        Self::instance_from_name(name)
            .map(|(part, _)| part)
            .ok_or_else(|| {
                let names: Vec<&str> = Part::every().map(Part::name).collect();
                let names = names.join(", ");
                anyhow::anyhow!("there is no part {name:?}; the parts are {names}")
            })
    }

    /// `kafka` is the first instance of its part, `kafka-2` the second.
    pub fn instance_from_name(name: &str) -> Option<(Self, u32)> {
        let (part, number) = match name.rsplit_once('-') {
            Some((part, number)) => (part, number.parse().ok().filter(|n| *n > 1)?),
            None => (name, 1),
        };
        Part::every()
            .find(|known| known.name() == part)
            .map(|known| (known, number))
    }

    /// The lab's parts and those that watch it.
    pub fn every() -> impl Iterator<Item = Part> {
        Part::ALL.into_iter().chain(Part::OBSERVABILITY)
    }

    pub const fn usual_port(self) -> u16 {
        match self {
            Part::Kafka => 9092,
            Part::Postgres => 5432,
            Part::Registry => 8081,
            Part::Simulator => 8082,
            Part::Bancaire => 8083,
            Part::Gateway => 8080,
            Part::Prometheus => 9090,
            Part::Grafana => 3000,
            Part::Jaeger => 16686,
        }
    }

    /// True for what is built from this workspace.
    pub const fn is_service(self) -> bool {
        matches!(
            self,
            Part::Registry | Part::Simulator | Part::Bancaire | Part::Gateway
        )
    }

    /// What must be ready before this part is started. A service started earlier would wait with
    /// growing pauses, and find its dependency late.
    pub const fn needs(self) -> &'static [Part] {
        match self {
            Part::Kafka | Part::Postgres => &[],
            Part::Prometheus | Part::Grafana | Part::Jaeger => &[],
            Part::Registry => &[Part::Postgres],
            Part::Simulator | Part::Gateway => &[Part::Kafka, Part::Registry],
            Part::Bancaire => &[Part::Kafka, Part::Postgres, Part::Registry],
        }
    }

    /// What asks it to stop cleanly. PostgreSQL would wait for its clients after a SIGTERM.
    const fn stop_signal(self) -> Signal {
        match self {
            Part::Postgres => Signal::SIGINT,
            _ => Signal::SIGTERM,
        }
    }

    const fn stop_deadline(self) -> Duration {
        match self {
            Part::Kafka | Part::Postgres => Duration::from_secs(20),
            _ => Duration::from_secs(10),
        }
    }

    /// Stops its process, if it runs; a container is removed as well.
    ///
    /// # Errors
    /// When it survives SIGKILL, or the daemon of its container does not answer.
    pub async fn stop(self, component: &ComponentState) -> anyhow::Result<Stopped> {
        if let Some(id) = &component.container {
            return docker::stop(&Daemon::connect().await?, id, self.stop_deadline()).await;
        }
        component
            .identity()
            .stop(self.stop_signal(), self.stop_deadline())
            .await
    }
}

/// The lab as its parts see it: where to put things and where the others are.
#[derive(Debug, Clone)]
pub struct Site {
    pub ctx: Context,
    /// Addresses and passwords; which processes run is of no interest here.
    pub lab: LabState,
    pub memory: LabMemory,
    /// What the services log: a filter such as `info` or `info,bancaire=debug`.
    pub log_level: String,
    pub detour: Detour,
}

impl Site {
    /// A part's log; what runs in a container logs to its daemon instead.
    pub fn log(&self, part: Part) -> PathBuf {
        log_path(&self.ctx, part)
    }

    /// The same for one of several.
    pub fn log_of(&self, component: &str) -> PathBuf {
        let logs = self.ctx.lab_dir.join("logs");
        logs.join(format!("{component}.log"))
    }

    /// What is written down about a process that was just started.
    pub fn record(&self, part: Part, identity: &Identity, url: String) -> ComponentState {
        self.record_instance(part, 1, identity, url)
    }

    /// The same for one of several.
    pub fn record_instance(
        &self,
        part: Part,
        number: u32,
        identity: &Identity,
        url: String,
    ) -> ComponentState {
        let name = instance(part, number);
        ComponentState {
            pid: identity.pid,
            start_id: identity.start_id.clone(),
            container: None,
            port: self.lab.port(&name),
            log: self.log_of(&name),
            name,
            url,
            started_at: Utc::now(),
            start_ms: 0,
            ready_after_ms: 0,
        }
    }
}

/// Where a part of this context's lab logs.
pub fn log_path(ctx: &Context, part: Part) -> PathBuf {
    ctx.lab_dir
        .join("logs")
        .join(format!("{}.log", part.name()))
}

impl ComponentState {
    pub fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            start_id: self.start_id.clone(),
        }
    }
    pub fn is_alive(&self) -> bool {
        match &self.container {
            Some(id) => docker::is_running_now(id),
            None => self.identity().is_alive(),
        }
    }

    /// Which part it is an instance of, and its number from 1.
    pub fn part(&self) -> Option<(Part, u32)> {
        Part::instance_from_name(&self.name)
    }

    /// The last lines that it logged.
    pub async fn last_lines(&self, lines: usize) -> String {
        let Some(id) = &self.container else {
            return log_tail(&self.log, lines);
        };
        let asked = async {
            let daemon = Daemon::connect().await?;
            docker::log_lines(&daemon, id, lines).await
        };
        asked
            .await
            .map_or_else(|e| format!("{e:#}"), |lines| lines.join("\n"))
    }
}

/// The name of a part's instance: `kafka`, `kafka-2`, ….
pub fn instance(part: Part, number: u32) -> String {
    match number {
        1 => part.name().to_owned(),
        _ => format!("{}-{number}", part.name()),
    }
}

/// Asks `check` until it says yes, and it is the part itself that listens on its port: whoever took
/// the port meanwhile could answer in its place. Gives up when the part is gone, or after `patience`
/// in which its log did not grow either; then the error holds the log's last lines.
pub async fn wait_ready<F>(
    component: &ComponentState,
    step: &Step,
    patience: Duration,
    mut check: impl FnMut() -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let watched = Watched::new(component).await?;
    let began = Instant::now();
    let mut progress = Instant::now();
    let mut mark = watched.log_mark().await;
    let mut looked = Instant::now();
    loop {
        let reason = match check().await {
            Ok(()) if watched.listens() => return Ok(()),
            Ok(()) => format!(
                "the port {} was taken meanwhile by {}",
                component.port,
                ports::owner(component.port)
            ),
            Err(e) => format!("{e:#}"),
        };
        step.tick(format_args!(
            "waits: {}",
            reason.lines().next().unwrap_or("")
        ));
        if looked.elapsed() >= watched.pause() {
            looked = Instant::now();
            if !watched.is_alive().await? {
                anyhow::bail!(
                    "{} ended: {reason}; {}",
                    component.name,
                    log_end(component).await
                );
            }
            let now = watched.log_mark().await;
            // A part that complains for ever makes no progress either.
            if now != mark && began.elapsed() < patience * 4 {
                (mark, progress) = (now, Instant::now());
            }
            if progress.elapsed() >= patience {
                anyhow::bail!(
                    "{} is not ready after {} s: {reason}; {}",
                    component.name,
                    began.elapsed().as_secs(),
                    log_end(component).await
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

async fn log_end(component: &ComponentState) -> String {
    let log = match &component.container {
        Some(_) => "its log".to_owned(),
        None => component.log.display().to_string(),
    };
    format!(
        "the last lines of {log}:\n{}",
        component.last_lines(8).await
    )
}

/// A part as it is seen from outside while one waits for it.
enum Watched<'a> {
    Process(&'a ComponentState),
    Container(Daemon, &'a str),
}

impl<'a> Watched<'a> {
    async fn new(component: &'a ComponentState) -> anyhow::Result<Self> {
        Ok(match &component.container {
            Some(id) => Watched::Container(Daemon::connect().await?, id),
            None => Watched::Process(component),
        })
    }

    async fn is_alive(&self) -> anyhow::Result<bool> {
        match self {
            Watched::Process(component) => Ok(component.is_alive()),
            Watched::Container(daemon, id) => docker::is_running(daemon, id).await,
        }
    }

    /// Whether it listens on its port itself, as far as we may see it. A container does not: its
    /// daemon would not start it while the port is taken.
    fn listens(&self) -> bool {
        match self {
            Watched::Process(component) => {
                let listens = |pids: &[u32]| ports::listens(pids, component.port) != Some(false);
                component.is_alive()
                    && (listens(&[component.pid]) || listens(&process::family(component.pid)))
            }
            Watched::Container(..) => true,
        }
    }

    /// Changes when the log grows.
    async fn log_mark(&self) -> String {
        match self {
            Watched::Process(component) => {
                let size = std::fs::metadata(&component.log).map(|m| m.len());
                size.unwrap_or(0).to_string()
            }
            Watched::Container(daemon, id) => docker::log_mark(daemon, id).await,
        }
    }

    /// Between two looks: the daemon has other things to do.
    fn pause(&self) -> Duration {
        match self {
            Watched::Process(_) => Duration::ZERO,
            Watched::Container(..) => Duration::from_millis(200),
        }
    }
}

/// A connection can be made; the cheap question before the real one.
pub async fn port_answers(port: u16) -> anyhow::Result<()> {
    let connect = tokio::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, port));
    match tokio::time::timeout(Duration::from_secs(1), connect).await {
        Ok(Ok(_)) => Ok(()),
        _ => anyhow::bail!("nothing listens on port {port} yet"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_a_name_and_depends_only_on_earlier_ones() {
        for part in Part::every() {
            assert_eq!(Part::from_name(part.name()).unwrap(), part);
            for number in [1, 2, 12] {
                let name = instance(part, number);
                assert_eq!(Part::instance_from_name(&name), Some((part, number)));
            }
            assert!(part.needs().iter().all(|needed| *needed < part));
        }
        for odd in ["kafka-1", "kafka-", "kafka-x", "-2", "nobody-2"] {
            assert_eq!(Part::instance_from_name(odd), None, "{odd}");
        }
        let error = Part::from_name("nobody").unwrap_err().to_string();
        assert!(
            error.contains("nobody") && error.contains("gateway"),
            "{error}"
        );
    }
}
