//! Registration: one transaction, under the writers' lock.

use sqlx::types::Json;
use sqlx::{Postgres, Transaction};

use super::reads::{find, history};
use super::references::{self, find_resolved};
use super::settings::effective;
use super::{Mode, Registered, Settings, Store};
use crate::compatibility::Previous;
use crate::error::{Error, Result};
use crate::reference::{Reference, fingerprint};

/// New ids follow the highest one: an import must leave some.
const HIGHEST_IMPORT: i32 = 2_000_000_000;

/// What is to be registered, or looked for.
#[derive(Debug, Clone)]
pub struct Registration<'a> {
    pub subject: &'a str,
    /// Canonical.
    pub text: &'a str,
    pub references: &'a [Reference],
    /// In IMPORT mode, the id that it has elsewhere.
    pub id: Option<i32>,
    /// The version that it must become; in IMPORT mode any.
    pub version: Option<i32>,
}

impl Registration<'_> {
    fn fingerprint(&self) -> [u8; 32] {
        fingerprint(self.text, self.references)
    }
    /// Whether a version that is there already is what was asked for.
    fn is(&self, found: &Registered) -> bool {
        self.id.is_none_or(|id| id == found.id)
    }
}

impl Store {
    /// The latest version of a subject that has this schema, as it is or with its references
    /// written out.
    pub async fn find(
        &self,
        wanted: &Registration<'_>,
        with_deleted: bool,
    ) -> Result<Option<Registered>> {
        let mut connection = self.pool.acquire().await?;
        let Registration { subject, text, .. } = wanted;
        let fingerprint = wanted.fingerprint();
        let found = find(&mut *connection, subject, &fingerprint, with_deleted).await?;
        if found.is_none() && wanted.references.is_empty() {
            return find_resolved(&mut connection, subject, text, with_deleted).await;
        }
        Ok(found)
    }

    /// Registers a schema under a subject and returns its id.
    ///
    /// The same schema has one id under all subjects, and under one subject one live version. For
    /// a new version, `judge` sees the subject's settings and the live versions that count under
    /// its compatibility level, oldest first.
    pub async fn register(
        &self,
        new: Registration<'_>,
        judge: impl FnOnce(Settings, &[Previous]) -> Result<()>,
    ) -> Result<i32> {
        // Most registrations are of what is there already; they need no lock.
        if let Some(found) = self.find(&new, false).await?.filter(|found| new.is(found)) {
            return Ok(found.id);
        }
        let mut transaction = self.exclusive().await?;
        let (subject, fingerprint) = (new.subject, new.fingerprint());
        let settings = effective(&mut *transaction, subject).await?;
        check_mode(&new, settings.mode)?;
        let found = find(&mut *transaction, subject, &fingerprint, false).await?;
        if let Some(found) = found.filter(|found| new.is(found)) {
            return Ok(found.id);
        }
        for reference in new.references {
            references::find(&mut *transaction, reference).await?;
        }
        if settings.mode != Mode::Import {
            let history = history(&mut transaction, subject, settings.level).await?;
            judge(settings, &history)?;
        }
        let version = number(&mut transaction, &new, settings.mode).await?;
        let id = schema_id(&mut transaction, &new, &fingerprint).await?;
        // What was deleted and comes back does so under the new number only. A version that is
        // there is met by an import alone.
        sqlx::query(
            "WITH gone AS (DELETE FROM registry.versions
                           WHERE subject = $1 AND schema_id = $3 AND deleted AND version < $2)
             INSERT INTO registry.versions (subject, version, schema_id) VALUES ($1, $2, $3)
             ON CONFLICT (subject, version) DO UPDATE
             SET schema_id = excluded.schema_id, deleted = FALSE",
        )
        .bind(subject)
        .bind(version)
        .bind(id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        tracing::info!(
            registry.subject = subject,
            registry.version = version,
            registry.id = id,
            "Registered a schema"
        );
        Ok(id)
    }
}

fn check_mode(new: &Registration<'_>, mode: Mode) -> Result<()> {
    let subject = || new.subject.to_owned();
    match (mode, new.id) {
        (Mode::ReadOnly | Mode::ReadOnlyOverride, _) => Err(Error::ReadOnly(subject())),
        (Mode::ReadWrite, Some(_)) => Err(Error::NotImport(subject())),
        (Mode::Import, None) => Err(Error::NotReadWrite(subject())),
        (Mode::ReadWrite, None) | (Mode::Import, Some(_)) => Ok(()),
    }
}

/// The number of the new version. Those of soft-deleted versions stay taken.
async fn number(
    transaction: &mut Transaction<'static, Postgres>,
    new: &Registration<'_>,
    mode: Mode,
) -> Result<i32> {
    let next: Option<i32> = sqlx::query_scalar(
        "SELECT nullif(coalesce(max(version), 0), 2147483647) + 1
         FROM registry.versions WHERE subject = $1",
    )
    .bind(new.subject)
    .fetch_one(&mut **transaction)
    .await?;
    match new.version {
        Some(version) if mode == Mode::Import || next == Some(version) => Ok(version),
        None => next.ok_or_else(|| Error::InvalidSchema("The subject has no version left".into())),
        Some(_) => Err(Error::InvalidSchema(
            "Version is not one more than previous version".into(),
        )),
    }
}

/// The id of a schema, a new one when it has none. The writers' lock is held.
async fn schema_id(
    transaction: &mut Transaction<'static, Postgres>,
    new: &Registration<'_>,
    fingerprint: &[u8],
) -> Result<i32> {
    if let Some(id) = new.id {
        return import(transaction, id, new, fingerprint).await;
    }
    let id = sqlx::query_scalar(
        "WITH known AS (SELECT id FROM registry.schemas WHERE fingerprint = $1 ORDER BY id LIMIT 1),
              new AS (INSERT INTO registry.schemas (fingerprint, schema, refs)
                      SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM known) RETURNING id)
         SELECT id FROM known UNION ALL SELECT id FROM new",
    );
    Ok(id
        .bind(fingerprint)
        .bind(new.text)
        .bind(Json(new.references))
        .fetch_one(&mut **transaction)
        .await?)
}

/// Stores a schema under the id that it has elsewhere.
async fn import(
    transaction: &mut Transaction<'static, Postgres>,
    id: i32,
    new: &Registration<'_>,
    fingerprint: &[u8],
) -> Result<i32> {
    if id > HIGHEST_IMPORT {
        return Err(Error::IdTooLarge(id, HIGHEST_IMPORT));
    }
    let known: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT fingerprint FROM registry.schemas WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut **transaction)
            .await?;
    match known {
        Some(known) if known == fingerprint => return Ok(id),
        Some(_) => return Err(Error::IdTaken(id)),
        None => {}
    }
    sqlx::query(
        "INSERT INTO registry.schemas (id, fingerprint, schema, refs)
         OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4)",
    )
    .bind(id)
    .bind(fingerprint)
    .bind(new.text)
    .bind(Json(new.references))
    .execute(&mut **transaction)
    .await?;
    // So that no later schema gets this id.
    sqlx::query(
        "SELECT setval('registry.schemas_id_seq',
                       greatest($1, (SELECT last_value FROM registry.schemas_id_seq)))",
    )
    .bind(i64::from(id))
    .execute(&mut **transaction)
    .await?;
    Ok(id)
}
