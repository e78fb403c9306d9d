//! The protocol of stored offsets and outbox, explored to its last state.
//!
//! A model of what [writer](crate::writer), [outbox](crate::outbox) and PostgreSQL do together: two
//! workers that know nothing of each other, any of which may read, commit, lose the answer to its
//! COMMIT, relay or die at any moment. Every order of these is tried. In each state that can be
//! reached, no event had an effect twice and none is lost; and from each, everything can still be
//! done. The same model with a step left out or moved fails, or it would prove nothing.

use std::collections::{HashMap, HashSet, VecDeque};

/// Transfers in the log at the beginning; each has a credit of its own.
const TRANSFERS: u8 = 2;
const WORKERS: usize = 2;
/// How often anybody may die. Each death can leave one more copy of a credit in the log.
const DEATHS: u8 = 2;

/// What is left out or moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    None,
    /// A commit does not look at the stored offset.
    NoCompareAndSet,
    /// The stored offset moves in a transaction of its own, first.
    OffsetsFirst,
    /// An event id is not looked up.
    NoDedupe,
    /// The outbox row goes before the record is in the log.
    DeleteFirst,
    /// The credit is published beside the transaction instead of through the outbox.
    NoOutbox,
}

/// A record of the one log that there is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Record {
    Transfer(u8),
    Credit(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Batch {
    None,
    /// Read, not committed.
    Has(u8, u8),
    /// Committed, perhaps: nobody answered.
    Doubt(u8, u8),
    /// Only with [`Defect::OffsetsFirst`]: the offset is stored, the rows are not.
    Moved(u8, u8),
    /// Only with [`Defect::NoOutbox`]: committed, and to be published.
    Owes(u8, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Relay {
    Idle,
    /// Holds the lock, and this many of the oldest rows.
    Read(u8),
    Published(u8),
    /// Only with [`Defect::DeleteFirst`]: the row is gone, the record not there yet.
    Deleted(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Worker {
    batch: Batch,
    relay: Relay,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    log: Vec<Record>,
    /// The stored offset.
    next: u8,
    /// What the counters beside it say was handled.
    counted: u8,
    /// How often each record had its effect: transfers, then credits.
    effects: [u8; 2 * TRANSFERS as usize],
    outbox: Vec<u8>,
    workers: [Worker; WORKERS],
    deaths: u8,
}

impl State {
    fn first() -> Self {
        let idle = Worker {
            batch: Batch::None,
            relay: Relay::Idle,
        };
        Self {
            log: (0..TRANSFERS).map(Record::Transfer).collect(),
            next: 0,
            counted: 0,
            effects: [0; 2 * TRANSFERS as usize],
            outbox: Vec::new(),
            workers: [idle; WORKERS],
            deaths: DEATHS,
        }
    }

    fn effect(&mut self, record: Record) -> &mut u8 {
        match record {
            Record::Transfer(n) => &mut self.effects[n as usize],
            Record::Credit(n) => &mut self.effects[(TRANSFERS + n) as usize],
        }
    }

    fn store(&mut self, (from, to): (u8, u8), defect: Defect) {
        for at in from..to {
            let record = self.log[at as usize];
            let effect = self.effect(record);
            if *effect > 0 && defect != Defect::NoDedupe {
                continue;
            }
            *effect += 1;
            if let (Record::Transfer(n), true) = (record, defect != Defect::NoOutbox) {
                self.outbox.push(n);
            }
        }
    }

    /// The transaction of a batch; false when it is turned away.
    fn commit(&mut self, (from, to): (u8, u8), defect: Defect) -> bool {
        if self.next != from && defect != Defect::NoCompareAndSet {
            return false;
        }
        self.next = to;
        self.counted += to - from;
        self.store((from, to), defect);
        true
    }

    fn relay_is_locked(&self) -> bool {
        self.workers
            .iter()
            .any(|worker| matches!(worker.relay, Relay::Read(_) | Relay::Published(_)))
    }

    fn successors(&self, defect: Defect) -> Vec<State> {
        let mut all = Vec::new();
        for w in 0..WORKERS {
            self.batch_steps(w, defect, &mut all);
            self.relay_steps(w, defect, &mut all);
            let worker = self.workers[w];
            let works = worker.batch != Batch::None || worker.relay != Relay::Idle;
            if self.deaths > 0 && works {
                let mut next = self.clone();
                next.deaths -= 1;
                next.workers[w] = Worker {
                    batch: Batch::None,
                    relay: Relay::Idle,
                };
                all.push(next);
            }
        }
        all
    }

    fn batch_steps(&self, w: usize, defect: Defect, all: &mut Vec<State>) {
        let with = |change: &dyn Fn(&mut State)| {
            let mut next = self.clone();
            change(&mut next);
            next
        };
        match self.workers[w].batch {
            Batch::None => {
                for to in self.next + 1..=self.log.len() as u8 {
                    let batch = Batch::Has(self.next, to);
                    all.push(with(&|s| s.workers[w].batch = batch));
                }
            }
            Batch::Has(from, to) if defect == Defect::OffsetsFirst => {
                all.push(with(&|s| {
                    s.workers[w].batch = Batch::None;
                    if s.next == from {
                        s.next = to;
                        s.counted += to - from;
                        s.workers[w].batch = Batch::Moved(from, to);
                    }
                }));
            }
            Batch::Has(from, to) => {
                // Answered, and with the answer lost.
                for after in [Batch::None, Batch::Doubt(from, to)] {
                    all.push(with(&|s| {
                        let stored = s.commit((from, to), defect);
                        s.workers[w].batch = match (stored, after) {
                            (true, Batch::None) if defect == Defect::NoOutbox => {
                                Batch::Owes(from, to)
                            }
                            (true, after) => after,
                            (false, _) => Batch::None,
                        };
                    }));
                }
            }
            Batch::Doubt(from, to) => all.push(with(&|s| {
                s.workers[w].batch = if s.next == from {
                    Batch::Has(from, to)
                } else {
                    Batch::None
                };
            })),
            Batch::Moved(from, to) => all.push(with(&|s| {
                s.store((from, to), defect);
                s.workers[w].batch = Batch::None;
            })),
            Batch::Owes(from, to) => all.push(with(&|s| {
                for at in from..to {
                    if let Record::Transfer(n) = s.log[at as usize] {
                        s.log.push(Record::Credit(n));
                    }
                }
                s.workers[w].batch = Batch::None;
            })),
        }
    }

    fn relay_steps(&self, w: usize, defect: Defect, all: &mut Vec<State>) {
        let mut next = self.clone();
        match self.workers[w].relay {
            Relay::Idle if self.outbox.is_empty() || self.relay_is_locked() => return,
            Relay::Idle if defect == Defect::DeleteFirst => {
                next.workers[w].relay = Relay::Deleted(next.outbox.remove(0));
            }
            Relay::Idle => next.workers[w].relay = Relay::Read(self.outbox.len() as u8),
            Relay::Read(count) => {
                let rows = self.outbox[..count as usize].iter();
                next.log.extend(rows.map(|n| Record::Credit(*n)));
                next.workers[w].relay = Relay::Published(count);
            }
            Relay::Published(count) => {
                next.outbox.drain(..count as usize);
                next.workers[w].relay = Relay::Idle;
            }
            Relay::Deleted(n) => {
                next.log.push(Record::Credit(n));
                next.workers[w].relay = Relay::Idle;
            }
        }
        all.push(next);
    }

    /// What must hold in every state.
    fn problem(&self) -> Option<&'static str> {
        if self.effects.iter().any(|effects| *effects > 1) {
            return Some("an event had an effect twice");
        }
        if self.counted != self.next {
            return Some("the books do not add up");
        }
        let mut copy = self.clone();
        for at in 0..self.next {
            if *copy.effect(self.log[at as usize]) == 0 {
                return Some("a record was read and had no effect");
            }
        }
        for n in 0..TRANSFERS {
            let is_debited = *copy.effect(Record::Transfer(n)) > 0;
            let is_on_its_way = self.outbox.contains(&n) || self.log.contains(&Record::Credit(n));
            if is_debited && !is_on_its_way {
                return Some("money left an account and is on its way to none");
            }
        }
        None
    }

    fn is_done(&self) -> bool {
        self.effects == [1; 2 * TRANSFERS as usize] && self.outbox.is_empty()
    }
}

/// Every state that can be reached; what is wrong in one of them, or that one leads nowhere.
fn explore(defect: Defect) -> Result<usize, &'static str> {
    let mut numbers = HashMap::from([(State::first(), 0_usize)]);
    let mut before: Vec<Vec<usize>> = vec![Vec::new()];
    let mut done = Vec::new();
    let mut queue = VecDeque::from([State::first()]);
    while let Some(state) = queue.pop_front() {
        let number = numbers[&state];
        if let Some(problem) = state.problem() {
            return Err(problem);
        }
        if state.is_done() {
            done.push(number);
        }
        for next in state.successors(defect) {
            let count = numbers.len();
            let known = *numbers.entry(next.clone()).or_insert_with(|| {
                before.push(Vec::new());
                queue.push_back(next);
                count
            });
            before[known].push(number);
        }
    }
    // Backwards from where everything is done: whoever is not met is stuck.
    let mut reaches: HashSet<usize> = done.iter().copied().collect();
    let mut open = done;
    while let Some(number) = open.pop() {
        for earlier in &before[number] {
            if reaches.insert(*earlier) {
                open.push(*earlier);
            }
        }
    }
    if reaches.len() < numbers.len() {
        return Err("a state from which not everything can be done any more");
    }
    Ok(numbers.len())
}

#[test]
fn nothing_is_lost_or_doubled_in_any_order_of_reading_committing_relaying_and_dying() {
    let states = explore(Defect::None).unwrap();
    assert!(states > 10_000, "{states} states are too few to mean much");
}

#[test]
fn each_safeguard_is_needed() {
    for (defect, found) in [
        (Defect::NoCompareAndSet, "the books do not add up"),
        (Defect::OffsetsFirst, "a record was read and had no effect"),
        (Defect::NoDedupe, "an event had an effect twice"),
        (
            Defect::DeleteFirst,
            "money left an account and is on its way to none",
        ),
        (
            Defect::NoOutbox,
            "money left an account and is on its way to none",
        ),
    ] {
        assert_eq!(explore(defect), Err(found), "{defect:?}");
    }
}
