//! A fetch with nothing to read waits for a produce, not for time to pass.
//!
//! nisshi's own fetch sleeps for half of the client's patience and asks the file again. Here a
//! fetch first looks at what is known of its partitions; while all of them are read to their end
//! it sleeps until something is written. Then it reads only the partitions that have something,
//! through nisshi's service, and answers for the others from what is known.

use std::time::Duration;

use nisshi_sans_io::fetch_request::FetchTopic;
use nisshi_sans_io::fetch_response::{FetchableTopicResponse, PartitionData};
use nisshi_sans_io::{ErrorCode, FetchRequest, FetchResponse, IsolationLevel, RequestInput};
use nisshi_storage::{
    Error, FetchService, FetchValidationLayer, FetchValidationService, OffsetStage, Storage,
    TopicId, Topition,
};
use rama::{Layer, Service};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::store::Store;

/// How long one read may gather records. The file answers at once; this bounds a large backlog.
const READ_BUDGET_MS: i32 = 250;

#[derive(Debug, Clone)]
pub struct WakingFetch {
    store: Store,
    reader: FetchValidationService<FetchService<Store>>,
    /// Waiting ends when the broker does.
    stop: CancellationToken,
}

/// What is known of one requested partition before anything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Read to its end.
    Nothing(OffsetStage),
    Records,
    /// The offset is before the first record kept, or after the next to come.
    OutOfRange,
    Unknown,
}

impl WakingFetch {
    pub fn new(store: Store, stop: CancellationToken) -> Self {
        let reader = FetchValidationLayer::new().layer(FetchService {
            storage: store.clone(),
        });
        Self {
            store,
            reader,
            stop,
        }
    }

    async fn look(&self, request: &FetchRequest) -> Result<Vec<Vec<Seen>>, Error> {
        let committed = request.isolation_level == Some(i8::from(IsolationLevel::ReadCommitted));
        let mut seen = Vec::new();
        for topic in request.topics.as_deref().unwrap_or_default() {
            let known = self.store.topic(&TopicId::from(topic)).await?;
            let mut partitions = Vec::new();
            for asked in topic.partitions.as_deref().unwrap_or_default() {
                let known = known
                    .as_ref()
                    .filter(|known| (0..known.partitions).contains(&asked.partition));
                partitions.push(match known {
                    None => Seen::Unknown,
                    Some(known) => {
                        let topition = Topition::new(known.name.as_str(), asked.partition);
                        let stage = self.store.offset_stage(&topition).await?;
                        see(asked.fetch_offset, stage, committed)
                    }
                });
            }
            seen.push(partitions);
        }
        Ok(seen)
    }

    /// Reads what has records and answers for every partition, in the order of the request.
    async fn answer(
        &self,
        request: &FetchRequest,
        seen: &[Vec<Seen>],
    ) -> Result<FetchResponse, Error> {
        let topics = request.topics.as_deref().unwrap_or_default();
        let read = self.read(request, topics, seen).await?;
        let mut read = read.into_iter();
        let responses = topics.iter().zip(seen).map(|(topic, seen)| {
            let asked = topic.partitions.as_deref().unwrap_or_default();
            let partitions = asked.iter().zip(seen).map(|(asked, seen)| match seen {
                Seen::Records => {
                    let error = ErrorCode::UnknownServerError;
                    let missing = || without_records(asked.partition, error, None);
                    read.next().unwrap_or_else(missing)
                }
                Seen::Nothing(stage) => {
                    without_records(asked.partition, ErrorCode::None, Some(*stage))
                }
                Seen::OutOfRange => {
                    without_records(asked.partition, ErrorCode::OffsetOutOfRange, None)
                }
                Seen::Unknown => without_records(asked.partition, unknown(topic), None),
            });
            FetchableTopicResponse::default()
                .topic(topic.topic.clone())
                .topic_id(topic.topic_id)
                .partitions(Some(partitions.collect()))
        });
        Ok(FetchResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(Some(ErrorCode::None.into()))
            .session_id(Some(0))
            .node_endpoints(Some([].into()))
            .responses(Some(responses.collect())))
    }

