//! End to end, as a user sees it: a lab started by `xtask`, real events, faults, verdicts.
//!
//! Every scenario that breaks something, or that judges the whole lab, has a lab of its own.

mod bad_input;
mod chaos;
mod cluster;
mod flux;
mod interrupt;
mod kill;
mod light;
mod mvp;
mod poison;
mod validate;
mod verbs;
mod walk;
