//! Reads the event topics back from the broker and audits each partition.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::Context;
use chassis::config::KafkaConfig;
use chassis::kafka::admin::Watermarks;
use chassis::kafka::log::LogReader;
use chassis::kafka::{Decoded, EventDecoder, Failure};
use rdkafka::message::Message;
use schemas::{Event, EventType};
use tokio::runtime::Handle;

use super::audit::{Audit, Auditor, Expected, Original, Seen, Wrongs};
use super::books::{Books, Place, Snapshot};
use crate::output::Step;

/// What the logs hold, beside what PostgreSQL says of it.
#[derive(Debug, Default)]
pub struct ReadBack {
    pub audits: BTreeMap<Place, Audit>,
    /// Repeated records whose event is known from nowhere, or with other content.
    pub wrong_repeats: Wrongs,
}

/// Where each dead letter's original lies, with its bytes.
pub type Dead = HashMap<Place, BTreeMap<i64, Original>>;

/// Reads and audits every partition of the event topics.
///
/// # Errors
/// When the broker, the registry or PostgreSQL does not answer.
pub async fn read_back(
    kafka: &KafkaConfig,
    decoder: &EventDecoder,
    watermarks: &Watermarks,
    snapshot: &mut Snapshot,
    books: &Books,
    mut dead: Dead,
    step: &Step,
) -> anyhow::Result<ReadBack> {
    let mut result = ReadBack::default();
    let mut reader = LogReader::new(kafka)?;
    for ((topic, partition), (low, high)) in watermarks {
        let Some(event_type) = EventType::from_topic(topic) else {
            continue;
        };
        step.tick(format_args!("reads {topic} [{partition}] back"));
        let place = (event_type, *partition);
        let next_offset = books.flux.get(&place).map_or(*low, |flux| flux.next_offset);
        let parked = books.parked.iter().filter(|row| row.place == place);
        let expected = Expected {
            next_offset,
            ledger: snapshot.rows(place).await?,
            parked: parked
                .map(|row| (row.offset, (row.event_id.clone(), row.empreinte)))
                .collect(),
            // A record that was parked at the snapshot may have died since.
            dead: dead
                .remove(&place)
                .unwrap_or_default()
                .into_iter()
                .filter(|(offset, _)| *offset < next_offset)
                .collect(),
        };
        let auditor = Auditor::new(format!("{topic} [{partition}]"), *low, expected);
        let (low, high, decoder, handle) = (*low, *high, decoder.clone(), Handle::current());
        let audited = tokio::task::spawn_blocking(move || {
            let audit = audit(&reader, &decoder, &handle, (place, low, high), auditor);
            audit.map(|audit| (reader, audit))
        });
        let audit;
        (reader, audit) = audited.await.context("failed to wait for the audit")??;
        result.audits.insert(place, audit);
    }
    for letters in dead.into_iter().filter(|(_, letters)| !letters.is_empty()) {
        let ((event_type, partition), letters) = letters;
        let message = format!(
            "{} dead letter(s) of {} [{partition}], which does not exist",
            letters.len(),
            event_type.topic()
        );
        result.wrong_repeats.push(message);
    }
    check_repeats(snapshot, &mut result).await?;
    Ok(result)
}

fn audit(
    reader: &LogReader,
    decoder: &EventDecoder,
    handle: &Handle,
    ((event_type, partition), low, high): (Place, i64, i64),
    mut auditor: Auditor,
) -> anyhow::Result<Audit> {
    let topic = event_type.topic();
    reader.read((topic, partition), low, high, |message| {
        let event = loop {
            match decoder.decode_cached(topic, message.payload()) {
                Decoded::Event(event) => break Ok(event),
                Decoded::Poison(poison) => break Err(poison.to_string()),
                Decoded::NeedSchema(id) => match handle.block_on(decoder.fetch(id)) {
                    Ok(()) => {}
                    Err(Failure::Poison(poison)) => break Err(poison.to_string()),
                    Err(Failure::Transient(reason)) => {
                        anyhow::bail!("failed to ask the registry for schema {id}: {reason}")
                    }
                },
            }
        };
        auditor.take(&Seen {
            offset: message.offset(),
            key: message.key(),
            value: message.payload(),
            event,
        });
        Ok(())
    })?;
    Ok(auditor.finish())
}

/// A record that is in no place of its own is a duplicate if its event is known with the same
/// content; otherwise it is lost.
async fn check_repeats(snapshot: &mut Snapshot, result: &mut ReadBack) -> anyhow::Result<()> {
    let ids: HashSet<&String> = result
        .audits
        .values()
        .flat_map(|audit| audit.repeats.iter().map(|repeat| &repeat.event_id))
        .collect();
    let ids: Vec<String> = ids.into_iter().cloned().collect();
    let known = snapshot.known(&ids).await?;
    for ((event_type, partition), audit) in &result.audits {
        for repeat in &audit.repeats {
            let what = match known.get(&repeat.event_id) {
                Some(empreinte) if *empreinte == repeat.empreinte => continue,
                Some(_) => "was counted as a duplicate of another content",
                None => "is lost: neither applied, rejected, parked nor dead-lettered",
            };
            result.wrong_repeats.push(format!(
                "{} [{partition}] at {}: event {} {what}",
                event_type.topic(),
                repeat.offset,
                repeat.event_id
            ));
        }
    }
    Ok(())
}

/// The transfers whose credit waits in one of these framed values.
pub async fn causes<'a>(
    decoder: &EventDecoder,
    values: impl Iterator<Item = &'a [u8]>,
) -> HashSet<String> {
    let mut causes = HashSet::new();
    for value in values {
        let event = decoder
            .decode(EventType::VirementRecu.topic(), Some(value))
            .await;
        if let Ok(Event::VirementRecu(recu)) = event {
            causes.extend(recu.virement_emis_id);
        }
    }
    causes
}
