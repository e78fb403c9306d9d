//! Simulations: one at a time, at a steady rate, until the duration is over or somebody stops it.
//!
//! [`pace`] says how many events are due, the [`driver`] draws them from the
//! [`generator`](crate::generator) and hands them to an [`Outlet`], and the [`tally`] counts what
//! the broker answers. The [`api`](crate::api) asks the [`Manager`].

mod driver;
pub mod pace;
pub mod tally;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use schemas::EventType;
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::publish::Outlet;
use crate::scenario::Scenario;
use tally::Tally;

/// What is asked for; the values were checked.
#[derive(Debug, Clone)]
pub struct Order {
    pub scenario: Scenario,
    /// Events per second.
    pub rate: f64,
    /// Seconds; 0 = until it is stopped.
    pub duration: f64,
    pub seed: u64,
}

/// Why a simulation does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("simulation {0} has not ended")]
    AlreadyRunning(Uuid),
    #[error("failed to start the simulation's thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// No simulation runs.
#[derive(Debug, thiserror::Error)]
#[error("no simulation runs")]
pub struct NotRunning;

/// What a simulation does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Running,
    /// Nothing is drawn any more; the broker has not answered for everything yet.
    Stopping,
    /// None was started, or the last one has ended.
    Stopped,
    /// It ended by a bug of this service; the log says which.
    Failed,
}

/// The simulation that runs, or the last one.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    pub status: Phase,
    pub simulation_id: Option<Uuid>,
    pub scenario: Option<String>,
    /// The same seed and scenario make the same events.
    pub seed: Option<u64>,
    /// Records that the broker acknowledged.
    pub events_produced: u64,
    /// Records that the broker did not acknowledge in time: perhaps in the log, probably not.
    pub failed: u64,
    /// Records that wait for the broker's answer.
    pub in_flight: u64,
    pub started_at: Option<DateTime<Utc>>,
    /// Seconds; 0 = until it is stopped.
    pub duration: f64,
    /// Seconds from its start to now, or to its end.
    pub elapsed_seconds: f64,
    /// Events per second that are asked for.
    pub rate_target: f64,
    /// Events per second: of the last seconds while it runs, of the whole time when it has ended.
    pub rate_actual: f64,
    /// What was acknowledged, by the event of the topic that it went to.
    pub by_type: BTreeMap<&'static str, u64>,
    /// How much of that went wrong on purpose.
    pub faults: FaultCounts,
}

/// Acknowledged records that were faults of the scenario.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FaultCounts {
    pub duplicates: u64,
    pub poison: u64,
}

/// Starts simulations, and keeps the last one to tell about.
pub struct Manager<O> {
    outlet: Arc<O>,
    last: Mutex<Option<Arc<Simulation>>>,
}

impl<O: Outlet> Manager<O> {
    pub fn new(outlet: Arc<O>) -> Self {
        let last = Mutex::default();
        Self { outlet, last }
    }

    /// # Errors
    /// When another one has not ended.
    pub fn start(&self, order: Order) -> Result<Status, StartError> {
        let mut last = lock(&self.last);
        if let Some(simulation) = last.as_ref().filter(|simulation| !simulation.has_ended()) {
            return Err(StartError::AlreadyRunning(simulation.id));
        }
        let simulation = Arc::new(Simulation::new(&order));
        driver::spawn(order, simulation.clone(), self.outlet.clone())?;
        *last = Some(simulation.clone());
        Ok(simulation.status())
    }

    /// Changes the rate from now on.
    ///
    /// # Errors
    /// When none runs.
    pub fn set_rate(&self, rate: f64) -> Result<Status, NotRunning> {
        let simulation = self.last().filter(|s| s.phase() == Phase::Running);
        let simulation = simulation.ok_or(NotRunning)?;
        simulation.tell(|orders| orders.rate = rate);
        tracing::info!(simulation.id = %simulation.id, rate, "Changed the rate");
        Ok(simulation.status())
    }

    /// Draws no more, and waits for the broker's answers for `patience` at most: after that the
    /// status still says [`Phase::Stopping`].
    ///
    /// # Errors
    /// When none runs.
    pub async fn stop(&self, patience: Duration) -> Result<Status, NotRunning> {
        let simulation = self.last().filter(|s| !s.has_ended()).ok_or(NotRunning)?;
        simulation.tell(|orders| orders.stop = true);
        simulation.wait_end(patience).await;
        Ok(simulation.status())
    }

