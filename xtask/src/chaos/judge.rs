//! The verdict on one run: [`verify`](crate::verify)'s checks, and what the producers' journal adds
//! to them.
//!
//! `verify` compares the logs with PostgreSQL. The journal is the third witness: what was
//! acknowledged, so that a record that never came into a log is missed, and what was injected, so
//! that a dead letter too many is seen.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use anyhow::Context as _;
use chassis::kafka::journal::{Entry, Fate, Kind};
use schemas::EventType;
use serde::Serialize;
use sqlx::PgPool;

use super::lab::ChaosLab;
use super::scenario::{Expect, Fault};
use crate::verify::checks::Verdict;
use crate::verify::{self, books, letters};

/// One judgement.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub invariant: String,
    pub name: String,
    pub passed: bool,
    /// Not judged, with the reason among the violations.
    pub skipped: bool,
    pub compared: String,
    pub violations: Vec<String>,
}

impl Finding {
    pub fn new(invariant: &str, name: &str, compared: String, violations: Vec<String>) -> Self {
        Self {
            invariant: invariant.into(),
            name: name.into(),
            passed: violations.is_empty(),
            skipped: false,
            compared,
            violations: violations.into_iter().take(10).collect(),
        }
    }
}

/// What PostgreSQL and the dead letters hold, by what the journal knows.
#[derive(Debug, Default)]
struct Held {
    /// event_id → type, partition, offset of its row.
    ledger: HashMap<String, (String, i32, i64)>,
    /// Where a row came from a transfer that bancaire published itself.
    causes: HashMap<String, String>,
    parked: HashSet<String>,
    /// Places of the originals of dead letters.
    dead: HashSet<(String, i32, i64)>,
    unknown_accounts: i64,
    duplicates: i64,
}

/// Waits until everything is at rest, and judges.
///
/// # Errors
/// When the broker or PostgreSQL cannot be asked.
pub async fn judge(lab: &ChaosLab, fault: &Fault) -> anyhow::Result<Vec<Finding>> {
    let options = verify::Options {
        settle: fault.settle.0,
        ..verify::Options::default()
    };
    let step = lab.ctx.out.step("verify", "asks the lab");
    let report = verify::judge(&lab.lab, options, &step).await?;
    let mut findings: Vec<Finding> = report
        .checks
        .iter()
        .map(|check| Finding {
            invariant: check.invariant.into(),
            name: check.name.into(),
            passed: check.verdict != Verdict::Fail,
            skipped: check.verdict == Verdict::Skipped,
            compared: check.compared.clone(),
            violations: check.violations.clone(),
        })
        .collect();
    let journal = lab.journal()?;
    let held = held(lab).await?;
    findings.extend(by_journal(&journal, &held));
    findings.extend(expected(&fault.expect, &held));
    findings.retain(|finding| fault.judges(&finding.invariant));
    Ok(findings)
}

async fn held(lab: &ChaosLab) -> anyhow::Result<Held> {
    let pool: &PgPool = &lab.pool;
    let rows: Vec<(String, String, i32, i64, Option<String>)> = sqlx::query_as(
        "SELECT id, type, partition, \"offset\", cause_id FROM bancaire.transactions",
    )
    .fetch_all(pool)
    .await
    .context("failed to read the ledger")?;
    let mut held = Held::default();
    for (id, kind, partition, offset, cause) in rows {
        if let Some(cause) = cause {
            held.causes.insert(id.clone(), cause);
        }
        held.ledger.insert(id, (kind, partition, offset));
    }
    held.parked = sqlx::query_scalar("SELECT event_id FROM bancaire.parques")
        .fetch_all(pool)
        .await?
        .into_iter()
        .collect();
    held.unknown_accounts = sqlx::query_scalar(
        "SELECT count(*) FROM bancaire.transactions WHERE motif_rejet = 'compte inconnu'",
    )
    .fetch_one(pool)
    .await?;
    held.duplicates =
        sqlx::query_scalar("SELECT coalesce(sum(duplicates), 0)::bigint FROM bancaire.flux")
            .fetch_one(pool)
            .await?;
    let letters = letters::read(&lab.lab.kafka(), &lab.inspector).await?;
    let place = |letter: &schemas::DeadLetter| {
        (
            letter.original_topic.clone(),
            letter.partition,
            letter.offset,
        )
    };
    held.dead = letters.letters.iter().map(|l| place(&l.letter)).collect();
    Ok(held)
}

