//! The loop of a simulation, on a thread of its own: what is due is drawn and handed over.
//!
//! It never waits for single answers. How much may be unanswered is bounded, so that an absent
//! broker costs a bounded amount of memory; what is overdue then is made up for afterwards.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;

use super::pace::Pace;
use super::tally::Stub;
use super::{Order, Orders, Phase, Simulation, lock};
use crate::generator::{Generator, Item};
use crate::publish::{Outlet, Refused};

/// Records without an answer at most. At 50,000 per second this is a second of the broker's time, which
/// a busy machine needs; it takes about 50 MB, once a broker is that far behind.
pub(super) const IN_FLIGHT_MAX: u64 = 50_000;
/// Records drawn before the orders are looked at again.
const BURST: u32 = 500;
/// Below this the loop would wake more often than it is worth: what is due meanwhile goes together.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// How often it looks around when nothing is due, for the rate to be sampled.
const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// Starts the thread.
pub(super) fn spawn<O: Outlet>(
    order: Order,
    simulation: Arc<Simulation>,
    outlet: Arc<O>,
) -> std::io::Result<()> {
    let driver = Driver::new(order, simulation, outlet);
    let thread = std::thread::Builder::new().name("simulation".into());
    thread.spawn(move || driver.run()).map(drop)
}

struct Driver<O> {
    simulation: Arc<Simulation>,
    outlet: Arc<O>,
    generator: Generator,
    pace: Pace,
    /// Records handed over.
    sent: u64,
    /// A record that there was no room for.
    pending: Option<Item>,
}

/// Why a burst ended.
#[derive(Debug, PartialEq, Eq)]
enum Burst {
    /// Everything that is due was handed over.
    Done,
    /// There is more to do at once.
    More,
    /// There is more to do, when the broker has answered.
    Blocked,
}

impl<O: Outlet> Driver<O> {
    fn new(order: Order, simulation: Arc<Simulation>, outlet: Arc<O>) -> Self {
        let mut generator = Generator::new(order.scenario, order.seed, simulation.id);
        generator.set_rate(order.rate);
        Self {
            simulation,
            outlet,
            generator,
            pace: Pace::new(order.rate, order.duration),
            sent: 0,
            pending: None,
        }
    }

    fn run(mut self) {
        let _end = End(self.simulation.clone());
        tracing::info!(
            simulation.id = %self.simulation.id,
            scenario = self.simulation.scenario,
            seed = self.simulation.seed,
            rate = self.pace.rate(),
            duration_s = self.simulation.duration,
            "Started a simulation"
        );
        self.draw();
        self.simulation
            .progress
            .send_modify(|p| p.phase = Phase::Stopping);
        self.drain();
        let counts = self.simulation.tally.counts();
        tracing::info!(
            simulation.id = %self.simulation.id,
            events_produced = counts.acked(),
            failed = counts.failed,
            "Ended a simulation"
        );
    }

    /// Until the duration is over and all that was due is handed over, or it is told to stop.
    fn draw(&mut self) {
        loop {
            let Orders { rate, stop, .. } = *lock(&self.simulation.orders);
            if stop {
                return;
            }
            let elapsed = self.simulation.started.elapsed();
            if rate != self.pace.rate() {
                self.pace.set_rate(rate, elapsed);
                self.generator.set_rate(rate);
            }
            self.simulation.tally.sample(elapsed);
            let wait = match self.burst(self.pace.due(elapsed)) {
                Burst::More => continue,
                Burst::Blocked => SHORTEST_WAIT,
                Burst::Done if self.pace.is_over(elapsed) => return,
                Burst::Done => {
                    let elapsed = self.simulation.started.elapsed();
                    self.pace
                        .wait(self.sent, elapsed)
                        .clamp(SHORTEST_WAIT, LONGEST_WAIT)
                }
            };
            self.wait(wait);
        }
    }

    /// Hands over records until `due` have been in all.
    fn burst(&mut self, due: u64) -> Burst {
        let tally = &self.simulation.tally;
        for (opening, acked) in tally.take_openings() {
            self.generator.answered(opening, acked);
        }
        for _ in 0..BURST {
            if self.sent >= due {
                return Burst::Done;
            }
            if tally.in_flight() >= IN_FLIGHT_MAX {
                return Burst::Blocked;
            }
            let item = match self.pending.take() {
                Some(item) => item,
                None if self.generator.waits() => return Burst::Blocked,
                None => self.generator.next(Utc::now()),
            };
            let stub = Stub::from(&item);
            let answers = tally.clone();
            tally.sent();
            match self
                .outlet
                .offer(&item, move |acked| answers.answered(stub, acked))
            {
                Ok(()) => self.sent += 1,
                Err(Refused::Full) => {
                    tally.taken_back();
                    self.pending = Some(item);
                    return Burst::Blocked;
                }
                Err(Refused::Failed(why)) => {
                    tracing::warn!(error = why, "Failed to hand over a record");
                    tally.answered(stub, false);
                    self.sent += 1;
                }
            }
        }
        Burst::More
    }

    /// Until the broker has answered for everything; librdkafka gives each record an answer in the
    /// end.
    fn drain(&self) {
        let tally = &self.simulation.tally;
        while tally.in_flight() > 0 {
            if lock(&self.simulation.orders).give_up {
                let failed = tally.give_up();
                tracing::warn!(failed, "Gave up waiting for the broker's answers");
                return;
            }
            self.wait(SHORTEST_WAIT);
        }
    }

    /// Sleeps, or until the orders change.
    fn wait(&self, duration: Duration) {
        let orders = lock(&self.simulation.orders);
        let woken = self.simulation.told.wait_timeout(orders, duration);
        drop(woken.expect("nothing panics while it holds this lock"));
    }
}

/// Says that the simulation has ended, also when the thread panics.
struct End(Arc<Simulation>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.progress.send_modify(|progress| {
            progress.phase = if std::thread::panicking() {
                Phase::Failed
            } else {
                Phase::Stopped
            };
            progress.lasted = Some(self.0.started.elapsed());
        });
    }
}