    /// Ends what runs, for good: what the broker does not answer within `patience` counts as
    /// failed.
    pub async fn close(&self, patience: Duration) {
        if self.stop(patience).await.is_ok()
            && let Some(simulation) = self.last().filter(|s| !s.has_ended())
        {
            simulation.tell(|orders| orders.give_up = true);
            simulation.wait_end(patience).await;
        }
    }

    pub fn status(&self) -> Status {
        match self.last() {
            Some(simulation) => simulation.status(),
            None => Status::none(),
        }
    }

    fn last(&self) -> Option<Arc<Simulation>> {
        lock(&self.last).clone()
    }
}

/// What the driver is told while it runs.
#[derive(Debug, Clone, Copy)]
struct Orders {
    rate: f64,
    stop: bool,
    /// Do not even wait for answers.
    give_up: bool,
}

/// What the driver says of itself.
#[derive(Debug, Clone, Copy)]
struct Progress {
    phase: Phase,
    /// How long it lasted, once it has ended.
    lasted: Option<Duration>,
}

/// One simulation, shared by its driver and those who ask about it.
struct Simulation {
    id: Uuid,
    scenario: String,
    seed: u64,
    duration: f64,
    started_at: DateTime<Utc>,
    started: Instant,
    orders: Mutex<Orders>,
    /// Wakes the driver when the orders changed.
    told: Condvar,
    tally: Arc<Tally>,
    progress: watch::Sender<Progress>,
}

impl Simulation {
    fn new(order: &Order) -> Self {
        let progress = Progress {
            phase: Phase::Running,
            lasted: None,
        };
        Self {
            id: Uuid::new_v4(),
            scenario: order.scenario.name.clone(),
            seed: order.seed,
            duration: order.duration,
            started_at: Utc::now().trunc_subsecs(3),
            started: Instant::now(),
            orders: Mutex::new(Orders {
                rate: order.rate,
                stop: false,
                give_up: false,
            }),
            told: Condvar::new(),
            tally: Arc::default(),
            progress: watch::Sender::new(progress),
        }
    }

    fn tell(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.orders));
        self.told.notify_all();
    }

    fn phase(&self) -> Phase {
        self.progress.borrow().phase
    }

    fn has_ended(&self) -> bool {
        matches!(self.phase(), Phase::Stopped | Phase::Failed)
    }

    async fn wait_end(&self, patience: Duration) {
        let mut progress = self.progress.subscribe();
        let ended = progress.wait_for(|p| matches!(p.phase, Phase::Stopped | Phase::Failed));
        // Too late is for the caller to see in the status.
        let _ = tokio::time::timeout(patience, ended).await;
    }

    fn status(&self) -> Status {
        let Progress { phase, lasted } = *self.progress.borrow();
        let elapsed = lasted.unwrap_or_else(|| self.started.elapsed());
        let counts = self.tally.counts();
        let rate_actual = match lasted {
            Some(lasted) => counts.acked() as f64 / lasted.as_secs_f64().max(1e-3),
            None => self.tally.rate(elapsed),
        };
        Status {
            status: phase,
            simulation_id: Some(self.id),
            scenario: Some(self.scenario.clone()),
            seed: Some(self.seed),
            events_produced: counts.acked(),
            failed: counts.failed,
            in_flight: counts.in_flight,
            started_at: Some(self.started_at),
            duration: self.duration,
            elapsed_seconds: thousandths(elapsed.as_secs_f64()),
            rate_target: lock(&self.orders).rate,
            rate_actual: thousandths(rate_actual),
            by_type: by_type(counts.by_type),
            faults: counts.faults,
        }
    }
}

impl Status {
    /// Before the first simulation.
    fn none() -> Self {
        Self {
            status: Phase::Stopped,
            simulation_id: None,
            scenario: None,
            seed: None,
            events_produced: 0,
            failed: 0,
            in_flight: 0,
            started_at: None,
            duration: 0.0,
            elapsed_seconds: 0.0,
            rate_target: 0.0,
            rate_actual: 0.0,
            by_type: by_type([0; EventType::ALL.len()]),
            faults: FaultCounts::default(),
        }
    }
}

fn by_type(counts: [u64; EventType::ALL.len()]) -> BTreeMap<&'static str, u64> {
    EventType::ALL
        .iter()
        .map(|t| (t.name(), counts[t.index()]))
        .collect()
}

fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("nothing panics while it holds this lock")
}

#[cfg(test)]
mod tests;
