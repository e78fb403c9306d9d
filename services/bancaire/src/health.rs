//! What the service knows about its own state: written by the consumer, the writer and the
//! monitor, read by the health endpoints.

use std::sync::Mutex;

use serde::Serialize;

/// How well the service does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Healthy,
    /// Something is away; the work goes on when it is back.
    Degraded,
    /// It does not go on without a person.
    Unhealthy,
}

/// What can be away for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    Kafka,
    Postgres,
    Registry,
}

impl Dependency {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Postgres => "postgres",
            Self::Registry => "registry",
        }
    }
}

#[derive(Debug, Default, Clone)]
struct State {
    /// Why each dependency cannot be used, if so.
    problems: [Option<String>; 3],
    consuming: bool,
    stopped: Option<String>,
}

/// Shared by all parts of the service.
#[derive(Debug, Default)]
pub struct Health(Mutex<State>);

impl Health {
    /// A dependency works; said in the log when it did not before.
    pub fn up(&self, dependency: Dependency) {
        let before = self.update(|state| state.problems[dependency as usize].take());
        if before.is_some() {
            tracing::info!(dependency = dependency.as_str(), "A dependency is back");
        }
    }

    /// A dependency does not work; said in the log when it did before.
    pub fn down(&self, dependency: Dependency, why: impl std::fmt::Display) {
        let why = why.to_string();
        let before = self.update(|state| state.problems[dependency as usize].replace(why.clone()));
        if before.is_none() {
            let dependency = dependency.as_str();
            tracing::warn!(
                dependency,
                error = why,
                "A dependency is away, waiting for it"
            );
        }
    }

    /// Whether records of the assigned partitions are being read.
    pub fn set_consuming(&self, consuming: bool) {
        self.update(|state| state.consuming = consuming);
    }

    /// The service stops consuming for good and stays only to say why.
    pub fn stop(&self, why: impl std::fmt::Display) {
        tracing::error!(error = %why, "Stopped consuming");
        self.update(|state| state.stopped = Some(why.to_string()));
    }

    pub fn problem(&self, dependency: Dependency) -> Option<String> {
        self.update(|state| state.problems[dependency as usize].clone())
    }

    pub fn stopped(&self) -> Option<String> {
        self.update(|state| state.stopped.clone())
    }

    pub fn is_consuming(&self) -> bool {
        self.update(|state| state.consuming && state.stopped.is_none())
    }

    pub fn status(&self) -> Status {
        self.update(|state| {
            if state.stopped.is_some() {
                Status::Unhealthy
            } else if state.problems.iter().any(Option::is_some) {
                Status::Degraded
            } else {
                Status::Healthy
            }
        })
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(
            &mut self
                .0
                .lock()
                .expect("nothing panics while it holds this lock"),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_degrades_and_a_stop_is_final() {
        let health = Health::default();
        assert_eq!(health.status(), Status::Healthy);
        health.down(Dependency::Postgres, "connection refused");
        assert_eq!(health.status(), Status::Degraded);
        health.up(Dependency::Postgres);
        assert_eq!(health.status(), Status::Healthy);
        health.set_consuming(true);
        health.stop("the topic was recreated");
        assert_eq!(health.status(), Status::Unhealthy);
        assert!(!health.is_consuming());
    }
}
