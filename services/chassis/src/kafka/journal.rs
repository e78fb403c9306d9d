//! What a producer handed over and what became of it, written down as it happens.
//!
//! A file of JSON lines, one when a record is handed over and one when the broker has answered for
//! it. A line is written before the record is, so that a producer that is killed leaves behind what
//! may be in the log: such a record has no answer, and is neither acknowledged nor failed. Verdicts
//! compare the journal with the logs and with PostgreSQL; nothing else reads it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Delivered, ProduceError};

/// What a record was meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An event that was never published before.
    Event,
    /// An event that was.
    Duplicate,
    /// Something that nobody can read.
    Poison,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The broker says where it is.
    Acked(Delivered),
    /// The broker refused it, or did not answer in time: then it may be in the log.
    Failed,
    /// The producer ended before the broker had answered: it may be in the log.
    Unknown,
}

/// One record of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub topic: String,
    /// Of what can be read.
    pub event_id: Option<String>,
    pub fate: Fate,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum Line {
    Sent {
        run: u64,
        n: u64,
        kind: Kind,
        topic: String,
        event_id: Option<String>,
    },
    Acked {
        run: u64,
        n: u64,
        partition: i32,
        offset: i64,
    },
    Failed {
        run: u64,
        n: u64,
    },
    /// There was no room: it was never handed over.
    Withdrawn {
        run: u64,
        n: u64,
    },
}

/// Writes one; clones write the same.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    file: Mutex<File>,
    /// Tells the runs of a producer apart that write into one file.
    run: u64,
    next: AtomicU64,
}

/// A record that was handed over and waits for its answer.
pub struct Ticket {
    journal: Journal,
    n: u64,
}

impl Journal {
    /// Appends to the file, which is made when it is not there.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("failed to open {}", path.display()))?;
        Ok(Self(Arc::new(Inner {
            file: Mutex::new(file),
            run: uuid::Uuid::new_v4().as_u64_pair().0,
            next: AtomicU64::new(0),
        })))
    }

    /// Notes a record that is about to be handed over.
    pub fn sent(&self, kind: Kind, topic: &str, event_id: Option<&str>) -> Ticket {
        let n = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.write(&Line::Sent {
            run: self.0.run,
            n,
            kind,
            topic: topic.to_owned(),
            event_id: event_id.map(str::to_owned),
        });
        Ticket {
            journal: self.clone(),
            n,
        }
    }

    fn write(&self, line: &Line) {
        let mut text = serde_json::to_vec(line).expect("a line of the journal is serialisable");
        text.push(b'\n');
        let mut file = self
            .0
            .file
            .lock()
            .expect("nothing panics while it holds this lock");
        // Not buffered: whoever kills this process must find what it had handed over.
        if let Err(e) = file.write_all(&text) {
            tracing::error!(error = %e, "Failed to write the journal");
        }
    }
}

impl Ticket {
    /// Notes the broker's answer.
    pub fn answered(self, outcome: &Result<Delivered, ProduceError>) {
        let (run, n) = (self.journal.0.run, self.n);
        self.journal.write(&match outcome {
            Ok(at) => Line::Acked {
                run,
                n,
                partition: at.partition,
                offset: at.offset,
            },
            Err(_) => Line::Failed { run, n },
        });
    }

    /// Notes that it was not handed over after all.
    pub fn withdrawn(self) {
        let (run, n) = (self.journal.0.run, self.n);
        self.journal.write(&Line::Withdrawn { run, n });
    }
}

/// Reads a journal from the byte `from` on. A last line that is not whole is not read: whoever wrote
/// it was killed before it handed the record over.
///
/// # Errors
/// When the file cannot be read, or a line in it is none of a journal.
pub fn read(path: &Path, from: u64) -> anyhow::Result<Vec<Entry>> {
    let failed = || format!("failed to read {}", path.display());
    let bytes = std::fs::read(path).with_context(failed)?;
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let mut entries: Vec<Option<Entry>> = Vec::new();
    let mut places = HashMap::new();
    for (number, line) in bytes[from.min(whole)..whole]
        .split(|b| *b == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let wrong = || format!("{}, line {}", failed(), number + 1);
        let (key, fate) = match serde_json::from_slice(line).with_context(wrong)? {
            Line::Sent {
                run,
                n,
                kind,
                topic,
                event_id,
            } => {
                places.insert((run, n), entries.len());
                entries.push(Some(Entry {
                    kind,
                    topic,
                    event_id,
                    fate: Fate::Unknown,
                }));
                continue;
            }
            Line::Acked {
                run,
                n,
                partition,
                offset,
            } => ((run, n), Some(Fate::Acked(Delivered { partition, offset }))),
            Line::Failed { run, n } => ((run, n), Some(Fate::Failed)),
            Line::Withdrawn { run, n } => ((run, n), None),
        };
        // An answer to what was sent before `from` is of no interest.
        if let Some(place) = places.get(&key) {
            entries[*place] = fate.and_then(|fate| {
                let entry = entries[*place].take()?;
                Some(Entry { fate, ..entry })
            });
        }
    }
    Ok(entries.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_has_the_fate_that_it_met() {
        let path = std::env::temp_dir().join(format!("journal-{}", uuid::Uuid::new_v4()));
        let at = Delivered {
            partition: 2,
            offset: 7,
        };
        let journal = Journal::open(&path).unwrap();
        journal
            .sent(Kind::Event, "t", Some("before"))
            .answered(&Ok(at));
        let from = std::fs::metadata(&path).unwrap().len();
        let acked = journal.sent(Kind::Event, "t", Some("a"));
        let failed = journal.sent(Kind::Poison, "t", None);
        journal.sent(Kind::Event, "t", Some("never")).withdrawn();
        // Another run of the same producer counts from 0 again.
        let again = Journal::open(&path).unwrap();
        let _unanswered = again.sent(Kind::Duplicate, "u", Some("a"));
        failed.answered(&Err(ProduceError::Unknown));
        acked.answered(&Ok(at));
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"{\"what\":\"se")
            .unwrap();
        let entries = read(&path, from).unwrap();
        std::fs::remove_file(&path).unwrap();
        let fates: Vec<_> = entries.iter().map(|e| (e.kind, e.fate)).collect();
        assert_eq!(
            fates,
            [
                (Kind::Event, Fate::Acked(at)),
                (Kind::Poison, Fate::Failed),
                (Kind::Duplicate, Fate::Unknown),
            ]
        );
        assert_eq!(entries[2].topic, "u");
    }
}
