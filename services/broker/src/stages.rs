//! What each partition holds, known without asking the file: from where to where.
//!
//! A waiting fetch looks here whenever something changed, and most looks find nothing new; asking
//! the file for each of a consumer's partitions each time would keep a core busy with an idle lab.
//! It is exact because this process alone writes the file, and tells every change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use nisshi_storage::{OffsetStage, TopicId, Topition};
use tokio::sync::watch;

/// A topic as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub name: String,
    /// Numbered from 0.
    pub partitions: i32,
}

#[derive(Debug)]
pub struct Stages {
    known: Mutex<Known>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Known {
    /// Moves on when topics come and go, so that nothing read before is remembered after.
    generation: u64,
    stages: HashMap<Topition, OffsetStage>,
    topics: HashMap<TopicId, Topic>,
}

/// Taken before the file is read; what was read is remembered only if it still holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation(u64);

impl Stages {
    pub fn new() -> Self {
        Self {
            known: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Wakes with every change from now on.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn generation(&self) -> Generation {
        Generation(self.known().generation)
    }

    pub fn get(&self, topition: &Topition) -> Option<OffsetStage> {
        self.known().stages.get(topition).copied()
    }

    pub fn topic(&self, id: &TopicId) -> Option<Topic> {
        self.known().topics.get(id).cloned()
    }

    /// Remembers what the file said of a partition. Two readings of the same generation may come
    /// in the wrong order; offsets only grow, so the larger is the later. False when topics have
    /// come or gone since, and the file has to be asked again.
    pub fn put(&self, since: Generation, topition: &Topition, read: OffsetStage) -> bool {
        let mut known = self.known();
        if known.generation != since.0 {
            return false;
        }
        let news = match known.stages.get_mut(topition) {
            Some(stage) => {
                let before = *stage;
                stage.log_start = stage.log_start.max(read.log_start);
                stage.high_watermark = stage.high_watermark.max(read.high_watermark);
                stage.last_stable = stage.last_stable.max(read.last_stable);
                *stage != before
            }
            None => known.stages.insert(topition.clone(), read).is_none(),
        };
        drop(known);
        if news {
            self.changed.send_replace(());
        }
        true
    }

    pub fn put_topic(&self, since: Generation, id: TopicId, topic: Topic) {
        let mut known = self.known();
        if known.generation == since.0 {
            known.topics.insert(id, topic);
        }
    }

    /// Forgets one partition, when the file could not be asked.
    pub fn forget(&self, topition: &Topition) {
        self.known().stages.remove(topition);
        self.changed.send_replace(());
    }

    /// Forgets everything: topics have come or gone.
    pub fn clear(&self) {
        let mut known = self.known();
        known.generation += 1;
        known.stages.clear();
        known.topics.clear();
        drop(known);
        self.changed.send_replace(());
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(end: i64) -> OffsetStage {
        OffsetStage {
            log_start: 0,
            high_watermark: end,
            last_stable: end,
        }
    }

    #[test]
    fn readings_in_the_wrong_order_do_no_harm() {
        let stages = Stages::new();
        let topition = Topition::new("t", 0);
        let mut changes = stages.changes();
        let now = stages.generation();
        assert!(stages.put(now, &topition, stage(8)));
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(stages.put(now, &topition, stage(7)));
        assert!(
            !changes.has_changed().unwrap(),
            "nothing new, nobody is woken"
        );
        assert_eq!(stages.get(&topition), Some(stage(8)));
    }

    #[test]
    fn nothing_is_remembered_across_a_topics_end() {
        let stages = Stages::new();
        let topition = Topition::new("t", 0);
        let before = stages.generation();
        assert!(stages.put(before, &topition, stage(1000)));
        stages.clear();
        assert!(!stages.put(before, &topition, stage(1000)));
        stages.put_topic(
            before,
            TopicId::from("t"),
            Topic {
                name: "t".into(),
                partitions: 3,
            },
        );
        assert_eq!(
            (stages.get(&topition), stages.topic(&TopicId::from("t"))),
            (None, None)
        );
        assert!(stages.put(stages.generation(), &topition, stage(0)));
        assert_eq!(stages.get(&topition), Some(stage(0)));
    }
}
