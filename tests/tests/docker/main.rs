//! The Docker backend against a real daemon, on the offline images that `cargo xtask images build`
//! makes. Each test has a lab of its own, whose containers, network and volumes carry its folder as
//! a label; nothing else in the daemon is touched.

mod brokers;
mod daemon;
mod external;
mod failures;
mod images;
mod infra;
mod lifecycle;
mod support;
mod workers;
