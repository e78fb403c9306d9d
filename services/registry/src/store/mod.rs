//! What is registered, in PostgreSQL: [`reads`] asks, [`references`] follows schemas into other
//! subjects, [`writes`] registers, [`deletes`] deletes, [`settings`] is configuration and mode,
//! [`cache`] remembers schemas by id.
//!
//! Writes are one transaction each and take one lock, so that they happen one after the other
//! across all instances: ids, version numbers and compatibility need that. Reads take none.

mod cache;
mod deletes;
mod reads;
mod references;
mod settings;
mod writes;

use std::sync::{Arc, RwLock};

use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool, Postgres, Row, Transaction};

use cache::Cache;
pub use cache::CachedSchema;
pub use reads::Page;
pub use settings::{Config, Mode, Settings};
pub use writes::Registration;

use crate::error::Result;
use crate::reference::Reference;

/// Applied in this order under the schema `registry`.
pub const MIGRATIONS: &[(&str, &str)] = &[
    (
        "create schemas",
        include_str!("../../migrations/001_create_schemas.sql"),
    ),
    (
        "add references",
        include_str!("../../migrations/002_add_references.sql"),
    ),
];

/// The lock that all writers take: "registry" in ASCII.
const WRITERS: i64 = 0x7265_6769_7374_7279;

/// Which versions count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Live,
    /// Live and soft-deleted.
    All,
    /// Soft-deleted only.
    Deleted,
}

/// A version as a request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    Latest,
    Number(i32),
}

/// A schema under a subject.
#[derive(Debug, Clone)]
pub struct Registered {
    pub subject: String,
    pub version: i32,
    pub id: i32,
    pub schema: String,
    pub references: Vec<Reference>,
    pub deleted: bool,
}

impl FromRow<'_, PgRow> for Registered {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let Json(references) = row.try_get("refs")?;
        Ok(Self {
            subject: row.try_get("subject")?,
            version: row.try_get("version")?,
            id: row.try_get("id")?,
            schema: row.try_get("schema")?,
            references,
            deleted: row.try_get("deleted")?,
        })
    }
}

/// Cheap to clone; clones share the pool and the cache.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    cache: Arc<RwLock<Cache>>,
}

impl Store {
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            cache: Arc::default(),
        }
    }

    /// One round trip to a table of ours: it works only once the migrations are applied.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT normalize FROM registry.settings LIMIT 1")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// A transaction that no other writer's overlaps.
    async fn exclusive(&self) -> Result<Transaction<'static, Postgres>> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .bind(WRITERS)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }
}
