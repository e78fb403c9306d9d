//! The one door of the lab: [`proxy`] hands calls on to the simulator and to bancaire, and
//! [`streaming`] reads every topic and gives each record to the [`websocket`] hub, where an event's
//! way ends: in a browser.
//!
//! [`security`] decides who may come in, [`breaker`] keeps a sick service from being pressed,
//! [`health`] and [`metrics_api`] sum up what the services and the [`flow`] of records say,
//! [`kafka_view`] and [`dead_letters`] look into Kafka, [`lab`] breaks and mends parts, and [`ui`]
//! serves the page.

pub mod config;
pub mod run;

pub mod api;

pub mod breaker;
pub mod proxy;
pub mod security;

pub mod flow;
pub mod streaming;
pub mod websocket;

pub mod dead_letters;
pub mod health;
pub mod kafka_view;
pub mod lab;
pub mod metrics_api;
pub mod ui;

pub use api::openapi;
pub use config::Config;
pub use run::{Running, run, start};

/// The name in logs, metrics and headers.
pub const SERVICE: &str = "gateway";
