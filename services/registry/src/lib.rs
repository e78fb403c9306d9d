//! A schema registry: Confluent's REST contract for Avro, over PostgreSQL.
//!
//! Producers register the schema they write with and put its id before each record; consumers ask
//! for the schema of an id that they meet. A text becomes a [`avro::Schema`], its
//! [`canonical`] form decides which id it has, [`compatibility`] whether it may follow what is
//! registered, [`store`] keeps it, and [`api`] is the contract.

pub mod api;
pub mod avro;
pub mod canonical;
pub mod compatibility;
pub mod config;
pub mod error;
pub mod reference;
pub mod run;
pub mod store;

pub use api::openapi;
pub use config::Config;
pub use run::run;
