//! Questions. None of them takes a lock.

use sqlx::types::Json;
use sqlx::{PgConnection, PgExecutor};

use super::references::texts;
use super::{CachedSchema, Registered, Store, Wanted, Which};
use crate::compatibility::{Level, Previous};
use crate::error::Result;
use crate::reference::Reference;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub offset: i64,
    pub limit: i64,
}

impl Store {
    /// Subjects that begin with `prefix`, in order.
    pub async fn subjects(&self, prefix: &str, which: Which) -> Result<Vec<String>> {
        let sql = match which {
            Which::All => {
                "SELECT DISTINCT subject FROM registry.versions
                 WHERE starts_with(subject, $1) ORDER BY subject"
            }
            Which::Live => {
                "SELECT DISTINCT subject FROM registry.versions
                 WHERE starts_with(subject, $1) AND NOT deleted ORDER BY subject"
            }
            Which::Deleted => {
                "SELECT subject FROM registry.versions
                 WHERE starts_with(subject, $1)
                 GROUP BY subject HAVING bool_and(deleted) ORDER BY subject"
            }
        };
        Ok(sqlx::query_scalar(sql)
            .bind(prefix)
            .fetch_all(&self.pool)
            .await?)
    }

    /// Version numbers of a subject, in order; empty when there is no such subject.
    pub async fn versions(&self, subject: &str, which: Which) -> Result<Vec<i32>> {
        let sql = match which {
            Which::All => {
                "SELECT version FROM registry.versions WHERE subject = $1 ORDER BY version"
            }
            Which::Live => {
                "SELECT version FROM registry.versions
                 WHERE subject = $1 AND NOT deleted ORDER BY version"
            }
            Which::Deleted => {
                "SELECT version FROM registry.versions
                 WHERE subject = $1 AND deleted ORDER BY version"
            }
        };
        Ok(sqlx::query_scalar(sql)
            .bind(subject)
            .fetch_all(&self.pool)
            .await?)
    }

    /// One version of a subject.
    pub async fn version(
        &self,
        subject: &str,
        wanted: Wanted,
        with_deleted: bool,
    ) -> Result<Option<Registered>> {
        version(&self.pool, subject, wanted, with_deleted).await
    }

    /// Live versions of a subject that count under `level`, oldest first.
    pub async fn history(&self, subject: &str, level: Level) -> Result<Vec<Previous>> {
        history(&mut *self.pool.acquire().await?, subject, level).await
    }

    /// What a check needs to know of a version.
    pub async fn previous(&self, registered: Registered) -> Result<Previous> {
        previous(&mut *self.pool.acquire().await?, registered).await
    }

    /// Versions of the subjects that begin with `prefix`, in order.
    pub async fn list(
        &self,
        prefix: &str,
        which: Which,
        latest_only: bool,
        page: Page,
    ) -> Result<Vec<Registered>> {
        let list = sqlx::query_as(
            "SELECT subject, version, schema_id AS id, schema, refs, deleted
             FROM (SELECT *, version = max(version) OVER (PARTITION BY subject) AS latest
                   FROM registry.versions
                   WHERE starts_with(subject, $1) AND (NOT deleted OR $2) AND (deleted OR NOT $3)) v
             JOIN registry.schemas s ON s.id = v.schema_id
             WHERE latest OR NOT $4 ORDER BY subject, version OFFSET $5 LIMIT $6",
        );
        Ok(list
            .bind(prefix)
            .bind(which != Which::Live)
            .bind(which == Which::Deleted)
            .bind(latest_only)
            .bind(page.offset)
            .bind(page.limit)
            .fetch_all(&self.pool)
            .await?)
    }

    /// The highest id that was given.
    pub async fn max_id(&self) -> Result<i32> {
        let max = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM registry.schemas");
        Ok(max.fetch_one(&self.pool).await?)
    }

