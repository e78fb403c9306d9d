//! From the consumer to a writer: work goes to a writer that has none, and to no other.
//!
//! A queue with room for one would hold the first record that comes while the writer is busy, by itself,
//! and every second transaction would be a small one.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::writer::Work;

/// The consumer's end.
#[derive(Clone)]
pub struct Handoff {
    work: mpsc::Sender<(Work, OwnedSemaphorePermit)>,
    free: Arc<Semaphore>,
}

/// The writer's end: it is free again when the permit is dropped.
pub type Handed = mpsc::Receiver<(Work, OwnedSemaphorePermit)>;

impl Handoff {
    pub fn new() -> (Self, Handed) {
        let (work, handed) = mpsc::channel(1);
        let free = Arc::new(Semaphore::new(1));
        (Self { work, free }, handed)
    }

    pub fn is_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// Waits until the writer is free.
    pub async fn until_free(&self) {
        // An error would mean that somebody closed it, which nobody does.
        let _ = self.free.acquire().await;
    }

    /// Gives what `work` makes, if the writer is free; tells whether it was.
    pub fn offer(&self, work: impl FnOnce() -> Work) -> bool {
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            return false;
        };
        // Refused only by a writer that has ended, and then the service ends as well.
        self.work.try_send((work(), permit)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::writer::PositionsRequest;

    fn work() -> Work {
        Work::Positions(PositionsRequest {
            cluster_id: String::new(),
            windows: Vec::new(),
            reply: oneshot::channel().0,
        })
    }

    #[tokio::test]
    async fn nothing_is_given_to_a_writer_before_it_is_done() {
        let (handoff, mut handed) = Handoff::new();
        assert!(handoff.is_free());
        assert!(handoff.offer(work));
        let (_, permit) = handed.recv().await.unwrap();
        assert!(!handoff.is_free(), "taken, but not done");
        assert!(!handoff.offer(|| unreachable!("it is not even made")));
        tokio::join!(handoff.until_free(), async { drop(permit) });
        assert!(handoff.offer(work), "done");
    }

    #[tokio::test]
    async fn a_writer_that_has_ended_takes_nothing() {
        let (handoff, handed) = Handoff::new();
        drop(handed);
        assert!(!handoff.offer(work));
    }
}
