//! The service as a whole: it listens at once, waits for the registry, and then publishes what it
//! is asked for until it is told to stop.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use chassis::http;
use chassis::kafka::journal::Journal;
use chassis::registry::RegistryClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api};
use crate::config::Config;
use crate::guichet::Guichet;
use crate::health::Health;
use crate::publish::Publisher;
use crate::scenario::Scenarios;
use crate::simulation::Manager;

/// How long the broker may take to acknowledge the last events after a stop.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs until `shutdown`.
///
/// # Errors
/// When its address cannot be bound, a scenario is wrong, or the registry refuses the schemas for
/// good.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (_, service) = start(config, shutdown).await?;
    service.await.context("failed to wait for the service")?
}

/// Starts it, and gives the address on which it listens: with port 0 the system chooses one.
///
/// # Errors
/// When its address cannot be bound or its configuration cannot work.
pub async fn start(
    config: Config,
    shutdown: CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<anyhow::Result<()>>)> {
    let scenarios = Scenarios::load(config.scenarios_dir.as_deref())?;
    let listener = http::server::bind(&config.service).await?;
    let address = listener
        .local_addr()
        .context("failed to read the address")?;
    let journal = config.journal.as_deref().map(Journal::open).transpose()?;
    let publisher = Arc::new(Publisher::new(&config.kafka, journal)?);
    let manager = Arc::new(Manager::new(publisher.clone()));
    let router = api::router(Api {
        publisher: publisher.clone(),
        manager: manager.clone(),
        guichet: Arc::new(Mutex::new(Guichet::new(rand::random()))),
        scenarios: Arc::new(scenarios),
        health: Arc::new(Health::new(publisher.clone())),
        max_rate: config.max_rate,
    });
    let service = tokio::spawn(async move {
        // One part that fails for good ends the others.
        let stop = shutdown.child_token();
        let _end = stop.clone().drop_guard();
        tokio::try_join!(
            http::serve_on(listener, router, stop.clone()),
            prepare(&config, &publisher, &stop),
            async {
                stop.cancelled().await;
                manager.close(DRAIN).await;
                Ok(())
            }
        )?;
        Ok(())
    });
    Ok((address, service))
}

/// Registers the schemas, however long the registry is away. Until then nothing can be published.
async fn prepare(
    config: &Config,
    publisher: &Publisher,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let registry = RegistryClient::new(&config.schema.url);
    tokio::select! {
        ids = registry.wait_ids(shutdown) => match ids {
            Ok(ids) => publisher.set_ids(ids),
            Err(_) if shutdown.is_cancelled() => {}
            Err(e) => return Err(e).context("failed to register the schemas"),
        },
        () = shutdown.cancelled() => {}
    }
    Ok(())
}
