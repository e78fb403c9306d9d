//! Where reading begins: the broker says where the logs begin and end, PostgreSQL how far they were
//! read before, and only then the partitions are read.

use std::time::Instant;

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use tokio::sync::oneshot;

use super::{BROKER_TIMEOUT, Phase, Poller, list};
use crate::broker;
use crate::health::Dependency;
use crate::store::flux::Position;
use crate::writer::{PositionsRequest, Work};

impl Poller {
    /// Brings the phase forward as far as that is possible without waiting.
    pub(super) fn advance(&mut self) {
        match &mut self.phase {
            Phase::Locating(at) if *at <= Instant::now() => self.locate(),
            Phase::Asking(request, answer) => {
                if self.source.work[0].is_free()
                    && let Some(waiting) = request.take()
                {
                    self.source.work[0].offer(|| Work::Positions(waiting));
                }
                match answer.try_recv() {
                    Ok(Ok(positions)) => self.begin(&positions),
                    Ok(Err(mismatch)) => self.stop(mismatch),
                    Err(oneshot::error::TryRecvError::Empty) => {}
                    Err(oneshot::error::TryRecvError::Closed) => self.retry_locating(),
                }
            }
            Phase::Running if self.unreadable.ask_at <= Instant::now() => self.ask_registry(),
            _ => {}
        }
    }

    fn locate(&mut self) {
        let consumer = &self.source.consumer;
        let located = broker::cluster_id(consumer, BROKER_TIMEOUT).and_then(|cluster_id| {
            let windows = broker::windows(consumer, &self.assigned, BROKER_TIMEOUT)?;
            Ok((cluster_id, windows))
        });
        match located {
            Ok((cluster_id, windows)) => {
                self.health().up(Dependency::Kafka);
                let (reply, answer) = oneshot::channel();
                let request = PositionsRequest {
                    cluster_id,
                    windows,
                    reply,
                };
                self.phase = Phase::Asking(Some(request), answer);
            }
            Err(e) => {
                self.health().down(Dependency::Kafka, format_args!("{e:#}"));
                self.retry_locating();
            }
        }
    }

    pub(super) fn retry_locating(&mut self) {
        self.phase = Phase::Locating(Instant::now() + self.backoff.next_delay());
    }

    /// Begins to read where PostgreSQL says.
    fn begin(&mut self, positions: &[Position]) {
        let key = |position: &Position| (position.topic, position.partition);
        self.positions = positions.iter().map(|p| (key(p), p.offset)).collect();
        self.source.shared.note_committed(
            self.generation,
            positions.iter().map(|p| (key(p), p.offset)),
        );
        self.read_from_positions();
    }

    pub(super) fn read_from_positions(&mut self) {
        let list = list(
            self.positions
                .iter()
                .map(|(key, offset)| (*key, Offset::Offset(*offset))),
        );
        let consumer = &self.source.consumer;
        match consumer.assign(&list).and_then(|()| consumer.resume(&list)) {
            Ok(()) => {
                self.paused = false;
                self.phase = Phase::Running;
                self.health().set_consuming(true);
            }
            Err(e) => {
                tracing::warn!(error = %e, "Failed to begin reading, trying again");
                self.retry_locating();
            }
        }
    }

    pub(super) fn stop(&mut self, why: impl std::fmt::Display) {
        self.health().stop(why);
        self.source.consumer.unsubscribe();
        self.forget_positions();
        self.phase = Phase::Stopped;
    }
}