    /// The partitions that have records, in order.
    async fn read(
        &self,
        request: &FetchRequest,
        topics: &[FetchTopic],
        seen: &[Vec<Seen>],
    ) -> Result<Vec<PartitionData>, Error> {
        let mut wanted = Vec::new();
        for (topic, seen) in topics.iter().zip(seen) {
            let asked = topic.partitions.as_deref().unwrap_or_default();
            let partitions: Vec<_> = asked
                .iter()
                .zip(seen)
                .filter(|(_, seen)| **seen == Seen::Records)
                .map(|(asked, _)| asked.clone())
                .collect();
            if !partitions.is_empty() {
                wanted.push(topic.clone().partitions(Some(partitions)));
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let request = request
            .clone()
            .topics(Some(wanted))
            .max_wait_ms(READ_BUDGET_MS)
            .min_bytes(0);
        let response = self.reader.serve(request).await?;
        let topics = response.responses.unwrap_or_default();
        Ok(topics
            .into_iter()
            .flat_map(|topic| topic.partitions.unwrap_or_default())
            .collect())
    }
}

impl Service<RequestInput<FetchRequest>> for WakingFetch {
    type Output = FetchResponse;
    type Error = Error;

    async fn serve(&self, input: RequestInput<FetchRequest>) -> Result<FetchResponse, Error> {
        let request = input.request;
        let patience = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let deadline = Instant::now() + patience;
        let enough = u64::try_from(request.min_bytes).unwrap_or(0);
        let mut changes = self.store.changes();
        loop {
            changes.mark_unchanged();
            let seen = self.look(&request).await?;
            let over = Instant::now() >= deadline || self.stop.is_cancelled();
            if over || ends_waiting(&seen, enough) {
                let response = self.answer(&request, &seen).await?;
                let over = Instant::now() >= deadline || self.stop.is_cancelled();
                if over || enough == 0 || has_error(&response) || bytes(&response) >= enough {
                    return Ok(response);
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    // The store is as old as this service; without it there is nothing to wait for.
                    return self.answer(&request, &seen).await;
                },
                () = sleep_until(deadline) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }
}

/// `committed` readers go no further than the last stable offset.
fn see(offset: i64, stage: OffsetStage, committed: bool) -> Seen {
    let end = if committed {
        stage.last_stable
    } else {
        stage.high_watermark
    };
    if offset < stage.log_start || offset > stage.high_watermark {
        Seen::OutOfRange
    } else if offset < end {
        Seen::Records
    } else {
        Seen::Nothing(stage)
    }
}

/// True when there is something to answer before the client's patience ends: records, an offset
/// that is out of range, or nothing but partitions that do not exist. As in Kafka, one unknown
/// partition among others does not make a fetch hurry.
fn ends_waiting(seen: &[Vec<Seen>], enough: u64) -> bool {
    let all = || seen.iter().flatten();
    enough == 0
        || all().any(|seen| matches!(seen, Seen::Records | Seen::OutOfRange))
        || (all().count() > 0 && all().all(|seen| *seen == Seen::Unknown))
}

fn unknown(topic: &FetchTopic) -> ErrorCode {
    if topic.topic.is_some() {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::UnknownTopicId
    }
}

fn without_records(partition: i32, error: ErrorCode, stage: Option<OffsetStage>) -> PartitionData {
    let offset = |of: fn(&OffsetStage) -> i64| stage.as_ref().map_or(-1, of);
    PartitionData::default()
        .partition_index(partition)
        .error_code(error.into())
        .high_watermark(offset(OffsetStage::high_watermark))
        .last_stable_offset(Some(offset(OffsetStage::last_stable)))
        .log_start_offset(Some(offset(OffsetStage::log_start)))
        .diverging_epoch(None)
        .current_leader(None)
        .snapshot_id(None)
        .aborted_transactions(Some([].into()))
        .preferred_read_replica(Some(-1))
        .records(None)
}

fn partitions(response: &FetchResponse) -> impl Iterator<Item = &PartitionData> {
    let topics = response.responses.as_deref().unwrap_or_default();
    topics
        .iter()
        .flat_map(|topic| topic.partitions.as_deref().unwrap_or_default())
}

/// An error among partitions that exist.
fn has_error(response: &FetchResponse) -> bool {
    let tolerated = [
        ErrorCode::None,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::UnknownTopicId,
    ]
    .map(i16::from);
    let mut all = partitions(response).peekable();
    all.peek().is_some()
        && (partitions(response).any(|p| !tolerated.contains(&p.error_code))
            || all.all(|p| p.error_code != i16::from(ErrorCode::None)))
}

fn bytes(response: &FetchResponse) -> u64 {
    partitions(response)
        .filter_map(|partition| partition.records.as_ref())
        .flat_map(|records| &records.batches)
        .map(|batch| batch.record_data.len() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: OffsetStage = OffsetStage {
        log_start: 10,
        high_watermark: 20,
        last_stable: 15,
    };

    #[test]
    fn a_partition_is_seen_by_its_offsets() {
        for (offset, committed, expected) in [
            (9, false, Seen::OutOfRange),
            (10, false, Seen::Records),
            (15, false, Seen::Records),
            (15, true, Seen::Nothing(STAGE)),
            (20, false, Seen::Nothing(STAGE)),
            (21, false, Seen::OutOfRange),
        ] {
            assert_eq!(see(offset, STAGE, committed), expected, "offset {offset}");
        }
    }

    #[test]
    fn only_what_needs_an_answer_ends_the_waiting() {
        let nothing = Seen::Nothing(STAGE);
        for (seen, expected) in [
            (vec![vec![nothing, nothing], vec![nothing]], false),
            (vec![vec![nothing, Seen::Records]], true),
            (vec![vec![nothing, Seen::OutOfRange]], true),
            (vec![vec![nothing], vec![Seen::Unknown]], false),
            (vec![vec![Seen::Unknown], vec![Seen::Unknown]], true),
            (vec![], false),
        ] {
            assert_eq!(ends_waiting(&seen, 1), expected, "{seen:?}");
        }
        assert!(
            ends_waiting(&[], 0),
            "a client that wants no bytes does not wait"
        );
    }
}
