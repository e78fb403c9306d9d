//! The contract: Avro schemas, the event types generated from them, topics and the wire format.
//!
//! No I/O happens here. The way of an event: a typed [`Event`] is encoded and framed by [`wire`],
//! travels on the topic that its [`EventType`] names, and is decoded by [`evolution`], which also
//! reads what older and newer writers wrote. What cannot be read becomes a [`DeadLetter`].

pub mod amount;
mod asyncapi;
pub mod avro;
mod dead_letter;
mod event;
pub mod evolution;
mod topics;
pub mod wire;

pub use amount::AmountError;
pub use asyncapi::asyncapi;
pub use avro::DecodeError;
pub use dead_letter::{DeadLetter, DeadLetterError, DeadLetterMetadata};
pub use event::{
    Canal, CanalRetrait, CompteFerme, CompteOuvert, DepotEffectue, Event, EventType,
    PaiementPrimeEffectue, RetraitEffectue, StatutVirement, TypeCompte, VirementEmis, VirementRecu,
};
pub use topics::{DLQ_MESSAGE_MAX_BYTES, DLQ_TOPIC, PARTITIONS, TopicSpec, catalogue};

#[cfg(test)]
#[path = "../codegen.rs"] // so that what a bad schema says is tested
mod codegen;
#[cfg(test)]
mod samples;
