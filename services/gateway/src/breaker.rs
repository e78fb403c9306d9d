//! A circuit breaker per upstream: a service that keeps failing is left alone for a while, so that
//! callers hear at once instead of waiting, and the service can recover.
//!
//! [`Circuit`] is the pure state machine, told the time; [`Breaker`] is the shared one that
//! [`crate::proxy`] asks before each call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

/// When it opens and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many errors within `window` open it.
    pub errors: usize,
    pub window: Duration,
    /// How long it stays open before it lets probes through.
    pub open: Duration,
    /// So many successful probes close it.
    pub successes: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            errors: 5,
            window: Duration::from_secs(30),
            open: Duration::from_secs(30),
            successes: 3,
        }
    }
}

/// What it does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Lets all through.
    Closed,
    /// Lets none through.
    Open,
    /// Lets a few probes through.
    HalfOpen,
}

/// How a call that was let through ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    /// The caller went away before the answer: says nothing about the upstream.
    Abandoned,
}

/// Which phase a call belongs to: a late answer must not count for a later phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u64);

/// The state machine.
#[derive(Debug)]
pub struct Circuit {
    settings: Settings,
    phase: Phase,
    generation: u64,
}

#[derive(Debug)]
enum Phase {
    /// The times of the latest errors, at most `settings.errors` of them.
    Closed {
        failures: VecDeque<Instant>,
    },
    Open {
        until: Instant,
    },
    HalfOpen {
        in_flight: u32,
        successes: u32,
    },
}

