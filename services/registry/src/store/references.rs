//! Schemas of other subjects: what one refers to, directly or through others, and who refers to
//! one.

use std::collections::HashSet;

use serde_json::json;
use sqlx::{PgConnection, PgExecutor};

use super::reads::version;
use super::{Registered, Store, Wanted};
use crate::avro::Schema;
use crate::canonical::whole;
use crate::error::{Error, Result};
use crate::reference::Reference;

/// How many schemas one may refer to, directly or not: each is read and parsed with it.
const LIMIT: usize = 1000;

impl Store {
    /// The texts that `references` stand for, each after those that it needs itself.
    ///
    /// # Errors
    /// 42201 when one of them is not there.
    pub async fn texts(&self, references: &[Reference]) -> Result<Vec<String>> {
        if references.is_empty() {
            return Ok(Vec::new());
        }
        texts(&mut *self.pool.acquire().await?, references).await
    }

    /// Ids of the live schemas that refer to a version, in order.
    pub async fn referenced_by(&self, subject: &str, version: i32) -> Result<Vec<i32>> {
        referenced_by(&self.pool, subject, version).await
    }
}

/// A step on the way through a tree of references.
enum Step {
    Enter(Reference),
    /// All that this text needs is there.
    Leave(String),
}

pub(super) async fn texts(
    connection: &mut PgConnection,
    references: &[Reference],
) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    // The first reference to a name decides what it stands for.
    let mut seen = HashSet::new();
    let mut steps: Vec<Step> = references.iter().rev().cloned().map(Step::Enter).collect();
    while let Some(step) = steps.pop() {
        let reference = match step {
            Step::Leave(text) => {
                texts.push(text);
                continue;
            }
            Step::Enter(reference) => reference,
        };
        if !seen.insert(reference.name.clone()) {
            continue;
        }
        if seen.len() > LIMIT {
            let reason = format!("The schema refers to more than {LIMIT} others.");
            return Err(Error::InvalidSchema(reason));
        }
        let found = find(&mut *connection, &reference).await?;
        steps.push(Step::Leave(found.schema));
        steps.extend(found.references.into_iter().rev().map(Step::Enter));
    }
    Ok(texts)
}

/// What a reference stands for, even if it is soft-deleted.
pub(super) async fn find(
    executor: impl PgExecutor<'_>,
    reference: &Reference,
) -> Result<Registered> {
    let wanted = Wanted::Number(reference.version);
    let found = version(executor, &reference.subject, wanted, true).await?;
    found.ok_or_else(|| {
        Error::InvalidSchema(format!(
            "No schema reference found for subject \"{}\" and version {}",
            reference.subject, reference.version
        ))
    })
}

pub(super) async fn referenced_by(
    executor: impl PgExecutor<'_>,
    subject: &str,
    version: i32,
) -> Result<Vec<i32>> {
    let ids = sqlx::query_scalar(
        "SELECT id FROM registry.schemas s WHERE refs <> '[]' AND refs @> $1
         AND EXISTS (SELECT FROM registry.versions WHERE schema_id = s.id AND NOT deleted)
         ORDER BY id",
    );
    let reference = json!([{ "subject": subject, "version": version }]);
    Ok(ids.bind(reference).fetch_all(executor).await?)
}

/// The latest version of a subject that says the same as `text` once its references are written
/// out: so clients send what they resolved themselves.
pub(super) async fn find_resolved(
    connection: &mut PgConnection,
    subject: &str,
    text: &str,
    with_deleted: bool,
) -> Result<Option<Registered>> {
    let candidates: Vec<Registered> = sqlx::query_as(
        "SELECT subject, version, schema_id AS id, schema, refs, deleted
         FROM registry.versions v JOIN registry.schemas s ON s.id = v.schema_id
         WHERE subject = $1 AND refs <> '[]' AND (NOT deleted OR $2) ORDER BY version DESC",
    )
    .bind(subject)
    .bind(with_deleted)
    .fetch_all(&mut *connection)
    .await?;
    for candidate in candidates {
        let references = texts(connection, &candidate.references).await?;
        let schema = Schema::parse_with(&candidate.schema, &references).ok();
        if schema.as_ref().and_then(whole).as_deref() == Some(text) {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}
