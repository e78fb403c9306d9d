//! One event can be followed in metrics, logs and traces.

mod collector;
mod dashboards;
mod prometheus;
mod traces;