impl Circuit {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Closed {
                failures: VecDeque::new(),
            },
            generation: 0,
        }
    }

    pub fn state(&self, now: Instant) -> State {
        match &self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } if now < *until => State::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
        }
    }

    /// Lets a call through, or says after how long to ask again.
    ///
    /// # Errors
    /// With that time, while it is open or while enough probes are under way.
    pub fn admit(&mut self, now: Instant) -> Result<Generation, Duration> {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(until - now);
            }
            self.enter(Phase::HalfOpen {
                in_flight: 0,
                successes: 0,
            });
        }
        if let Phase::HalfOpen {
            in_flight,
            successes,
        } = &mut self.phase
        {
            if *in_flight + *successes >= self.settings.successes {
                return Err(Duration::from_secs(1));
            }
            *in_flight += 1;
        }
        Ok(Generation(self.generation))
    }

    /// Counts how a call ended.
    pub fn settle(&mut self, call: Generation, outcome: Outcome, now: Instant) {
        if call.0 != self.generation {
            return;
        }
        let open = Phase::Open {
            until: now + self.settings.open,
        };
        match (&mut self.phase, outcome) {
            (Phase::Closed { failures }, Outcome::Failure) => {
                failures.push_back(now);
                while failures
                    .front()
                    .is_some_and(|first| now - *first > self.settings.window)
                {
                    failures.pop_front();
                }
                if failures.len() >= self.settings.errors {
                    self.enter(open);
                }
            }
            (Phase::HalfOpen { .. }, Outcome::Failure) => self.enter(open),
            (Phase::HalfOpen { in_flight, .. }, Outcome::Abandoned) => *in_flight -= 1,
            (
                Phase::HalfOpen {
                    in_flight,
                    successes,
                },
                Outcome::Success,
            ) => {
                *in_flight -= 1;
                *successes += 1;
                if *successes >= self.settings.successes {
                    self.enter(Phase::Closed {
                        failures: VecDeque::new(),
                    });
                }
            }
            (Phase::Closed { .. } | Phase::Open { .. }, _) => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

/// The breaker of one upstream, shared by all calls to it.
#[derive(Debug)]
pub struct Breaker {
    upstream: &'static str,
    circuit: Mutex<Circuit>,
}

impl Breaker {
    pub fn new(upstream: &'static str, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            upstream,
            circuit: Mutex::new(Circuit::new(settings)),
        })
    }

    pub fn state(&self) -> State {
        self.lock().state(Instant::now())
    }

    /// Lets a call through, or says after how long to ask again.
    ///
    /// # Errors
    /// With that time.
    pub fn admit(self: &Arc<Self>) -> Result<Permit, Duration> {
        let generation = self.lock().admit(Instant::now())?;
        Ok(Permit {
            breaker: self.clone(),
            generation,
            outcome: Outcome::Abandoned,
        })
    }

    fn settle(&self, generation: Generation, outcome: Outcome) {
        let now = Instant::now();
        let (before, after) = {
            let mut circuit = self.lock();
            let before = circuit.state(now);
            circuit.settle(generation, outcome, now);
            (before, circuit.state(now))
        };
        match (before, after) {
            (State::Closed | State::HalfOpen, State::Open) => {
                tracing::warn!(upstream = self.upstream, "Opened the circuit breaker");
            }
            (State::HalfOpen, State::Closed) => {
                tracing::info!(upstream = self.upstream, "Closed the circuit breaker");
            }
            _ => {}
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Circuit> {
        self.circuit
            .lock()
            .expect("the breaker's lock is not poisoned")
    }
}

/// One call that was let through. Dropped without a word, it counts as abandoned.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: Generation,
    outcome: Outcome,
}

impl Permit {
    pub fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.breaker.settle(self.generation, self.outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A circuit and a clock that only the test moves.
    struct Lab {
        circuit: Circuit,
        now: Instant,
    }

    impl Lab {
        fn new() -> Self {
            Self {
                circuit: Circuit::new(Settings::default()),
                now: Instant::now(),
            }
        }
        fn pass(&mut self, time: Duration) {
            self.now += time;
        }
        fn call(&mut self, outcome: Outcome) {
            let call = self.circuit.admit(self.now).expect("it lets calls through");
            self.circuit.settle(call, outcome, self.now);
        }
        fn state(&self) -> State {
            self.circuit.state(self.now)
        }
        fn opened() -> Self {
            let mut lab = Self::new();
            for _ in 0..5 {
                lab.call(Outcome::Failure);
            }
            lab
        }
    }

    #[test]
    fn five_errors_in_thirty_seconds_open_it() {
        let mut lab = Lab::new();
        for _ in 0..4 {
            lab.call(Outcome::Failure);
            lab.call(Outcome::Success);
            lab.pass(SECOND);
        }
        assert_eq!(lab.state(), State::Closed);
        lab.call(Outcome::Failure);
        assert_eq!(lab.state(), State::Open);
        lab.pass(10 * SECOND);
        assert_eq!(lab.circuit.admit(lab.now), Err(20 * SECOND));
    }

    #[test]
    fn old_errors_do_not_count() {
        let mut lab = Lab::new();
        for _ in 0..20 {
            lab.call(Outcome::Failure);
            lab.pass(8 * SECOND);
        }
        assert_eq!(lab.state(), State::Closed);
    }

    #[test]
    fn three_successes_close_it_again() {
        let mut lab = Lab::opened();
        lab.pass(30 * SECOND);
        assert_eq!(lab.state(), State::HalfOpen);
        lab.call(Outcome::Success);
        lab.call(Outcome::Success);
        assert_eq!(lab.state(), State::HalfOpen);
        lab.call(Outcome::Success);
        assert_eq!(lab.state(), State::Closed);
        for _ in 0..4 {
            lab.call(Outcome::Failure);
        }
        assert_eq!(lab.state(), State::Closed, "it starts counting anew");
    }

    #[test]
    fn a_failed_probe_opens_it_again() {
        let mut lab = Lab::opened();
        lab.pass(30 * SECOND);
        lab.call(Outcome::Success);
        lab.call(Outcome::Failure);
        assert_eq!(lab.state(), State::Open);
        assert_eq!(lab.circuit.admit(lab.now), Err(30 * SECOND));
    }

    #[test]
    fn only_three_probes_are_under_way_and_an_abandoned_one_makes_room() {
        let mut lab = Lab::opened();
        lab.pass(30 * SECOND);
        let probes: Vec<_> = (0..3)
            .map(|_| lab.circuit.admit(lab.now).unwrap())
            .collect();
        assert!(lab.circuit.admit(lab.now).is_err());
        lab.circuit.settle(probes[0], Outcome::Abandoned, lab.now);
        assert!(lab.circuit.admit(lab.now).is_ok());
    }

    #[test]
    fn a_late_answer_does_not_count_for_a_later_phase() {
        let mut lab = Lab::new();
        let late = lab.circuit.admit(lab.now).unwrap();
        for _ in 0..5 {
            lab.call(Outcome::Failure);
        }
        lab.pass(30 * SECOND);
        let probe = lab.circuit.admit(lab.now).unwrap();
        lab.circuit.settle(late, Outcome::Failure, lab.now);
        assert_eq!(lab.state(), State::HalfOpen);
        lab.circuit.settle(probe, Outcome::Success, lab.now);
        assert_eq!(lab.state(), State::HalfOpen);
    }

    #[test]
    fn a_dropped_permit_is_no_verdict() {
        let settings = Settings {
            errors: 1,
            ..Settings::default()
        };
        let breaker = Breaker::new("test", settings);
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), State::Closed);
        breaker.admit().unwrap().settle(Outcome::Failure);
        assert_eq!(breaker.state(), State::Open);
        assert!(breaker.admit().is_err());
    }
}
