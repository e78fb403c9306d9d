//! Configuration (compatibility level, normal form) and mode: of all subjects, or of one.

use std::str::FromStr;

use sqlx::{PgExecutor, Postgres, Row, Transaction};

use super::Store;
use super::deletes::forget_deleted;
use crate::compatibility::Level;
use crate::error::{Error, Result};

/// The row that holds for all subjects that have none of their own.
const GLOBAL: &str = "";

/// What may be done with a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    ReadWrite,
    ReadOnly,
    /// For all subjects, whatever their own mode says.
    ReadOnlyOverride,
    /// Schemas come with their ids, and without a check of compatibility.
    Import,
}

impl Mode {
    const ALL: [(&'static str, Self); 4] = [
        ("READWRITE", Self::ReadWrite),
        ("READONLY", Self::ReadOnly),
        ("READONLY_OVERRIDE", Self::ReadOnlyOverride),
        ("IMPORT", Self::Import),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
    pub fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly | Self::ReadOnlyOverride)
    }
}

impl FromStr for Mode {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let found = Self::ALL
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|(_, mode)| *mode).ok_or(())
    }
}

/// What holds for a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub level: Level,
    /// Schemas are put into their normal form.
    pub normalize: bool,
    pub mode: Mode,
}

impl Settings {
    const DEFAULT: Self = Self {
        level: Level::Backward,
        normalize: false,
        mode: Mode::ReadWrite,
    };
}

/// The configuration of a subject itself; what is `None` is not set, or not to be changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Config {
    pub level: Option<Level>,
    pub normalize: Option<bool>,
}

impl Store {
    /// What holds for a subject (`None`: for all), its own settings before the global ones.
    pub async fn settings(&self, subject: Option<&str>) -> Result<Settings> {
        effective(&self.pool, subject.unwrap_or(GLOBAL)).await
    }

    /// The configuration of a subject itself, if it has one.
    pub async fn config(&self, subject: &str) -> Result<Option<Config>> {
        let own = own(&self.pool, subject).await?;
        Ok(own
            .map(|(config, _)| config)
            .filter(|c| *c != Config::default()))
    }

    /// The mode of a subject itself, if it has one.
    pub async fn mode(&self, subject: &str) -> Result<Option<Mode>> {
        Ok(own(&self.pool, subject).await?.and_then(|(_, mode)| mode))
    }

    /// Changes the configuration of a subject, or of all.
    pub async fn set_config(&self, subject: Option<&str>, config: Config) -> Result<()> {
        let mut transaction = self.exclusive().await?;
        writable(&mut transaction, subject).await?;
        sqlx::query(
            "INSERT INTO registry.settings (subject, compatibility, normalize) VALUES ($1, $2, $3)
             ON CONFLICT (subject) DO UPDATE
             SET compatibility = coalesce(excluded.compatibility, settings.compatibility),
                 normalize = coalesce(excluded.normalize, settings.normalize)",
        )
        .bind(subject.unwrap_or(GLOBAL))
        .bind(config.level.map(Level::name))
        .bind(config.normalize)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        tracing::info!(
            registry.subject = subject.unwrap_or("(all)"),
            registry.compatibility = config.level.map(Level::name),
            registry.normalize = config.normalize,
            "Changed a configuration"
        );
        Ok(())
    }

    /// Takes the configuration of a subject, or of all, away.
    pub async fn delete_config(&self, subject: Option<&str>) -> Result<()> {
        let mut transaction = self.exclusive().await?;
        writable(&mut transaction, subject).await?;
        sqlx::query(
            "UPDATE registry.settings SET compatibility = NULL, normalize = NULL
             WHERE subject = $1",
        )
        .bind(subject.unwrap_or(GLOBAL))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let subject = subject.unwrap_or("(all)");
        tracing::info!(registry.subject = subject, "Removed a configuration");
        Ok(())
    }

