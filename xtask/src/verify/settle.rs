//! Waits until nothing moves any more: no simulation, no lag, nothing in the outbox or parked.

use std::time::{Duration, Instant};

use chassis::kafka::admin::{Inspector, Watermarks};
use schemas::EventType;
use serde::Serialize;
use sqlx::PgPool;

use crate::output::Step;
use crate::state::LabState;
use crate::verbs::simulate;

/// What still moved when the waiting ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Quiet {
    pub simulation_running: bool,
    /// Records that bancaire has not read yet.
    pub in_flight: i64,
    pub outbox: i64,
    pub parked: i64,
    pub waited_ms: u64,
}

impl Quiet {
    pub fn is_quiet(&self) -> bool {
        !self.simulation_running && self.in_flight == 0 && self.outbox == 0 && self.parked == 0
    }

    /// In words, for progress and verdicts.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if self.simulation_running {
            parts.push("a simulation runs".to_owned());
        }
        for (count, what) in [
            (self.in_flight, "in flight"),
            (self.outbox, "in the outbox"),
            (self.parked, "parked"),
        ] {
            if count != 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        if parts.is_empty() {
            "nothing moves".into()
        } else {
            parts.join(", ")
        }
    }
}

/// The topics of the seven events.
pub fn event_topics() -> [&'static str; 7] {
    EventType::ALL.map(EventType::topic)
}

/// Looks again and again until everything is quiet or `patience` is over.
///
/// # Errors
/// When the broker or PostgreSQL could not be asked at the end.
pub async fn settle(
    lab: &LabState,
    pool: &PgPool,
    inspector: &Inspector,
    patience: Duration,
    step: &Step,
) -> anyhow::Result<Quiet> {
    let began = Instant::now();
    loop {
        let looked = look(lab, pool, inspector).await;
        let over = began.elapsed() >= patience;
        match looked {
            Ok(mut quiet) => {
                quiet.waited_ms = began.elapsed().as_millis() as u64;
                if quiet.is_quiet() || over {
                    return Ok(quiet);
                }
                step.tick(format_args!("waits: {}", quiet.describe()));
            }
            Err(e) if over => return Err(e),
            Err(e) => step.tick(format_args!("waits: {e:#}")),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn look(lab: &LabState, pool: &PgPool, inspector: &Inspector) -> anyhow::Result<Quiet> {
    // The simulation first, then PostgreSQL, then the logs: in the order in which events move, so
    // that nothing can hide by moving on between two questions.
    let simulation = simulate::status(lab).await.ok();
    let stored: Vec<(String, i32, i64)> =
        sqlx::query_as("SELECT topic, partition, next_offset FROM bancaire.flux")
            .fetch_all(pool)
            .await?;
    let (outbox, parked): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM bancaire.outbox), (SELECT count(*) FROM bancaire.parques)",
    )
    .fetch_one(pool)
    .await?;
    let watermarks = inspector.watermarks(&event_topics()).await?;
    Ok(Quiet {
        simulation_running: simulation.is_some_and(|status| status.is_running()),
        in_flight: in_flight(&watermarks, &stored),
        outbox,
        parked,
        waited_ms: 0,
    })
}

/// What a partition that PostgreSQL does not know yet holds is all still to come.
fn in_flight(watermarks: &Watermarks, stored: &[(String, i32, i64)]) -> i64 {
    let lag = |(place, (low, high)): (&(String, i32), &(i64, i64))| {
        let next = stored
            .iter()
            .find(|(topic, partition, _)| (topic, partition) == (&place.0, &place.1))
            .map_or(*low, |(_, _, next)| *next);
        (high - next.max(*low)).max(0)
    };
    watermarks.iter().map(lag).sum()
}

/// A time such as `30`, `30s`, `500ms`, `2m`, `1h` or `7d`.
///
/// # Errors
/// When it is none, saying what would be.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 30s, 500ms, 2m, 1h or 7d");
    let unit_at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let ms = number.checked_mul(unit_ms).ok_or_else(wrong)?;
    Ok(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        for (text, ms) in [
            ("30", 30_000),
            ("30s", 30_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("0", 0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(ms)),
                "{text}"
            );
        }
        for text in ["", "s", "-1", "1.5s", "3 weeks", "99999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_in_flight_is_the_log_behind_the_stored_offset() {
        let at = |topic: &str, partition| (topic.to_owned(), partition);
        let watermarks = Watermarks::from([
            (at("a", 0), (0, 10)),
            (at("a", 1), (5, 9)),
            // Retention took what was read long ago.
            (at("b", 0), (7, 8)),
        ]);
        let stored = [("a".to_owned(), 0, 8), ("b".to_owned(), 0, 3)];
        assert_eq!(in_flight(&watermarks, &stored), 2 + 4 + 1);
        assert_eq!(in_flight(&Watermarks::new(), &stored), 0);
    }

    #[test]
    fn quiet_is_described() {
        let quiet = Quiet::default();
        assert!(quiet.is_quiet());
        assert_eq!(quiet.describe(), "nothing moves");
        let busy = Quiet {
            simulation_running: true,
            in_flight: 3,
            ..Quiet::default()
        };
        assert!(!busy.is_quiet());
        assert_eq!(busy.describe(), "a simulation runs, 3 in flight");
    }
}
