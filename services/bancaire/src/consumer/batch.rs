//! Collects polled records until the writer takes them.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use schemas::EventType;

use crate::domain::record::{Batch, Content, Origin, Record, Span, empreinte};
use crate::traces::{self, Traces};

/// Bytes of values and keys after which a batch is full, however few its records.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// The original bytes of many records share one allocation of this size.
const ARENA: usize = 256 * 1024;

pub struct BatchBuilder {
    records_max: usize,
    records: Vec<Record>,
    spans: Vec<Span>,
    /// The span of the last record: records of a partition come in runs.
    last: usize,
    arena: BytesMut,
    bytes: usize,
    since: Option<Instant>,
    traces: Traces,
}

impl BatchBuilder {
    pub fn new(records_max: usize) -> Self {
        Self {
            records_max,
            records: Vec::new(),
            spans: Vec::new(),
            last: 0,
            arena: BytesMut::new(),
            bytes: 0,
            since: None,
            traces: Traces::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.records.len() >= self.records_max || self.bytes >= BYTES_MAX
    }

    /// True when the next record may be followed.
    pub fn may_trace(&self) -> bool {
        self.records.len() < traces::LOOK_AT && self.traces.has_room()
    }

    /// The record that was pushed last is followed.
    pub fn trace(&mut self, span: tracing::Span) {
        if let Some(record) = self.records.last() {
            self.traces.add(record.origin, &record.content, span);
        }
    }

    /// Adds a record; `position` is the offset that was expected next in its partition.
    pub fn push(
        &mut self,
        origin: Origin,
        position: i64,
        content: Content,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        self.since.get_or_insert_with(Instant::now);
        let (key, value) = (key.map(|k| self.keep(k)), value.map(|v| self.keep(v)));
        self.records.push(Record {
            origin,
            empreinte: value.as_deref().map_or(0, empreinte),
            content,
            key,
            value,
        });
        self.span(origin.topic, origin.partition, position).to = origin.offset + 1;
    }

    /// Hands over what was collected, and begins anew.
    pub fn take(&mut self, generation: u64) -> Batch {
        let records = Vec::with_capacity(self.records.len());
        self.bytes = 0;
        Batch {
            generation,
            records: std::mem::replace(&mut self.records, records),
            spans: std::mem::take(&mut self.spans),
            received: self.since.take().unwrap_or_else(Instant::now),
            traces: std::mem::take(&mut self.traces),
        }
    }

    /// Forgets what was collected: it will be read again.
    pub fn clear(&mut self) {
        drop(self.take(0));
    }

    fn span(&mut self, topic: EventType, partition: i32, position: i64) -> &mut Span {
        let is_its = |span: &Span| span.topic == topic && span.partition == partition;
        if !self.spans.get(self.last).is_some_and(is_its) {
            self.last = self.spans.iter().position(is_its).unwrap_or_else(|| {
                self.spans.push(Span {
                    topic,
                    partition,
                    from: position,
                    to: position,
                });
                self.spans.len() - 1
            });
        }
        &mut self.spans[self.last]
    }

    fn keep(&mut self, bytes: &[u8]) -> Bytes {
        self.bytes += bytes.len();
        if self.arena.capacity() < bytes.len() {
            self.arena = BytesMut::with_capacity(bytes.len().max(ARENA));
        }
        self.arena.extend_from_slice(bytes);
        self.arena.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::samples;

    fn push(builder: &mut BatchBuilder, partition: i32, position: i64, offset: i64) {
        let origin = Origin {
            topic: EventType::DepotEffectue,
            partition,
            offset,
        };
        let content = Content::Event(samples::depot("e", "a", "1.00"));
        builder.push(
            origin,
            position,
            content,
            Some(b"a"),
            Some(b"\0\0\0\0\x01value"),
        );
    }

    #[test]
    fn spans_begin_where_the_stored_offset_is_and_bridge_gaps() {
        let mut builder = BatchBuilder::new(3);
        push(&mut builder, 0, 5, 7);
        push(&mut builder, 1, 0, 0);
        assert!(!builder.is_full());
        push(&mut builder, 0, 8, 8);
        assert!(builder.is_full());
        let batch = builder.take(4);
        let spans: Vec<_> = batch
            .spans
            .iter()
            .map(|s| (s.partition, s.from, s.to))
            .collect();
        assert_eq!(spans, [(0, 5, 9), (1, 0, 1)]);
        assert_eq!(
            batch.records[2].value.as_deref(),
            Some(&b"\0\0\0\0\x01value"[..])
        );
        assert_eq!(batch.records[2].key.as_deref(), Some(&b"a"[..]));
        assert!(builder.is_empty() && !builder.is_full());
    }

    #[test]
    fn a_batch_is_full_by_its_bytes_too() {
        let mut builder = BatchBuilder::new(1000);
        let origin = Origin {
            topic: EventType::DepotEffectue,
            partition: 0,
            offset: 0,
        };
        let content = Content::Event(samples::depot("e", "a", "1.00"));
        builder.push(origin, 0, content, None, Some(&vec![0; BYTES_MAX]));
        assert!(builder.is_full());
        builder.clear();
        assert!(!builder.is_full());
    }
}
