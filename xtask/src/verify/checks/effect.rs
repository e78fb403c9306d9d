//! X and D: every event has one effect, every poison message one dead letter.

use std::collections::HashSet;

use serde_json::Value;

use super::{Check, Evidence};
use crate::verify::audit::Wrongs;
use crate::verify::books::Place;

pub(super) fn one_row_per_event(evidence: &Evidence) -> Check {
    let books = &evidence.books;
    let mut violations = books.foreign.clone();
    if books.rows != books.distinct_ids {
        violations.push(format!(
            "{} rows for {} events",
            books.rows, books.distinct_ids
        ));
    }
    for ((event_type, partition), sums) in &books.ledger {
        if sums.accepted + sums.rejected != sums.offsets {
            violations.push(format!(
                "{} [{partition}]: {} rows for {} records",
                event_type.topic(),
                sums.accepted + sums.rejected,
                sums.offsets
            ));
        }
    }
    let twice = books
        .both
        .iter()
        .map(|id| format!("{id} is in the ledger and parked"));
    violations.extend(twice);
    let compared = format!(
        "{} ledger rows, {} event ids, {} parked events",
        books.rows,
        books.distinct_ids,
        books.parked.len()
    );
    Check::new("X", "one row per event", compared).unless(violations)
}

pub(super) fn counters_are_rows(evidence: &Evidence) -> Check {
    let books = &evidence.books;
    let mut violations = Vec::new();
    for line in &evidence.lines {
        let sums = books.ledger.get(&line.place).cloned().unwrap_or_default();
        let parked = books
            .parked
            .iter()
            .filter(|row| row.place == line.place)
            .count() as i64;
        let dead = evidence.dead.get(&line.place).copied().unwrap_or_default();
        // Retention may have taken old dead letters.
        let dead = if evidence.letters.truncated {
            line.dead_lettered
        } else {
            dead
        };
        for (what, rows, counted) in [
            ("accepted rows", sums.accepted, line.applied),
            ("rejected rows", sums.rejected, line.rejected),
            ("parked events", parked, line.parked),
            ("dead letters", dead, line.dead_lettered),
        ] {
            if rows != counted {
                violations.push(format!("{}: {rows} {what}, {counted} counted", line.name()));
            }
        }
    }
    let known: HashSet<Place> = evidence.lines.iter().map(|line| line.place).collect();
    for (event_type, partition) in books.ledger.keys().filter(|place| !known.contains(place)) {
        violations.push(format!(
            "rows of {} [{partition}], which does not exist",
            event_type.topic()
        ));
    }
    let dead: i64 = evidence.dead.values().sum();
    let handled: i64 = evidence.lines.iter().map(|l| l.next - l.first).sum();
    let compared = format!(
        "{} ledger rows + {} parked + {dead} dead letters + {} duplicates + {} absent against {handled} handled offsets",
        books.rows,
        books.parked.len(),
        evidence.lines.iter().map(|l| l.duplicates).sum::<i64>(),
        evidence.lines.iter().map(|l| l.absent).sum::<i64>(),
    );
    Check::new("X", "every counter is the number of its rows", compared).unless(violations)
}

/// How many partitions' ends bancaire could not learn from the broker: what is in flight there is
/// `null` in its ledger.
pub fn unknown_ends(ledger: &Value) -> usize {
    let partitions = ledger["partitions"].as_array().into_iter().flatten();
    partitions
        .filter(|partition| partition["in_flight"].is_null())
        .count()
}

/// What bancaire answers against what PostgreSQL holds.
pub(super) fn own_ledger(evidence: &Evidence) -> Check {
    let check = |compared| Check::new("X", "bancaire's own ledger says the same", compared);
    let ledger = match &evidence.ledger {
        Ok(ledger) => ledger,
        Err(reason) => return check("GET /api/v1/ledger".into()).skipped(reason),
    };
    // A simulation may have begun since everything was quiet.
    let has_moved = evidence.lines.iter().any(|line| line.in_flight > 0);
    if !evidence.quiet.is_quiet() || has_moved {
        return check("GET /api/v1/ledger".into()).skipped("it moved on meanwhile");
    }
    let empty = Vec::new();
    let partitions = ledger["partitions"].as_array().unwrap_or(&empty);
    let mut violations = Vec::new();
    for line in &evidence.lines {
        let own = partitions.iter().find(|p| {
            p["topic"] == line.topic && p["partition"].as_i64() == Some(i64::from(line.place.1))
        });
        let Some(own) = own else {
            if line.next > line.first {
                violations.push(format!("{}: not in its ledger", line.name()));
            }
            continue;
        };
        for (field, expected) in [
            ("next_offset", line.next),
            ("applied", line.applied),
            ("rejected", line.rejected),
            ("parked", line.parked),
            ("dead_lettered", line.dead_lettered),
            ("duplicates", line.duplicates),
            ("in_flight", line.in_flight),
        ] {
            // Not known is no contradiction; it is said below.
            let is_unknown = field == "in_flight" && own[field].is_null();
            if !is_unknown && own[field].as_i64() != Some(expected) {
                violations.push(format!(
                    "{}: {field} is {}, not {expected}",
                    line.name(),
                    own[field]
                ));
            }
        }
    }
    if ledger["balanced"] == false {
        violations.push("it calls itself unbalanced".into());
    }
    let check = check(format!(
        "{} partitions of GET /api/v1/ledger",
        partitions.len()
    ));
    let unknown = unknown_ends(ledger);
    if violations.is_empty() && unknown > 0 {
        return check.skipped(&format!(
            "bancaire does not reach the broker: it knows no in_flight for {unknown} of {} partitions",
            partitions.len()
        ));
    }
    check.unless(violations)
}

pub(super) fn dead_letters(evidence: &Evidence) -> Check {
    let counted: i64 = evidence.lines.iter().map(|line| line.dead_lettered).sum();
    let dead: i64 = evidence.dead.values().sum();
    let compared = format!(
        "{counted} counted, {dead} found: {} different in system.dlq ({} repeated), {} in the outbox",
        evidence.letters.letters.len(),
        evidence.letters.copies,
        evidence.dead_in_outbox
    );
    let check = Check::new("D", "one dead letter per poison message", compared);
    if evidence.letters.truncated && dead < counted {
        return check.skipped("retention took old dead letters");
    }
    let mut wrong = evidence.letters.wrong.clone();
    if dead != counted {
        wrong.push(format!("{counted} counted, {dead} found"));
    }
    check.unless_wrong(&wrong)
}

pub(super) fn dead_letters_bytes(evidence: &Evidence) -> Check {
    let check = |compared| Check::new("D", "dead letters hold the original bytes", compared);
    let read_back = match &evidence.read_back {
        Ok(read_back) => read_back,
        Err(reason) => return check("the logs, read back".into()).skipped(reason),
    };
    let mut wrong = Wrongs::default();
    let mut compared = 0;
    for audit in read_back.audits.values() {
        wrong.append(audit.wrong_letters.clone());
        compared += audit.dead_lettered;
    }
    check(format!(
        "{compared} dead letters against the log, key and value"
    ))
    .unless_wrong(&wrong)
}
