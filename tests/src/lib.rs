//! The fixture: a lab of its own for each test binary, started by the same `xtask` that a user
//! runs, with its own folder and free ports, and ended when the test process ends, however it ends.

pub mod docs;
pub mod events;
mod lab;
pub mod link;

pub use lab::{Lab, Ran, http, interrupt, until, until_async};
