//! The orchestrator behind `cargo xtask`: it starts, judges and stops the lab.
//!
//! [`cli`] is the grammar, [`verbs`] has one file per verb, [`lab`] brings parts up and down in
//! the order of their dependencies, [`components`] has one module per part (start, ready, stop,
//! logs). What runs is written down in [`state`], so that the next command, a test, or a run
//! after a crash finds it again. Tests start the lab through these same modules. [`verify`] judges
//! what the lab did, [`chaos`] breaks it first, [`perf`] says how fast it is; [`testing`] runs the
//! tests, [`validate`] everything at once, [`learn`] judges exercises.

pub mod cargo;
pub mod chaos;
pub mod cli;
pub mod components;
pub mod context;
pub mod evolution;
pub mod grafana;
pub mod images;
pub mod junit;
pub mod lab;
pub mod learn;
pub mod npm;
pub mod output;
pub mod page;
pub mod perf;
pub mod ports;
pub mod process;
pub mod state;
pub mod testing;
pub mod validate;
pub mod verbs;
pub mod verify;

pub use context::Context;
