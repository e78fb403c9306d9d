//! Sees events become visible in PostgreSQL, as anybody who asks it would.
//!
//! bancaire stores the next offset of each partition in the same transaction as the rows of the
//! events before it. So whoever reads that offset after a commit knows that those events are
//! there. It is asked about once a millisecond, and the moment of its answer counts: what is
//! measured is at most that much too long, and never too short.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::PostgresConfig;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(1);

/// Asks on a connection of its own.
pub struct Watch {
    pool: PgPool,
}

/// Per partition: an offset below which everything is visible, and since when that is known.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    steps: BTreeMap<i32, Vec<(i64, Instant)>>,
}

impl Seen {
    fn note(&mut self, partition: i32, next: i64, at: Instant) -> bool {
        let steps = self.steps.entry(partition).or_default();
        let news = steps.last().is_none_or(|(known, _)| next > *known);
        if news {
            steps.push((next, at));
        }
        news
    }

    /// When the record at `offset` was first known to be there.
    pub fn visible(&self, partition: i32, offset: i64) -> Option<Instant> {
        let steps = self.steps.get(&partition)?;
        let first = steps.partition_point(|(next, _)| *next <= offset);
        steps.get(first).map(|(_, at)| *at)
    }

    fn reaches(&self, ends: &BTreeMap<i32, i64>) -> bool {
        ends.iter()
            .all(|(partition, last)| self.visible(*partition, *last).is_some())
    }
}

/// A watch that goes on.
pub struct Watching {
    task: JoinHandle<anyhow::Result<Seen>>,
    /// Counts what was news, and tells which offsets are enough.
    progress: watch::Receiver<u64>,
    enough: watch::Sender<Option<BTreeMap<i32, i64>>>,
    abandoned: Arc<AtomicBool>,
}

impl Watch {
    /// # Errors
    /// When the configuration cannot work.
    pub fn new(postgres: &PostgresConfig) -> anyhow::Result<Self> {
        let one = PostgresConfig {
            max_connections: 1,
            ..postgres.clone()
        };
        let pool = chassis::postgres::connect(&one)?;
        Ok(Self { pool })
    }

    /// Begins to watch a topic's offsets; returns after the first answer.
    ///
    /// # Errors
    /// When PostgreSQL does not answer.
    pub async fn start(&mut self, topic: &'static str) -> anyhow::Result<Watching> {
        let mut conn = self.pool.acquire().await.context("no connection")?;
        let (news, progress) = watch::channel(0_u64);
        let (enough, wanted) = watch::channel(None::<BTreeMap<i32, i64>>);
        let abandoned = Arc::new(AtomicBool::new(false));
        let given_up = abandoned.clone();
        let ask = "SELECT partition, next_offset FROM bancaire.flux WHERE topic = $1";
        let task = tokio::spawn(async move {
            let mut seen = Seen::default();
            loop {
                let rows: Vec<(i32, i64)> = sqlx::query_as(ask)
                    .bind(topic)
                    .fetch_all(&mut *conn)
                    .await
                    .context("failed to ask how far bancaire is")?;
                let at = Instant::now();
                let mut any = false;
                for (partition, next) in rows {
                    any |= seen.note(partition, next, at);
                }
                if any {
                    news.send_modify(|count| *count += 1);
                }
                let done = wanted.borrow().as_ref().is_some_and(|e| seen.reaches(e));
                if done || given_up.load(Ordering::Relaxed) {
                    return Ok(seen);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Ok(Watching {
            task,
            progress,
            enough,
            abandoned,
        })
    }
}

impl Watching {
    /// Goes on until the last record of each partition is visible.
    ///
    /// # Errors
    /// When nothing new is seen for `patience`, or PostgreSQL does not answer.
    pub async fn until(
        mut self,
        ends: &BTreeMap<i32, i64>,
        patience: Duration,
    ) -> anyhow::Result<Seen> {
        self.enough.send_replace(Some(ends.clone()));
        loop {
            tokio::select! {
                seen = &mut self.task => return seen.context("the watch panicked")?,
                changed = tokio::time::timeout(patience, self.progress.changed()) => {
                    if changed.is_err() {
                        self.abandon();
                        anyhow::bail!("bancaire has committed nothing for {} s", patience.as_secs());
                    }
                    // The task has ended: its own result says how.
                    if matches!(changed, Ok(Err(_))) {
                        return self.task.await.context("the watch panicked")?;
                    }
                }
            }
        }
    }

    /// Ends it; nobody wants to know any more.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_visible_from_the_first_answer_beyond_it() {
        let mut seen = Seen::default();
        let begin = Instant::now();
        let at = |ms| begin + Duration::from_millis(ms);
        assert!(seen.note(0, 5, at(0)));
        assert!(!seen.note(0, 5, at(1)), "no news");
        assert!(seen.note(0, 9, at(2)));
        assert_eq!(seen.visible(0, 4), Some(at(0)));
        assert_eq!(seen.visible(0, 5), Some(at(2)));
        assert_eq!(seen.visible(0, 8), Some(at(2)));
        assert_eq!(seen.visible(0, 9), None);
        assert_eq!(
            seen.visible(1, 0),
            None,
            "a partition that nothing is known of"
        );
        assert!(seen.reaches(&BTreeMap::from([(0, 8)])));
        assert!(!seen.reaches(&BTreeMap::from([(0, 8), (1, 0)])));
    }
}