fn by_journal(journal: &[Entry], held: &Held) -> Vec<Finding> {
    let mut counts = BTreeMap::new();
    let mut lost = Vec::new();
    let mut elsewhere = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    // Acknowledged as new; and handed over without an answer.
    let (mut originals, mut doubtful) = (HashSet::new(), HashSet::new());
    let mut places: HashMap<&str, Vec<(&str, i32, i64)>> = HashMap::new();
    let mut poison = HashSet::new();
    let mut maybe_poison = 0;
    for entry in journal {
        let fate = match entry.fate {
            Fate::Acked(_) => "acknowledged",
            Fate::Failed => "failed",
            Fate::Unknown => "without an answer",
        };
        *counts.entry(fate).or_insert(0) += 1;
        if let Some(id) = &entry.event_id {
            known.insert(id);
            match (entry.kind, entry.fate) {
                (Kind::Event, Fate::Acked(_)) => _ = originals.insert(id.as_str()),
                (_, Fate::Acked(_)) => {}
                _ => _ = doubtful.insert(id.as_str()),
            }
        }
        match (entry.kind, entry.fate, &entry.event_id) {
            (Kind::Poison, Fate::Acked(at), _) => {
                poison.insert((entry.topic.clone(), at.partition, at.offset));
            }
            (Kind::Poison, _, _) => maybe_poison += 1,
            (_, Fate::Acked(at), Some(id)) => {
                let of_id = places.entry(id).or_default();
                of_id.push((&entry.topic, at.partition, at.offset));
            }
            _ => {}
        }
    }
    for (id, places) in &places {
        let in_place = |row: &(String, i32, i64)| {
            places.iter().any(|(topic, partition, offset)| {
                let kind = EventType::from_topic(topic).map(books::kind);
                kind == Some(row.0.as_str()) && (*partition, *offset) == (row.1, row.2)
            })
        };
        match held.ledger.get(*id) {
            Some(row) if in_place(row) => {}
            // An earlier copy may be there that had no answer, or that bancaire published itself.
            Some(_) if doubtful.contains(*id) || !originals.contains(*id) => {}
            Some((kind, partition, offset)) => elsewhere.push(format!(
                "{id} was acknowledged at {places:?}, and its row says {kind} [{partition}] at {offset}"
            )),
            None if held.parked.contains(*id) => {}
            None => lost.push(format!("{id} was acknowledged at {places:?}, and is nowhere")),
        }
    }
    let described: Vec<String> = counts
        .iter()
        .map(|(fate, n)| format!("{n} {fate}"))
        .collect();
    let described = if described.is_empty() {
        "nothing was handed over".to_owned()
    } else {
        described.join(", ")
    };
    let strangers: Vec<String> = held
        .ledger
        .keys()
        .filter(|id| {
            let id = id.as_str();
            let cause = held.causes.get(id).map(String::as_str);
            !known.contains(id) && !cause.is_some_and(|cause| traced(cause, &known, held))
        })
        .map(|id| format!("{id} is in the ledger, and nobody handed it over"))
        .collect();
    let missing = poison.difference(&held.dead);
    let mut letters: Vec<String> = missing
        .map(|place| format!("the poison at {place:?} has no dead letter"))
        .collect();
    let extra: Vec<_> = held.dead.difference(&poison).collect();
    if extra.len() > maybe_poison {
        letters.push(format!(
            "{} dead letters of records that were good: {:?} …",
            extra.len() - maybe_poison,
            extra.first()
        ));
    }
    vec![
        Finding::new(
            "L",
            "every acknowledged event has its row",
            format!("the producers' journal ({described}) against the ledger"),
            lost,
        ),
        Finding::new(
            "X",
            "no row is of another record",
            format!("{} acknowledged places against their rows", places.len()),
            elsewhere,
        ),
        Finding::new(
            "X",
            "nothing came from nowhere",
            format!("{} rows against the journal", held.ledger.len()),
            strangers,
        ),
        Finding::new(
            "D",
            "dead letters are what was injected",
            format!(
                "{} poison records acknowledged, {maybe_poison} perhaps, {} dead letters",
                poison.len(),
                held.dead.len()
            ),
            letters,
        ),
    ]
}

/// Whether a transfer that bancaire published goes back to one that was handed over: a refused
/// credit is returned by a transfer that names the first one.
fn traced(cause: &str, known: &HashSet<&str>, held: &Held) -> bool {
    let mut cause = cause;
    for _ in 0..4 {
        if known.contains(cause) {
            return true;
        }
        match held.causes.get(cause) {
            Some(next) => cause = next,
            None => return false,
        }
    }
    false
}

fn expected(expect: &Expect, held: &Held) -> Vec<Finding> {
    let mut findings = Vec::new();
    if expect.no_unknown_account {
        let refused = held.unknown_accounts;
        let violations = (refused > 0)
            .then(|| format!("{refused} events were refused because their account was unknown"));
        findings.push(Finding::new(
            "L",
            "what came early was applied",
            format!("{refused} refused for want of an account"),
            violations.into_iter().collect(),
        ));
    }
    let mut at_least = |what: &str, wanted: i64, found: i64| {
        if wanted > 0 {
            let violations = (found < wanted).then(|| format!("{found} {what}, {wanted} expected"));
            findings.push(Finding::new(
                "X",
                &format!("the fault happened: {what}"),
                format!("{found} {what}, {wanted} expected at least"),
                violations.into_iter().collect(),
            ));
        }
    };
    at_least("duplicates recognised", expect.duplicates, held.duplicates);
    at_least(
        "rows in the ledger",
        expect.applied,
        held.ledger.len() as i64,
    );
    if let Some(wanted) = expect.dead_letters {
        let found = held.dead.len() as i64;
        let violations = (found != wanted).then(|| format!("{found} dead letters, not {wanted}"));
        findings.push(Finding::new(
            "D",
            "the fault happened: dead letters",
            format!("{found} dead letters, {wanted} expected"),
            violations.into_iter().collect(),
        ));
    }
    findings
}

