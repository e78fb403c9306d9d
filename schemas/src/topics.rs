//! The catalogue of topics: what `up` creates on the broker before the first event.

use crate::EventType;

/// Where dead letters go.
pub const DLQ_TOPIC: &str = "system.dlq";
/// The largest record of [`DLQ_TOPIC`], in bytes. A dead letter is larger than the record that it
/// carries, up to six times where every byte of a header is escaped, and a broker takes records of
/// 1 MiB by default: under that limit one large poison record would stay unpublished for ever.
pub const DLQ_MESSAGE_MAX_BYTES: u32 = 8 * 1024 * 1024;
/// Partitions of every topic of the lab.
pub const PARTITIONS: i32 = 3;

/// What a topic is created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSpec {
    pub name: &'static str,
    pub partitions: i32,
    /// How long records are kept; `None` is the broker's default.
    pub retention_ms: Option<i64>,
}

/// The seven topics of events and the dead letters' (kept for seven days).
pub fn catalogue() -> Vec<TopicSpec> {
    let events = EventType::ALL.into_iter().map(|event_type| TopicSpec {
        name: event_type.topic(),
        partitions: PARTITIONS,
        retention_ms: None,
    });
    let dead_letters = TopicSpec {
        name: DLQ_TOPIC,
        partitions: PARTITIONS,
        retention_ms: Some(7 * 24 * 60 * 60 * 1000),
    };
    events.chain([dead_letters]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_the_plans() {
        let names: Vec<&str> = catalogue().iter().map(|topic| topic.name).collect();
        assert_eq!(
            names,
            [
                "bancaire.compte.ouvert",
                "bancaire.compte.ferme",
                "bancaire.depot.effectue",
                "bancaire.retrait.effectue",
                "bancaire.virement.emis",
                "bancaire.virement.recu",
                "bancaire.paiement-prime.effectue",
                "system.dlq",
            ]
        );
        assert!(
            catalogue()
                .iter()
                .all(|topic| topic.partitions == PARTITIONS)
        );
        let kept: Vec<_> = catalogue()
            .iter()
            .filter_map(|topic| topic.retention_ms)
            .collect();
        assert_eq!(kept, [604_800_000]);
    }
}
