//! Deletion: one transaction each, under the writers' lock. Softly first, then for good.

use std::collections::BTreeSet;

use sqlx::{Postgres, Transaction};

use super::references::referenced_by;
use super::settings::writable;
use super::{Store, Wanted};
use crate::error::{Error, Result};

struct Version {
    version: i32,
    schema_id: i32,
    deleted: bool,
}

impl Store {
    /// Deletes a subject and returns the numbers of the versions that this deleted: softly the
    /// live ones, with `permanent` all of them, which must have been deleted softly before.
    pub async fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<i32>> {
        let mut transaction = self.exclusive().await?;
        let versions = versions(&mut transaction, subject).await?;
        if versions.is_empty() {
            return Err(Error::SubjectNotFound(subject.into()));
        }
        let is_live = versions.iter().any(|version| !version.deleted);
        if !permanent && !is_live {
            return Err(Error::SubjectSoftDeleted(subject.into()));
        }
        writable(&mut transaction, Some(subject)).await?;
        let going: Vec<_> = versions
            .iter()
            .filter(|v| permanent || !v.deleted)
            .collect();
        for version in &going {
            unreferenced(&mut transaction, subject, version.version).await?;
        }
        if permanent && is_live {
            return Err(Error::SubjectNotSoftDeleted(subject.into()));
        }
        let numbers: Vec<i32> = going.iter().map(|version| version.version).collect();
        self.delete(transaction, subject, &going, permanent).await?;
        Ok(numbers)
    }

    /// Deletes one version and returns its number, with the same order of steps.
    pub async fn delete_version(
        &self,
        subject: &str,
        wanted: Wanted,
        permanent: bool,
    ) -> Result<i32> {
        let mut transaction = self.exclusive().await?;
        let versions = versions(&mut transaction, subject).await?;
        if versions.is_empty() {
            return Err(Error::SubjectNotFound(subject.into()));
        }
        let found = match wanted {
            Wanted::Latest => versions.iter().rfind(|v| !v.deleted),
            Wanted::Number(number) => versions.iter().find(|v| v.version == number),
        };
        let found = found.ok_or(Error::VersionNotFound(wanted))?;
        if !permanent && found.deleted {
            return Err(Error::VersionSoftDeleted(subject.into(), found.version));
        }
        writable(&mut transaction, Some(subject)).await?;
        unreferenced(&mut transaction, subject, found.version).await?;
        if permanent && !found.deleted {
            return Err(Error::VersionNotSoftDeleted(subject.into(), found.version));
        }
        self.delete(transaction, subject, &[found], permanent)
            .await?;
        Ok(found.version)
    }

    async fn delete(
        &self,
        mut transaction: Transaction<'static, Postgres>,
        subject: &str,
        going: &[&Version],
        permanent: bool,
    ) -> Result<()> {
        let numbers: Vec<i32> = going.iter().map(|version| version.version).collect();
        let ids: BTreeSet<i32> = going.iter().map(|version| version.schema_id).collect();
        if permanent {
            sqlx::query("DELETE FROM registry.versions WHERE subject = $1 AND version = ANY($2)")
                .bind(subject)
                .bind(&numbers)
                .execute(&mut *transaction)
                .await?;
            let ids: Vec<i32> = ids.iter().copied().collect();
            forget_unused(&mut transaction, &ids).await?;
        } else {
            sqlx::query(
                "UPDATE registry.versions SET deleted = TRUE
                 WHERE subject = $1 AND version = ANY($2)",
            )
            .bind(subject)
            .bind(&numbers)
            .execute(&mut *transaction)
            .await?;
            // A subject without a live version keeps no settings.
            sqlx::query(
                "DELETE FROM registry.settings WHERE subject = $1 AND NOT EXISTS
                 (SELECT FROM registry.versions WHERE subject = $1 AND NOT deleted)",
            )
            .bind(subject)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        if permanent {
            let mut cache = self
                .cache
                .write()
                .expect("the cache's lock is not poisoned");
            ids.iter().for_each(|id| cache.remove(*id));
        }
        tracing::info!(
            registry.subject = subject,
            registry.versions = ?numbers,
            permanent,
            "Deleted versions"
        );
        Ok(())
    }
}

/// Takes soft-deleted versions of a subject, or of all, away for good.
pub(super) async fn forget_deleted(
    transaction: &mut Transaction<'static, Postgres>,
    subject: Option<&str>,
) -> Result<()> {
    let ids: Vec<i32> = sqlx::query_scalar(
        "DELETE FROM registry.versions WHERE deleted AND (subject = $1 OR $1 IS NULL)
         RETURNING schema_id",
    )
    .bind(subject)
    .fetch_all(&mut **transaction)
    .await?;
    forget_unused(transaction, &ids).await
}

/// A schema goes with its last version; its id is not given again.
async fn forget_unused(
    transaction: &mut Transaction<'static, Postgres>,
    ids: &[i32],
) -> Result<()> {
    sqlx::query(
        "DELETE FROM registry.schemas s WHERE id = ANY($1) AND NOT EXISTS
         (SELECT FROM registry.versions WHERE schema_id = s.id)",
    )
    .bind(ids)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn unreferenced(
    transaction: &mut Transaction<'static, Postgres>,
    subject: &str,
    version: i32,
) -> Result<()> {
    let referrers = referenced_by(&mut **transaction, subject, version).await?;
    if referrers.is_empty() {
        Ok(())
    } else {
        Err(Error::ReferenceExists(subject.into(), version))
    }
}

async fn versions(
    transaction: &mut Transaction<'static, Postgres>,
    subject: &str,
) -> Result<Vec<Version>> {
    let rows: Vec<(i32, i32, bool)> = sqlx::query_as(
        "SELECT version, schema_id, deleted FROM registry.versions
         WHERE subject = $1 ORDER BY version",
    )
    .bind(subject)
    .fetch_all(&mut **transaction)
    .await?;
    let versions = rows
        .into_iter()
        .map(|(version, schema_id, deleted)| Version {
            version,
            schema_id,
            deleted,
        });
    Ok(versions.collect())
}
