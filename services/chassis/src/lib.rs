//! The only shared I/O library: what every service needs around its own logic.
//!
//! Services depend on the chassis, the chassis depends on [`schemas`] (the contract, no I/O),
//! and no service imports another. An event enters through [`kafka::EventProducer`], is decoded
//! by [`kafka::EventDecoder`], and every HTTP surface is dressed by [`http::standard`]. What could
//! not be processed is found, shown and published again by [`dead_letters`]. [`faults`] is how the lab
//! proves its verdicts: nothing of it is in the binaries that people run.

pub mod config;
pub mod dead_letters;
pub mod faults;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod postgres;
pub mod registry;
pub mod shutdown;
pub mod telemetry;
