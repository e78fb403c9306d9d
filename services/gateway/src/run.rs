//! The gateway as a whole: it listens at once, and streams as soon as Kafka is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chassis::http;
use chassis::registry::RegistryClient;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Gateway};
use crate::config::Config;
use crate::dead_letters::DeadLetters;
use crate::flow::Flow;
use crate::health::Health;
use crate::kafka_view::KafkaView;
use crate::kafka_view::records::Records;
use crate::lab::{self, Lab};
use crate::metrics_api::Metrics;
use crate::proxy::Proxy;
use crate::streaming::Streamer;
use crate::ui::Ui;
use crate::websocket::Hub;
use crate::websocket::upgrade::Door;

/// How long clients may take to hear that it is over.
const FAREWELL: Duration = Duration::from_secs(1);

/// A gateway that was started.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    /// Waits until it has ended, after a shutdown or by a failure.
    ///
    /// # Errors
    /// Its failure.
    pub async fn ended(self) -> anyhow::Result<()> {
        self.task.await.context("failed to wait for the gateway")?
    }
}

/// Runs until `shutdown`.
///
/// # Errors
/// When its address cannot be bound or its configuration cannot work.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    start(config, shutdown).await?.ended().await
}

/// Starts it; with port 0 the system chooses one.
///
/// # Errors
/// When its address cannot be bound or its configuration cannot work.
pub async fn start(config: Config, shutdown: CancellationToken) -> anyhow::Result<Running> {
    allow_many_connections();
    let listener = http::server::bind(&config.service).await?;
    let address = listener
        .local_addr()
        .context("failed to read the address")?;
    // One part that fails for good ends the others.
    let stop = shutdown.child_token();
    let hub = Hub::new(config.websocket);
    let flow = Arc::new(Flow::default());
    let registry = RegistryClient::new(&config.schema.url);
    let door = Door::new(hub.clone(), stop.clone());
    let gateway = assemble(&config, &hub, &flow, &registry, door.clone())?;
    let router = api::router(gateway, &config.security);
    let streamer = Streamer {
        kafka: config.kafka,
        registry,
        hub: hub.clone(),
        flow: flow.clone(),
    };
    let task = tokio::spawn(async move {
        let _end = stop.clone().drop_guard();
        tokio::try_join!(
            http::serve_on(listener, router, stop.clone()),
            streamer.run(stop.clone()),
            async {
                hub.run(&flow, stop.clone()).await;
                Ok(())
            }
        )?;
        // Those that do not listen any more are left behind.
        let _ = tokio::time::timeout(FAREWELL, door.closed()).await;
        Ok(())
    });
    Ok(Running { address, task })
}

fn assemble(
    config: &Config,
    hub: &Arc<Hub>,
    flow: &Arc<Flow>,
    registry: &RegistryClient,
    door: Door,
) -> anyhow::Result<Gateway> {
    let proxy = Proxy::new(
        &config.simulator_url,
        &config.bancaire_url,
        config.upstream,
        config.breaker,
    );
    let proxy = Arc::new(proxy.keeping_authorization(config.security.token.is_some()));
    let registry_url = &config.schema.url;
    let kafka = Arc::new(KafkaView::new(&config.kafka)?);
    let health = Arc::new(Health::new(proxy.clone(), registry_url, hub.clone()));
    let lab = config.lab_xtask.clone().zip(config.lab_dir.clone());
    let lab = lab.map(|(xtask, dir)| lab::Settings { xtask, dir });
    Ok(Gateway {
        metrics: Metrics::new(
            proxy.clone(),
            registry_url,
            health.clone(),
            kafka.clone(),
            hub.clone(),
            flow.clone(),
        ),
        records: Records::new(&config.kafka, registry.clone(), registry_url),
        dead_letters: DeadLetters::new(&config.kafka, registry.clone())?,
        lab: Lab::new(lab, config.service.is_loopback()),
        ui: Ui::new(&config.ui_dir),
        hub: hub.clone(),
        proxy,
        health,
        kafka,
        door,
    })
}

/// Each WebSocket is a file.
fn allow_many_connections() {
    match rlimit::increase_nofile_limit(65_536) {
        Ok(limit) => tracing::debug!(limit, "May open so many files"),
        Err(error) => tracing::warn!(error = %error, "Failed to allow more open files"),
    }
}