    /// Sets the mode of a subject, or of all.
    ///
    /// # Errors
    /// 42205 for IMPORT where schemas are registered, unless `force` says so: imported ids could
    /// not be told from theirs.
    pub async fn set_mode(&self, subject: Option<&str>, mode: Mode, force: bool) -> Result<()> {
        let mut transaction = self.exclusive().await?;
        let name = subject.unwrap_or(GLOBAL);
        let is_new = own(&mut *transaction, name)
            .await?
            .and_then(|(_, mode)| mode)
            != Some(mode);
        if mode == Mode::Import && is_new && !force {
            let found: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM registry.versions
                 WHERE NOT deleted AND (subject = $1 OR $1 = ''))",
            )
            .bind(name)
            .fetch_one(&mut *transaction)
            .await?;
            if found {
                return Err(Error::SubjectsExist);
            }
            forget_deleted(&mut transaction, subject).await?;
        }
        let sql = "INSERT INTO registry.settings (subject, mode) VALUES ($1, $2)
                   ON CONFLICT (subject) DO UPDATE SET mode = excluded.mode";
        sqlx::query(sql)
            .bind(name)
            .bind(mode.name())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let subject = subject.unwrap_or("(all)");
        let mode = mode.name();
        tracing::info!(
            registry.subject = subject,
            registry.mode = mode,
            "Set a mode"
        );
        Ok(())
    }

    /// Takes a subject's own mode away.
    pub async fn delete_mode(&self, subject: &str) -> Result<()> {
        let mut transaction = self.exclusive().await?;
        sqlx::query("UPDATE registry.settings SET mode = NULL WHERE subject = $1")
            .bind(subject)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        tracing::info!(registry.subject = subject, "Removed a mode");
        Ok(())
    }
}

/// Refuses to go on where writing is not allowed.
pub(super) async fn writable(
    transaction: &mut Transaction<'static, Postgres>,
    subject: Option<&str>,
) -> Result<()> {
    let settings = effective(&mut **transaction, subject.unwrap_or(GLOBAL)).await?;
    if settings.mode.is_read_only() {
        return Err(Error::ReadOnly(subject.unwrap_or("__GLOBAL").into()));
    }
    Ok(())
}

pub(super) async fn effective(executor: impl PgExecutor<'_>, subject: &str) -> Result<Settings> {
    // The global row first: its subject is the empty one.
    let rows = sqlx::query(
        "SELECT compatibility, normalize, mode FROM registry.settings
         WHERE subject IN ('', $1) ORDER BY subject",
    );
    let mut settings = Settings::DEFAULT;
    for row in rows.bind(subject).fetch_all(executor).await? {
        settings.level = parse(row.try_get("compatibility")?).unwrap_or(settings.level);
        let normalize: Option<bool> = row.try_get("normalize")?;
        settings.normalize = normalize.unwrap_or(settings.normalize);
        if settings.mode != Mode::ReadOnlyOverride {
            settings.mode = parse(row.try_get("mode")?).unwrap_or(settings.mode);
        }
    }
    Ok(settings)
}

async fn own(
    executor: impl PgExecutor<'_>,
    subject: &str,
) -> Result<Option<(Config, Option<Mode>)>> {
    let row = sqlx::query(
        "SELECT compatibility, normalize, mode FROM registry.settings WHERE subject = $1",
    );
    let Some(row) = row.bind(subject).fetch_optional(executor).await? else {
        return Ok(None);
    };
    let config = Config {
        level: parse(row.try_get("compatibility")?),
        normalize: row.try_get("normalize")?,
    };
    Ok(Some((config, parse(row.try_get("mode")?))))
}

fn parse<S: FromStr>(text: Option<&str>) -> Option<S> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_back_as_they_are_written() {
        for (name, mode) in Mode::ALL {
            assert_eq!(mode.name(), name);
            assert_eq!(name.to_lowercase().parse(), Ok(mode));
        }
        assert_eq!("SLOW".parse::<Mode>(), Err(()));
        assert_eq!(parse::<Level>(None), None);
    }
}
