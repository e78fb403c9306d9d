//! bancaire in this process against a real broker, registry and PostgreSQL.
//!
//! The topics are one lab's and shared by all tests of this binary; what differs is the [`bank`]:
//! each has a database and a consumer group of its own and reads the whole logs from their
//! beginning. So tests look only at accounts and records of their own, and must not mind those of
//! others.

mod api;
mod bank;
mod dead_letters;
mod group;
mod log;
mod registry_away;
mod repository;
mod rules;
