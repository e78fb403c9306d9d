//! What the bank decides, without any I/O: from a batch of records and the balances of the
//! accounts that it touches to rows, in [`fold`](fold::fold).
//!
//! Read in this order: a [`record`] comes from Kafka (or from the parked ones), [`operation`] says
//! what its event asks for, [`compte`] decides whether the account allows it, [`fold`] does so for
//! a whole batch, and [`outcome`] is what the writer then stores in one transaction. [`virement`]
//! is the second half of a transfer, which goes through the outbox.

pub mod compte;
pub mod fold;
pub mod operation;
pub mod outcome;
pub mod record;
pub mod virement;

#[cfg(test)]
mod reference;
#[cfg(test)]
pub(crate) mod samples;

pub use compte::{Devise, Etat, Motif, Statut, TypeTransaction};
pub use fold::{Input, Known, expire, fold};
pub use operation::{Effect, Operation};
pub use outcome::{Flow, LedgerRow, Outcome, Verdict};
pub use record::{Batch, Content, Origin, Parked, Record, Span};

/// A hash map with a hasher that suits short keys; it is seeded, so keys cannot be chosen to collide.
pub type FastMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;
