//! The simulator: makes the events of a small bank and publishes them to Kafka.
//!
//! An event's way: the [`api`] starts a [`simulation`], whose [`generator`] draws what happens
//! next, or asks the [`guichet`] for single events; the [`factory`] fills them with [`fake_data`],
//! and [`publish`] hands them to the broker. From there bancaire and the gateway read them.

pub mod config;
pub mod run;

pub mod api;
pub mod simulation;

pub mod generator;
pub mod guichet;
pub mod scenario;

pub mod book;
pub mod factory;
pub mod fake_data;
pub mod poison;

pub mod health;
pub mod publish;

pub use api::openapi;
pub use config::Config;
pub use run::{run, start};

/// The name in logs, metrics and headers.
pub const SERVICE: &str = "simulator";
