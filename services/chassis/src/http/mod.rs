//! HTTP in and out: [`problem`] is every error's form, [`extract`] turns bad input into problems,
//! [`server`] dresses a router with what all services have, [`client`] calls other services.

pub mod client;
pub mod extract;
pub mod problem;
pub mod server;

pub use client::HttpClient;
pub use extract::{Json, Path, Query};
pub use problem::{Problem, Result};
pub use server::{serve, serve_on, standard, standard_with_limit};
