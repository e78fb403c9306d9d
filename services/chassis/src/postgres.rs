//! The PostgreSQL pool, health, transactions and migrations.

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};
use sqlx::{ConnectOptions, PgConnection, Transaction};
use tokio_util::sync::CancellationToken;

use crate::config::PostgresConfig;

/// How long a caller waits for a connection before it is told that PostgreSQL is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connection options of one database, for a pool or a single connection.
pub fn options(config: &PostgresConfig) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.database)
        .username(&config.user)
        .password(config.password.expose())
        .application_name("edalab")
        .log_slow_statements(tracing::log::LevelFilter::Warn, Duration::from_secs(2))
}

/// A pool that connects when first used; PostgreSQL need not be there yet.
///
/// # Errors
/// When the configuration cannot work: an empty host, database or user, no connections.
pub fn connect(config: &PostgresConfig) -> anyhow::Result<PgPool> {
    anyhow::ensure!(!config.host.is_empty(), "postgres.host is empty");
    anyhow::ensure!(!config.database.is_empty(), "postgres.database is empty");
    anyhow::ensure!(!config.user.is_empty(), "postgres.user is empty");
    anyhow::ensure!(config.port != 0, "postgres.port is 0");
    anyhow::ensure!(
        config.max_connections > 0,
        "postgres.max_connections is 0: nothing could ever run"
    );
    Ok(PgPoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(60))
        .connect_lazy_with(options(config)))
}

/// Sets up a connection that writes and keeps its prepared statements.
///
/// - PostgreSQL ends a transaction in which nothing is said for `standstill`, and the connection with it.
/// - Statements are planned once, not at each execution.
/// - As a plan is kept, it may stem from when a table had ten rows. Reading the table is the best plan then;
///   when it has thousands, each of a thousand accounts is compared with each row. So tables are read by
///   their indexes, where they have any.
///
/// # Errors
/// What PostgreSQL says.
pub async fn set_up_writer(
    conn: &mut PgConnection,
    standstill: Duration,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('idle_in_transaction_session_timeout', $1, false),
                set_config('plan_cache_mode', 'force_generic_plan', false),
                set_config('enable_seqscan', 'off', false)",
    )
    .bind(standstill.as_millis().to_string())
    .execute(conn)
    .await
    .map(drop)
}

/// One round trip.
pub async fn health_check(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT 1").execute(pool).await.map(drop)
}

/// Waits until PostgreSQL answers, with backoff, for as long as it takes or until shutdown.
///
/// # Errors
/// Only when it can never succeed (wrong password, no such database) or at shutdown.
pub async fn wait_ready(pool: &PgPool, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let mut backoff = crate::kafka::Backoff::default();
    loop {
        match health_check(pool).await {
            Ok(()) => return Ok(()),
            Err(e) if is_transient(&e) => {
                tracing::warn!(error = %e, "Waiting for PostgreSQL");
                if !backoff.wait(shutdown).await {
                    anyhow::bail!("stopped while waiting for PostgreSQL");
                }
            }
            Err(e) => return Err(anyhow::Error::new(e).context("failed to use PostgreSQL")),
        }
    }
}

/// Runs `work` in one transaction: commits when it returns `Ok`, rolls back otherwise.
pub async fn with_transaction<T, E, F>(pool: &PgPool, work: F) -> Result<T, E>
where
    F: AsyncFnOnce(&mut Transaction<'static, Postgres>) -> Result<T, E>,
    E: From<sqlx::Error>,
{
    let mut transaction = pool.begin().await?;
    let value = work(&mut transaction).await?;
    transaction.commit().await?;
    Ok(value)
}

/// Creates `schema` and applies the migrations that it lacks, in order, under a lock, so that
/// several instances may start at once.
///
/// # Errors
/// When an applied migration's text has changed since, or when PostgreSQL refuses one.
pub async fn migrate(
    pool: &PgPool,
    schema: &'static str,
    migrations: &[(&'static str, &'static str)],
) -> anyhow::Result<()> {
    use anyhow::Context;
    let migrations = migrations.iter().zip(1..).map(|((name, sql), version)| {
        Migration::new(
            version,
            (*name).into(),
            MigrationType::Simple,
            sqlx::SqlStr::from_static(sql),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.create_schema(schema);
    migrator.dangerous_set_table_name(format!("{schema}.migrations"));
    migrator
        .run(pool)
        .await
        .with_context(|| format!("failed to migrate the schema {schema}"))
}

/// True when trying again later can succeed: PostgreSQL is away, starting, stopping, out of
/// connections or of space, or a transaction met another one.
pub fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(e) => e.code().is_some_and(|code| {
            // Connection, transaction rollback, resources, operator intervention, system error.
            ["08", "40", "53", "57", "58", "55P03"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// True when a unique or primary key was violated.
pub fn is_unique_violation(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(e) if e.is_unique_violation())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn config(port: u16) -> PostgresConfig {
        PostgresConfig {
            host: "127.0.0.1".into(),
            port,
            database: "edalab".into(),
            user: "edalab".into(),
            password: Secret::new("x"),
            max_connections: 1,
        }
    }

    /// Plan: TestNewDBPool_InvalidConfig
    #[tokio::test]
    async fn new_db_pool_invalid_config() {
        assert!(connect(&config(0)).is_err());
        let no_database = PostgresConfig {
            database: String::new(),
            ..config(5432)
        };
        let error = connect(&no_database).unwrap_err();
        assert!(error.to_string().contains("postgres.database"), "{error}");
    }

    /// Plan: TestHealthCheck_Fail
    #[tokio::test]
    async fn health_check_fail() {
        // A port that was free a moment ago: nothing listens there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let pool = connect(&config(port)).unwrap();
        let error = health_check(&pool).await.unwrap_err();
        assert!(is_transient(&error), "{error:?}");
    }
}
