//! The exercises of `docs/patterns/01-pub-sub.md`, and what each asks of the lab.

use chassis::dead_letters;
use chassis::kafka::admin::Inspector;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use std::time::Duration;

use super::snapshot::get;
use super::{Finding, Snapshot};
use crate::state::LabState;
use crate::verify;

/// Something to do with the lab, and to understand by it.
#[derive(Debug)]
pub struct Exercise {
    /// `pattern-number`, as in the documents.
    pub id: &'static str,
    pub title: &'static str,
    /// What to think about before doing it.
    pub question: &'static str,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Decoupling,
    Scaling,
    Ordering,
    Idempotence,
    Poison,
    Evolution,
    BackPressure,
}

/// All of them, in the order in which they build on each other.
pub const EXERCISES: [Exercise; 7] = [
    Exercise {
        id: "01-1",
        title: "Decoupling",
        question: "The consumer is away. Does the producer notice? What happens to its events?",
        kind: Kind::Decoupling,
    },
    Exercise {
        id: "01-2",
        title: "Scaling and partitions",
        question: "Three partitions, two workers: who reads what? And with four workers?",
        kind: Kind::Scaling,
    },
    Exercise {
        id: "01-3",
        title: "Ordering",
        question: "A deposit is read before the opening of its account. How can that be, and what should a consumer do?",
        kind: Kind::Ordering,
    },
    Exercise {
        id: "01-4",
        title: "Idempotence",
        question: "The same event arrives twice. How does the consumer know, and what would it cost not to?",
        kind: Kind::Idempotence,
    },
    Exercise {
        id: "01-5",
        title: "Poison",
        question: "A record cannot be read, now or ever. May the consumer skip it? May it wait?",
        kind: Kind::Poison,
    },
    Exercise {
        id: "01-6",
        title: "Schema evolution",
        question: "A new field is to be added. Who must be deployed first, and which change would be refused?",
        kind: Kind::Evolution,
    },
    Exercise {
        id: "01-7",
        title: "Back-pressure",
        question: "The consumer is slower than the producer. Where do the events wait, and for how long may that go on?",
        kind: Kind::BackPressure,
    },
];

/// What happened between two moments, as far as an exercise asks.
struct Scene<'a> {
    lab: &'a LabState,
    pool: PgPool,
    before: &'a Snapshot,
    after: &'a Snapshot,
}

/// Judges an exercise.
///
/// # Errors
/// When a part that must be asked does not answer.
pub(super) async fn judge(
    exercise: &Exercise,
    lab: &LabState,
    before: &Snapshot,
    after: &Snapshot,
) -> anyhow::Result<Vec<Finding>> {
    let scene = Scene {
        lab,
        pool: chassis::postgres::connect(&lab.postgres())?,
        before,
        after,
    };
    match exercise.kind {
        Kind::Decoupling => scene.decoupling().await,
        Kind::Scaling => scene.scaling().await,
        Kind::Ordering => scene.ordering().await,
        Kind::Idempotence => scene.idempotence().await,
        Kind::Poison => scene.poison().await,
        Kind::Evolution => scene.evolution().await,
        Kind::BackPressure => scene.back_pressure().await,
    }
}

