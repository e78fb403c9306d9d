//! The books of one partition: what the broker has, what PostgreSQL counted.

use chassis::kafka::admin::Watermarks;
use schemas::EventType;
use serde::Serialize;

use super::books::{Books, Flux, Place};

/// One line of the table that `verify` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    #[serde(skip)]
    pub place: Place,
    pub topic: &'static str,
    pub partition: i32,
    /// What the broker says: the first offset kept and the next to come.
    pub low: i64,
    pub high: i64,
    /// What PostgreSQL says: where reading began, and the next offset to read.
    pub first: i64,
    pub next: i64,
    pub applied: i64,
    pub rejected: i64,
    pub parked: i64,
    pub dead_lettered: i64,
    pub duplicates: i64,
    /// Offsets without a record.
    pub absent: i64,
    pub in_flight: i64,
    /// Handled, and no longer in the log.
    pub removed: i64,
}

impl Line {
    /// A partition that was never read is all in flight.
    fn new(place: Place, (low, high): (i64, i64), flux: Option<&Flux>) -> Self {
        let unread = Flux {
            first_offset: low,
            next_offset: low,
            ..Flux::default()
        };
        let flux = flux.unwrap_or(&unread);
        Self {
            place,
            topic: place.0.topic(),
            partition: place.1,
            low,
            high,
            first: flux.first_offset,
            next: flux.next_offset,
            applied: flux.applied,
            rejected: flux.rejected,
            parked: flux.parked,
            dead_lettered: flux.dead_lettered,
            duplicates: flux.duplicates,
            absent: flux.absent,
            in_flight: high - flux.next_offset,
            removed: (low - flux.first_offset).max(0),
        }
    }

    pub fn name(&self) -> String {
        format!("{} [{}]", self.topic, self.partition)
    }

    fn counted(&self) -> i64 {
        self.applied
            + self.rejected
            + self.parked
            + self.dead_lettered
            + self.duplicates
            + self.absent
    }

    /// What does not add up.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let name = self.name();
        if self.first > self.low {
            let lost = self.first - self.low;
            problems.push(format!("{name}: {lost} records before the first one read"));
        }
        if self.next < self.low {
            let lost = self.low - self.next;
            problems.push(format!(
                "{name}: retention took {lost} records that were never read"
            ));
        }
        if self.next > self.high {
            problems.push(format!(
                "{name}: read up to {}, but the log ends at {}; it was made anew",
                self.next, self.high
            ));
        }
        if self.next - self.first != self.counted() {
            problems.push(format!(
                "{name}: {} offsets read, {} accounted for",
                self.next - self.first,
                self.counted()
            ));
        }
        problems
    }
}

/// One line per partition that the broker or PostgreSQL knows.
pub fn lines(watermarks: &Watermarks, books: &Books) -> Vec<Line> {
    let mut lines: Vec<Line> = watermarks
        .iter()
        .filter_map(|((topic, partition), range)| {
            let place = (EventType::from_topic(topic)?, *partition);
            Some(Line::new(place, *range, books.flux.get(&place)))
        })
        .collect();
    for (place, flux) in &books.flux {
        if !lines.iter().any(|line| line.place == *place) {
            // An empty log: whatever was read from it is then too much.
            lines.push(Line::new(*place, (0, 0), Some(flux)));
        }
    }
    lines.sort_by_key(|line| line.place);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(low: i64, high: i64, first: i64, next: i64, applied: i64) -> Line {
        let flux = Flux {
            first_offset: first,
            next_offset: next,
            applied,
            ..Flux::default()
        };
        Line::new((EventType::DepotEffectue, 1), (low, high), Some(&flux))
    }

    #[test]
    fn a_partition_adds_up_or_says_why_not() {
        for (line, words) in [
            (line(0, 10, 0, 10, 10), None),
            (line(0, 10, 0, 7, 7), None),
            (line(5, 10, 0, 10, 10), None),
            (
                line(0, 10, 0, 10, 9),
                Some("10 offsets read, 9 accounted for"),
            ),
            (line(0, 10, 2, 10, 8), Some("2 records before the first")),
            (line(8, 10, 0, 7, 7), Some("retention took 1 records")),
            (line(0, 3, 0, 10, 10), Some("made anew")),
        ] {
            let problems = line.problems();
            match words {
                None => assert!(problems.is_empty(), "{problems:?}"),
                Some(words) => assert!(problems[0].contains(words), "{problems:?}"),
            }
        }
        assert_eq!(line(5, 10, 0, 9, 9).removed, 5);
        assert_eq!(line(5, 10, 0, 9, 9).in_flight, 1);
    }

    #[test]
    fn partitions_of_either_side_are_listed() {
        let depot = EventType::DepotEffectue;
        let at = |topic: &str, partition| (topic.to_owned(), partition);
        let watermarks = Watermarks::from([
            (at(depot.topic(), 0), (0, 4)),
            (at("system.dlq", 0), (0, 9)),
        ]);
        let mut books = Books::default();
        let flux = Flux {
            next_offset: 2,
            applied: 2,
            ..Flux::default()
        };
        books.flux.insert((depot, 1), flux);
        let lines = lines(&watermarks, &books);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].in_flight, 4, "never read");
        assert!(lines[1].problems()[0].contains("made anew"));
    }
}
