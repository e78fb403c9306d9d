//! The registry as a whole: it listens at once, and is ready when PostgreSQL is.

use chassis::{http, postgres};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::store::{MIGRATIONS, Store};

/// Serves until `shutdown`.
///
/// # Errors
/// When its address cannot be bound, or PostgreSQL refuses it for good.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = http::server::bind(&config.service).await?;
    let pool = postgres::connect(&config.postgres)?;
    let router = crate::api::router(Store::new(pool.clone()));
    tokio::try_join!(
        http::serve_on(listener, router, shutdown.clone()),
        prepare(&pool, &shutdown),
    )?;
    // A pool that waits for a PostgreSQL that is gone must not hold up the end.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), pool.close()).await;
    Ok(())
}

/// Waits for PostgreSQL and brings its schema up to date. Requests that come before get 50001.
async fn prepare(pool: &PgPool, shutdown: &CancellationToken) -> anyhow::Result<()> {
    loop {
        let prepared = async {
            postgres::wait_ready(pool, shutdown).await?;
            postgres::migrate(pool, "registry", MIGRATIONS).await
        };
        let result = tokio::select! {
            result = prepared => result,
            () = shutdown.cancelled() => return Ok(()),
        };
        match result {
            Ok(()) => {
                tracing::info!("The store is ready");
                return Ok(());
            }
            _ if shutdown.is_cancelled() => return Ok(()),
            // It went away again in the middle: that is not the migration's fault.
            Err(e) if postgres::health_check(pool).await.is_err() => {
                tracing::warn!(error = format!("{e:#}"), "Failed to migrate, trying again");
            }
            Err(e) => return Err(e),
        }
    }
}