impl Scene<'_> {
    async fn decoupling(&self) -> anyhow::Result<Vec<Finding>> {
        let was = self.before.process("bancaire");
        let is = self.after.process("bancaire");
        let restarted = is
            .filter(|is| is.is_alive && was.is_none_or(|was| was.identity != is.identity))
            .map(|is| is.started_at);
        // Made while nobody consumed, stored once somebody did.
        let waited = match restarted {
            Some(at) => self.events_that_waited_for(at).await?,
            None => 0,
        };
        Ok(vec![
            Finding {
                what: "bancaire was stopped and started again",
                passed: restarted.is_some(),
                found: match (restarted, is.is_some_and(|is| is.is_alive)) {
                    (Some(at), _) => format!("it runs since {}", at.format("%H:%M:%S")),
                    (None, true) => "it is the same process as at the start".into(),
                    (None, false) => "it does not run".into(),
                },
                hint: "cargo xtask services down bancaire; later cargo xtask services up",
            },
            Finding {
                what: "at least 20 events were produced while it was away, and applied afterwards",
                passed: waited >= 20,
                found: format!("{waited} events are older than the new process"),
                hint: "while it is away: cargo xtask simulate --rate 20 --duration 5",
            },
            self.quiet().await,
        ])
    }

    async fn events_that_waited_for(&self, at: DateTime<Utc>) -> anyhow::Result<i64> {
        let count = sqlx::query_scalar(
            "SELECT COUNT(*) FROM bancaire.transactions
             WHERE evenement_le >= $1 AND evenement_le < $2 AND created_at >= $2",
        );
        let count = count.bind(self.before.taken_at).bind(at);
        Ok(count.fetch_one(&self.pool).await?)
    }

    async fn scaling(&self) -> anyhow::Result<Vec<Finding>> {
        let kafka: serde_json::Value =
            get(&format!("{}/api/v1/kafka", self.lab.gateway_url())).await?;
        let groups = kafka["groups"].as_array().cloned().unwrap_or_default();
        let group = groups.iter().find(|g| g["name"] == "bancaire");
        let members = group.and_then(|g| g["members"].as_array());
        let shares: Vec<usize> = members
            .into_iter()
            .flatten()
            .map(|m| m["partitions"].as_array().map_or(0, Vec::len))
            .collect();
        let workers = shares.iter().filter(|share| **share > 0).count();
        let applied = self.applied_since();
        Ok(vec![
            Finding {
                what: "at least two workers of the group bancaire own partitions",
                passed: workers >= 2,
                found: format!("{workers} workers, with {shares:?} partitions"),
                hint: "cargo xtask services scale bancaire=2",
            },
            Finding {
                what: "events were applied since the start",
                passed: applied > 0,
                found: format!("{applied} applied"),
                hint: "cargo xtask simulate --rate 100 --duration 10",
            },
            self.quiet().await,
        ])
    }

    async fn ordering(&self) -> anyhow::Result<Vec<Finding>> {
        // An accepted movement that happened before its account's opening did.
        let early: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM bancaire.transactions AS t
             JOIN bancaire.transactions AS o ON o.compte_id = t.compte_id AND o.rang = 1
             WHERE t.rang > 1 AND t.evenement_le < o.evenement_le AND o.created_at >= $1",
        )
        .bind(self.before.taken_at)
        .fetch_one(&self.pool)
        .await?;
        let waiting = self.after.totals.parked;
        Ok(vec![
            Finding {
                what: "an event that came before its account's opening was applied after it",
                passed: early > 0,
                found: format!("{early} such events"),
                hint: "produce a DepotEffectue for a compte_id that does not exist yet, then its CompteOuvert",
            },
            Finding {
                what: "nothing is parked any more",
                passed: waiting == 0,
                found: format!("{waiting} parked"),
                hint: "open the account within the parking time (60 s), else the event is refused",
            },
        ])
    }

    async fn idempotence(&self) -> anyhow::Result<Vec<Finding>> {
        let duplicates = self.after.totals.duplicates - self.before.totals.duplicates;
        // Each account's balance is that of its last accepted row, and its rows are numbered.
        let wrong: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM bancaire.comptes AS c
             LEFT JOIN bancaire.transactions AS t ON t.compte_id = c.id AND t.rang = c.rang
             WHERE c.solde IS DISTINCT FROM COALESCE(t.solde_apres, 0)",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(vec![
            Finding {
                what: "at least five records repeated an earlier event",
                passed: duplicates >= 5,
                found: format!("{duplicates} duplicates since the start"),
                hint: "cargo xtask simulate --scenario duplicates --rate 20 --duration 10",
            },
            Finding {
                what: "every balance is that of its account's last entry",
                passed: wrong == 0,
                found: format!("{wrong} accounts differ"),
                hint: "cargo xtask verify says which",
            },
            self.quiet().await,
        ])
    }

    async fn poison(&self) -> anyhow::Result<Vec<Finding>> {
        let inspector = Inspector::new(&self.lab.kafka())?;
        let letters =
            dead_letters::read(&self.lab.kafka(), &inspector, Duration::from_secs(20)).await?;
        let new: Vec<_> = letters
            .letters
            .iter()
            .filter(|letter| letter.letter.error.timestamp >= self.before.taken_at)
            .collect();
        let replayed: Vec<&str> = new
            .iter()
            .filter(|letter| letter.is_replayed())
            .filter_map(|letter| letter.letter.headers.get("ce_id"))
            .map(String::as_str)
            .collect();
        let accepted: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM bancaire.transactions
             WHERE id = ANY($1) AND motif_rejet IS NULL",
        )
        .bind(&replayed)
        .fetch_one(&self.pool)
        .await?;
        let first = new.iter().map(|letter| letter.letter.error.timestamp).min();
        let behind: i64 = match first {
            Some(at) => {
                let count = sqlx::query_scalar(
                    "SELECT COUNT(*) FROM bancaire.transactions WHERE created_at > $1",
                );
                count.bind(at).fetch_one(&self.pool).await?
            }
            None => 0,
        };
        Ok(vec![
            Finding {
                what: "a record that cannot be read became a dead letter",
                passed: !new.is_empty(),
                found: format!("{} dead letters since the start", new.len()),
                hint: "POST /api/v1/events/poison, or cargo xtask simulate --scenario poison",
            },
            Finding {
                what: "the flow went on behind it",
                passed: behind > 0,
                found: format!("{behind} entries were made later"),
                hint: "cargo xtask simulate --rate 20 --duration 5",
            },
            Finding {
                what: "one was mended, sent again under its own id, and accepted",
                passed: accepted > 0,
                found: format!("{} sent again, {accepted} accepted", replayed.len()),
                hint: "cargo xtask dlq show KEY; its event_id is the header ce_id, its account the \
                       record key; open that account, then dlq replay KEY --event JSON",
            },
        ])
    }

    async fn evolution(&self) -> anyhow::Result<Vec<Finding>> {
        let registry = self.lab.registry_url();
        let versions =
            |snapshot: &Snapshot, subject: &str| snapshot.subjects.get(subject).map_or(0, Vec::len);
        let grown: Vec<&String> = self
            .after
            .subjects
            .keys()
            .filter(|name| versions(self.after, name) > versions(self.before, name).max(1))
            .filter(|name| self.before.subjects.contains_key(*name))
            .collect();
        let config: serde_json::Value = get(&format!("{registry}/config")).await?;
        let level = config["compatibilityLevel"].as_str().unwrap_or("unknown");
        let applied = self.applied_since();
        Ok(vec![
            Finding {
                what: "a subject of the bank has a further version",
                passed: !grown.is_empty(),
                found: match grown.first() {
                    Some(name) => format!("{name} has {} versions", versions(self.after, name)),
                    None => "no subject has grown".into(),
                },
                hint: "POST a schema with a new field and a default to /subjects/…-value/versions",
            },
            Finding {
                what: "the registry still asks for BACKWARD compatibility",
                passed: level == "BACKWARD",
                found: level.to_owned(),
                hint: "a change that needs another level is the one that breaks somebody",
            },
            Finding {
                what: "events are still read and applied",
                passed: applied > 0,
                found: format!("{applied} applied since the start"),
                hint: "cargo xtask simulate --rate 20 --duration 5",
            },
        ])
    }

    async fn back_pressure(&self) -> anyhow::Result<Vec<Finding>> {
        let identity = |snapshot: &Snapshot| {
            let process = snapshot.process("bancaire").filter(|p| p.is_alive);
            process.map(|p| p.identity.clone())
        };
        let same = identity(self.before).is_some() && identity(self.before) == identity(self.after);
        let (late, worst): (i64, f64) = sqlx::query_as(
            "SELECT COUNT(*), COALESCE(MAX(EXTRACT(EPOCH FROM created_at - evenement_le)), 0)::FLOAT8
             FROM bancaire.transactions
             WHERE evenement_le >= $1 AND created_at - evenement_le > INTERVAL '3 seconds'",
        )
        .bind(self.before.taken_at)
        .fetch_one(&self.pool)
        .await?;
        Ok(vec![
            Finding {
                what: "bancaire was slow, not stopped: it is the same process",
                passed: same,
                found: if same { "the same" } else { "another, or none" }.into(),
                hint: "use cargo xtask services pause bancaire and resume, not kill",
            },
            Finding {
                what: "at least 50 events waited in the log for more than three seconds",
                passed: late >= 50,
                found: format!("{late} events; the longest waited {worst:.1} s"),
                hint: "cargo xtask simulate --rate 100 --duration 8 while bancaire is paused",
            },
            self.quiet().await,
        ])
    }

    fn applied_since(&self) -> i64 {
        self.after.totals.applied - self.before.totals.applied
    }

    /// bancaire's own books, against the broker's offsets.
    async fn quiet(&self) -> Finding {
        let (passed, found) = match verify::own_ledger(self.lab).await {
            Ok(ledger) => match ledger["totals"]["in_flight"].as_i64() {
                Some(0) if ledger["balanced"] == true => (true, "nothing in flight".to_owned()),
                Some(left) => (false, format!("{left} records are not consumed yet")),
                None => (false, "the broker does not answer bancaire".to_owned()),
            },
            Err(e) => (false, format!("{e:#}")),
        };
        Finding {
            what: "every record is accounted for, and none is in flight",
            passed,
            found,
            hint: "wait a moment, or cargo xtask services up",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_every_exercise_is_in_the_documents() {
        let ids: HashSet<&str> = EXERCISES.iter().map(|exercise| exercise.id).collect();
        assert_eq!(ids.len(), EXERCISES.len());
        for (language, page) in [
            (
                "English",
                include_str!("../../../docs/patterns/01-pub-sub.md"),
            ),
            (
                "French",
                include_str!("../../../docs/fr/patterns/01-pub-sub.md"),
            ),
        ] {
            for exercise in &EXERCISES {
                let command = format!("cargo xtask learn check {}", exercise.id);
                assert!(
                    page.contains(&command),
                    "{command} is not in the {language} page"
                );
            }
        }
    }
}
