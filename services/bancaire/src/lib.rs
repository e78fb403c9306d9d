//! The banking service: consumes the seven topics of events into accounts and a ledger, exactly
//! once in effect.
//!
//! An event's way: the [`consumer`] polls and decodes it, the [`domain`] decides, the [`writer`]
//! stores the decision and the offset in one transaction, the [`outbox`] publishes what it causes,
//! and the [`api`] shows it. [`parking`] refuses what has waited too long for its account;
//! [`ledger`] accounts for every record.

pub mod config;
pub mod run;

pub mod consumer;
pub mod domain;
pub mod handoff;
pub mod writer;

pub mod outbox;
pub mod parking;
pub mod store;

#[cfg(test)]
mod protocol;

pub mod api;
pub mod broker;
pub mod health;
pub mod ledger;
pub mod metrics;
pub mod repository;
pub mod shared;
pub mod traces;

pub use api::openapi;
pub use config::Config;
pub use run::{run, start};

/// The name in logs, metrics, headers and dead letters, and of the schema in PostgreSQL.
pub const SERVICE: &str = "bancaire";
