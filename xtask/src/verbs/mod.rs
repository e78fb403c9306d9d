//! One file per verb: its options (`…Args`) and `run`. What a verb does to the lab goes through
//! [`crate::lab`]; what it asks of the lab goes through the addresses in [`crate::state`].

pub mod chaos;
pub mod clean;
pub mod dlq;
pub mod docs;
pub mod doctor;
pub mod down;
pub mod images;
pub mod infra;
pub mod learn;
pub mod logs;
pub mod open;
pub mod perf;
pub mod schemas;
pub mod services;
pub mod simulate;
pub mod status;
mod story;
pub mod test;
pub mod topics;
pub mod up;
pub mod validate_mvp;
pub mod verify;