    /// The schema of an id, from the cache when it was read before.
    pub async fn schema(&self, id: i32) -> Result<Option<CachedSchema>> {
        let cached = self
            .cache
            .read()
            .expect("the cache's lock is not poisoned")
            .get(id);
        if cached.is_some() {
            return Ok(cached);
        }
        let row: Option<(String, Json<Vec<Reference>>, String)> = sqlx::query_as(
            "SELECT schema, refs, encode(fingerprint, 'hex') FROM registry.schemas WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        let schema = row.map(|(text, Json(references), fingerprint)| CachedSchema {
            text: text.into(),
            references: references.into(),
            fingerprint: fingerprint.into(),
        });
        if let Some(schema) = &schema {
            let mut cache = self
                .cache
                .write()
                .expect("the cache's lock is not poisoned");
            cache.insert(id, schema.clone());
        }
        Ok(schema)
    }

    /// Subjects and versions under which an id is registered, in order.
    pub async fn usages(&self, id: i32, with_deleted: bool) -> Result<Vec<(String, i32)>> {
        let usages = sqlx::query_as(
            "SELECT subject, version FROM registry.versions
             WHERE schema_id = $1 AND (NOT deleted OR $2) ORDER BY subject, version",
        );
        Ok(usages
            .bind(id)
            .bind(with_deleted)
            .fetch_all(&self.pool)
            .await?)
    }
}

pub(super) async fn version(
    executor: impl PgExecutor<'_>,
    subject: &str,
    wanted: Wanted,
    with_deleted: bool,
) -> Result<Option<Registered>> {
    let query = match wanted {
        // Deleted or not, the latest is a live one.
        Wanted::Latest => sqlx::query_as(
            "SELECT subject, version, schema_id AS id, schema, refs, deleted
             FROM registry.versions v JOIN registry.schemas s ON s.id = v.schema_id
             WHERE subject = $1 AND NOT deleted ORDER BY version DESC LIMIT 1",
        ),
        Wanted::Number(_) => sqlx::query_as(
            "SELECT subject, version, schema_id AS id, schema, refs, deleted
             FROM registry.versions v JOIN registry.schemas s ON s.id = v.schema_id
             WHERE subject = $1 AND (NOT deleted OR $2) AND version = $3",
        ),
    };
    let query = query.bind(subject);
    let query = match wanted {
        Wanted::Latest => query,
        Wanted::Number(version) => query.bind(with_deleted).bind(version),
    };
    Ok(query.fetch_optional(executor).await?)
}

/// The latest version of a subject that has this fingerprint.
pub(super) async fn find(
    executor: impl PgExecutor<'_>,
    subject: &str,
    fingerprint: &[u8],
    with_deleted: bool,
) -> Result<Option<Registered>> {
    let found = sqlx::query_as(
        "SELECT subject, version, schema_id AS id, schema, refs, deleted
         FROM registry.versions v JOIN registry.schemas s ON s.id = v.schema_id
         WHERE subject = $1 AND fingerprint = $2 AND (NOT deleted OR $3)
         ORDER BY version DESC LIMIT 1",
    );
    let found = found.bind(subject).bind(fingerprint).bind(with_deleted);
    Ok(found.fetch_optional(executor).await?)
}

pub(super) async fn history(
    connection: &mut PgConnection,
    subject: &str,
    level: Level,
) -> Result<Vec<Previous>> {
    let limit = match level {
        Level::None => Some(0),
        level => (!level.is_transitive()).then_some(1i64),
    };
    let history = sqlx::query_as(
        "SELECT subject, version, schema_id AS id, schema, refs, deleted
         FROM registry.versions v JOIN registry.schemas s ON s.id = v.schema_id
         WHERE subject = $1 AND NOT deleted ORDER BY version DESC LIMIT $2",
    );
    // No limit is NULL in SQL.
    let history: Vec<Registered> = history
        .bind(subject)
        .bind(limit)
        .fetch_all(&mut *connection)
        .await?;
    let mut previous = Vec::with_capacity(history.len());
    for registered in history.into_iter().rev() {
        previous.push(self::previous(connection, registered).await?);
    }
    Ok(previous)
}

pub(super) async fn previous(
    connection: &mut PgConnection,
    registered: Registered,
) -> Result<Previous> {
    Ok(Previous {
        version: registered.version,
        references: texts(connection, &registered.references).await?,
        text: registered.schema,
    })
}
