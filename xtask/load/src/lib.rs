//! What measures, compiled with the services' own optimisation: xtask itself is not, and a loop
//! that runs 50,000 times a second there would be what is measured.
//!
//! [`deposits`] makes events on open accounts and publishes backlogs; [`open_loop`] publishes them
//! when they are due and [`watch`] sees them appear in PostgreSQL; [`trace`] makes figures of both.
//! [`websocket`] watches the gateway as a thousand pages would. [`bare`] and [`fsync`] are the
//! baselines: what librdkafka and the disk do by themselves.
//! [`drift`] tells whether a series of samples grows, [`bench`] how long a piece of code takes.

pub mod deposits;
pub mod open_loop;
pub mod trace;
pub mod watch;
pub mod websocket;

pub mod bare;
pub mod bench;
pub mod drift;
pub mod fsync;
