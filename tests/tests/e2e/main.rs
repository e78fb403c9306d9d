//! End to end, as a user sees it: a lab started by `xtask`, real events, faults, verdicts.
//!
//! Every scenario that breaks something, or that judges the whole lab, has a lab of its own.

mod bad_input;
mod chaos;
mod flux;
mod interrupt;
mod kill;
// Needs the light broker, which takes a quarter of an hour to build for the first time.
#[cfg(feature = "light")]
mod light;
mod mvp;
mod poison;
mod verbs;
mod walk;
