//! The broker's life: open the data, listen, serve, stop cleanly.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use nisshi_broker::Error;
use nisshi_service::{
    BytesFrameLayer, BytesFrameService, TcpBytesLayer, TcpBytesService, TcpContext,
    TcpContextLayer, TcpContextService,
};
use nisshi_storage::{BrokerRegistrationRequest, Storage, StorageContainer};
use nisshi_storage_sql::LiteEngineFactory;
use rama::extensions::Extensions;
use rama::tcp::TcpStream;
use rama::{Layer, Service};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;
use uuid::Uuid;

use crate::config::Config;
use crate::data::{DATABASE, Data};
use crate::gate::Gate;
use crate::routes::routes;
use crate::store::Store;

/// Fixed in nisshi.
const NODE_ID: i32 = nisshi_broker::NODE_ID;

/// As often as Kafka looks for records that are past their topic's retention.
const RETENTION_CHECK: Duration = Duration::from_secs(300);

/// What is being written when the broker is told to stop is finished, but not waited for longer.
const STOP_PATIENCE: Duration = Duration::from_secs(3);

/// After an accept that failed for want of files or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection's bytes go through.
type Connection = TcpContextService<TcpBytesService<BytesFrameService<Gate>>>;

/// Serves until `stop`.
///
/// # Errors
/// When the data or the port is somebody else's, or the data cannot be read.
pub async fn run(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let started = Instant::now();
    let data = Data::open(&config.data)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.port));
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}"))?;
    let store = open_store(&config, &data, &stop).await?;
    let routes = routes(&store, &stop).context("failed to set up the routes")?;
    let gate = Gate::new(routes, stop.clone());
    info!(
        server.address = %address,
        kafka.cluster_id = data.cluster_id,
        start_ms = started.elapsed().as_millis() as u64,
        "Broker listens"
    );
    let retention = tokio::spawn(keep_retention(store));
    let connections = accept(&listener, &gate, &data.cluster_id, &stop).await;
    drop(listener);
    let finished = gate.close(STOP_PATIENCE).await;
    retention.abort();
    // Clients meet a closed connection and look for the broker again.
    drop(connections);
    if finished {
        info!("Broker stopped");
    } else {
        warn!("Broker stopped with requests unfinished");
    }
    Ok(())
}

/// The folder becomes the working folder: nisshi names its file relative to it.
async fn open_store(
    config: &Config,
    data: &Data,
    stop: &CancellationToken,
) -> anyhow::Result<Store> {
    let folder = &config.data;
    std::env::set_current_dir(folder)
        .with_context(|| format!("failed to enter {}", folder.display()))?;
    let url = |text: String| Url::parse(&text).context("failed to make an address");
    let mut engines = StorageContainer::builder();
    engines.with_factory(Arc::new(LiteEngineFactory));
    let storage = engines
        .cluster_id(&data.cluster_id)
        .node_id(NODE_ID)
        .advertised_listener(url(format!("tcp://127.0.0.1:{}", config.port))?)
        // Whose turn it is to write is the store's business; readers need not wait for it.
        .storage(url(format!("sqlite://{DATABASE}?mode=direct"))?)
        .cancellation(stop.clone())
        .silent(true)
        .build()
        .await
        .with_context(|| format!("failed to open {}", folder.join(DATABASE).display()))?;
    let store = Store::new(Arc::new(storage));
    store
        .register_broker(BrokerRegistrationRequest {
            broker_id: NODE_ID,
            cluster_id: data.cluster_id.clone(),
            incarnation_id: Uuid::new_v4(),
            rack: None,
        })
        .await
        .context("failed to register with the data")?;
    Ok(store)
}

/// Accepts until `stop`; returns the connections that are open then.
async fn accept(
    listener: &TcpListener,
    gate: &Gate,
    cluster_id: &str,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let context = TcpContext::default().cluster_id(Some(cluster_id.into()));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => return connections,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Small answers must not wait for more to send.
                if let Err(error) = stream.set_nodelay(true) {
                    warn!(client.address = %peer, %error, "Could not set up a connection");
                    continue;
                }
                let service: Connection = (
                    TcpContextLayer::new(context.clone()),
                    TcpBytesLayer,
                    BytesFrameLayer::default(),
                )
                    .into_layer(gate.clone());
                let stream = TcpStream::from_tokio_tcp_stream(stream, Extensions::default());
                connections.spawn(async move {
                    if let Err(error) = service.serve(stream).await
                        && !is_usual_end(&error)
                    {
                        warn!(client.address = %peer, %error, "Connection ended");
                    }
                });
            }
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
            Err(error) => {
                warn!(%error, "Could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Clients come and go, and fall silent.
fn is_usual_end(error: &Error) -> bool {
    matches!(error, Error::Io(io) if matches!(
        io.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::TimedOut
    ))
}

async fn keep_retention(store: Store) {
    let first = tokio::time::Instant::now() + RETENTION_CHECK;
    let mut ticks = interval_at(first, RETENTION_CHECK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = store.maintain(SystemTime::now()).await {
            warn!(%error, "Could not remove old records");
        }
    }
}
