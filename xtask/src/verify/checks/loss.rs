//! L and R: nothing is lost, and what moves comes to rest.

use schemas::EventType;

use super::{Check, Evidence};
use crate::verify::lines::Line;

pub(super) fn every_offset(evidence: &Evidence) -> Check {
    let sum = |f: fn(&Line) -> i64| evidence.lines.iter().map(f).sum::<i64>();
    let compared = format!(
        "{} records in {} partitions = {} applied + {} rejected + {} parked + {} dead-lettered + {} duplicates + {} absent + {} in flight - {} taken by retention",
        sum(|l| l.high - l.low),
        evidence.lines.len(),
        sum(|l| l.applied),
        sum(|l| l.rejected),
        sum(|l| l.parked),
        sum(|l| l.dead_lettered),
        sum(|l| l.duplicates),
        sum(|l| l.absent),
        sum(|l| l.in_flight),
        sum(|l| l.removed),
    );
    let violations = evidence.lines.iter().flat_map(Line::problems).collect();
    Check::new("L", "every offset is accounted for", compared).unless(violations)
}

pub(super) fn same_cluster(evidence: &Evidence) -> Check {
    let check = |compared| Check::new("L", "the offsets belong to this broker", compared);
    let Some(cluster_id) = &evidence.cluster_id else {
        return check("the cluster's id".into())
            .skipped("the broker does not say its cluster's id");
    };
    let others: Vec<String> = evidence
        .books
        .flux
        .iter()
        .filter(|(_, flux)| flux.cluster_id != *cluster_id)
        .map(|((event_type, partition), flux)| {
            format!(
                "{} [{partition}] was read from {}",
                event_type.topic(),
                flux.cluster_id
            )
        })
        .collect();
    check(format!(
        "cluster {cluster_id}, in {} rows",
        evidence.books.flux.len()
    ))
    .unless(others)
}

pub(super) fn log_read_back(evidence: &Evidence) -> Check {
    let check = |compared| {
        Check::new(
            "L",
            "every record is found again, and says the same",
            compared,
        )
    };
    let read_back = match &evidence.read_back {
        Ok(read_back) => read_back,
        Err(reason) => return check("the logs, read back".into()).skipped(reason),
    };
    let mut wrong = read_back.wrong_repeats.clone();
    let (mut records, mut in_flight, mut repeats) = (0, 0, 0);
    for (place, audit) in &read_back.audits {
        wrong.append(audit.wrong.clone());
        records += audit.handled + audit.in_flight;
        in_flight += audit.in_flight;
        repeats += audit.repeats.len();
        let Some(line) = evidence.lines.iter().find(|line| line.place == *place) else {
            continue;
        };
        // What retention took can be counted no more.
        let whole = line.removed == 0;
        let counts = [
            ("applied", audit.applied, line.applied),
            ("rejected", audit.rejected, line.rejected),
            ("parked", audit.parked, line.parked),
            ("dead-lettered", audit.dead_lettered, line.dead_lettered),
            ("duplicates", audit.repeats.len() as i64, line.duplicates),
            ("absent", line.next - line.low - audit.handled, line.absent),
        ];
        for (what, found, counted) in counts {
            if whole && found != counted {
                wrong.push(format!(
                    "{}: {found} {what} found, {counted} counted",
                    line.name()
                ));
            }
        }
    }
    check(format!(
        "{records} records read back: {repeats} repeat an event, {in_flight} are in flight, each other one against its row, parked event or dead letter"
    ))
    .unless_wrong(&wrong)
}

pub(super) fn acknowledged(evidence: &Evidence) -> Check {
    let mut violations = Vec::new();
    let mut total = 0;
    for (name, count) in &evidence.acknowledged {
        let Some(event_type) = EventType::from_name(name) else {
            continue;
        };
        total += count;
        let ends = evidence.watermarks.iter();
        let produced: i64 = ends
            .filter(|((topic, _), _)| topic == event_type.topic())
            .map(|(_, (_, high))| high)
            .sum();
        if *count > produced {
            violations.push(format!(
                "{name}: {count} acknowledged, {produced} ever in the log"
            ));
        }
    }
    let compared =
        format!("{total} events acknowledged to the last simulation against the logs' ends");
    Check::new("L", "what was acknowledged is in the log", compared).unless(violations)
}

pub(super) fn quiet(evidence: &Evidence) -> Check {
    let quiet = &evidence.quiet;
    let compared = format!(
        "after {:.1} s: {}",
        quiet.waited_ms as f64 / 1000.0,
        quiet.describe()
    );
    let check = Check::new("R", "everything is read and relayed", compared);
    if quiet.is_quiet() {
        return check;
    }
    if quiet.simulation_running {
        return check.skipped("under load: events are still being produced");
    }
    if quiet.in_flight == 0 && quiet.outbox == 0 {
        return check
            .skipped("parked events wait for their account until the parking time is over");
    }
    check.unless(vec![format!(
        "no simulation runs, but {}",
        quiet.describe()
    )])
}