/// R: how long it took until everything was handled that was in the logs when the fault had healed.
pub fn recovery(took: Option<Duration>, bound: Duration) -> Finding {
    let (bound_s, took_s) = (bound.as_secs_f64(), took.map(|took| took.as_secs_f64()));
    let (compared, violations) = match took_s {
        Some(took) if took <= bound_s => (format!("{took:.1} s of {bound_s:.0} s"), Vec::new()),
        Some(took) => {
            let what = format!("{took:.1} s, more than {bound_s:.0} s");
            (what.clone(), vec![what])
        }
        None => {
            let what = format!("not within {bound_s:.0} s");
            (what.clone(), vec![what])
        }
    };
    Finding::new("R", "recovered in time", compared, violations)
}

/// B: the most memory that a service took, in bytes.
pub fn memory(peaks: &BTreeMap<String, u64>, limit: u64) -> Finding {
    let mega = |bytes: u64| bytes >> 20;
    let described: Vec<String> = peaks
        .iter()
        .map(|(name, peak)| format!("{name} {} MB", mega(*peak)))
        .collect();
    let over = peaks.iter().filter(|(_, peak)| **peak > limit);
    let violations = over
        .map(|(name, peak)| format!("{name} took {} MB of {} MB", mega(*peak), mega(limit)))
        .collect();
    let compared = format!(
        "at most {}, of {} MB each",
        described.join(", "),
        mega(limit)
    );
    Finding::new("B", "memory is bounded", compared, violations)
}

#[cfg(test)]
mod tests {
    use chassis::kafka::Delivered;

    use super::*;

    fn entry(kind: Kind, id: Option<&str>, fate: Fate) -> Entry {
        Entry {
            kind,
            topic: EventType::DepotEffectue.topic().into(),
            event_id: id.map(str::to_owned),
            fate,
        }
    }

    fn at(offset: i64) -> Fate {
        Fate::Acked(Delivered {
            partition: 0,
            offset,
        })
    }

    fn verdicts(journal: &[Entry], held: &Held) -> Vec<bool> {
        by_journal(journal, held).iter().map(|f| f.passed).collect()
    }

    #[test]
    fn the_journal_finds_what_is_lost_moved_strange_or_buried() {
        let topic = EventType::DepotEffectue.topic();
        let journal = [
            entry(Kind::Event, Some("a"), at(1)),
            entry(Kind::Duplicate, Some("a"), at(5)),
            entry(Kind::Event, Some("b"), Fate::Failed),
            entry(Kind::Event, Some("c"), at(2)),
            entry(Kind::Poison, None, at(3)),
        ];
        let row = |offset| ("DEPOT".to_owned(), 0, offset);
        let good = || Held {
            ledger: [
                ("a".into(), row(1)),
                ("r".into(), ("VIREMENT_ENTRANT".into(), 0, 9)),
            ]
            .into(),
            causes: [("r".into(), "c".into())].into(),
            parked: ["c".into()].into(),
            dead: [(topic.to_owned(), 0, 3)].into(),
            ..Held::default()
        };
        assert_eq!(verdicts(&journal, &good()), [true; 4]);
        let mut lost = good();
        lost.parked.clear();
        assert_eq!(verdicts(&journal, &lost), [false, true, true, true]);
        let mut moved = good();
        moved.ledger.insert("a".into(), row(4));
        assert_eq!(verdicts(&journal, &moved), [true, false, true, true]);
        let mut strange = good();
        strange.causes.clear();
        assert_eq!(verdicts(&journal, &strange), [true, true, false, true]);
        let mut swallowed = good();
        swallowed.dead.clear();
        assert_eq!(verdicts(&journal, &swallowed), [true, true, true, false]);
        let mut buried = good();
        buried.dead.insert((topic.to_owned(), 0, 2));
        assert_eq!(verdicts(&journal, &buried), [true, true, true, false]);
    }

    #[test]
    fn recovery_and_memory_have_bounds() {
        let second = Duration::from_secs(1);
        assert!(recovery(Some(second), second * 2).passed);
        assert!(!recovery(Some(second * 3), second * 2).passed);
        assert!(!recovery(None, second).passed);
        let peaks = [("bancaire".to_owned(), 10 << 20)].into();
        assert!(memory(&peaks, 20 << 20).passed);
        assert!(!memory(&peaks, 5 << 20).passed);
    }
}
