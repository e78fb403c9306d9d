//! The service as a whole: it listens at once, waits for PostgreSQL and the registry, and then
//! consumes until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use chassis::kafka::{EventDecoder, EventProducer};
use chassis::registry::RegistryClient;
use chassis::{http, postgres};
use rdkafka::consumer::CommitMode;
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::api::{self, Api};
use crate::broker::Broker;
use crate::config::Config;
use crate::consumer::group::GroupConsumer;
use crate::consumer::{self, Source, group};
use crate::handoff::Handoff;
use crate::health::Dependency;
use crate::outbox;
use crate::shared::Shared;
use crate::store::MIGRATIONS;
use crate::writer::{Sink, Writer};

/// How long the writer may finish what it has after a stop.
const DRAIN: Duration = Duration::from_secs(5);

/// Runs until `shutdown`.
///
/// # Errors
/// When its address cannot be bound, or PostgreSQL or the registry refuse it for good.
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
    let listener = http::server::bind(&config.common.service).await?;
    let address = listener
        .local_addr()
        .context("failed to read the address")?;
    let pool = postgres::connect(&config.common.postgres)?;
    let consumer = Arc::new(group::consumer(&config.common.kafka, &config.group)?);
    let shared = Arc::new(Shared::default());
    let broker = Arc::new(Broker::new(consumer.clone(), &config.group, shared.clone()));
    let router = api::router(Api {
        pool: pool.clone(),
        broker: broker.clone(),
        shared: shared.clone(),
    });
    let service = tokio::spawn(async move {
        // One part that fails for good ends the others.
        let stop = shutdown.child_token();
        let _end = stop.clone().drop_guard();
        let work = work(&config, &pool, consumer, shared, stop.clone());
        tokio::try_join!(
            http::serve_on(listener, router, stop.clone()),
            work,
            async {
                broker.monitor(stop.clone()).await;
                Ok(())
            }
        )?;
        // A pool that waits for a PostgreSQL that is gone must not hold up the end.
        let _ = tokio::time::timeout(Duration::from_secs(1), pool.close()).await;
        Ok(())
    });
    Ok((address, service))
}

/// Prepares what consuming needs, consumes, and leaves the group in good order.
async fn work(
    config: &Config,
    pool: &PgPool,
    consumer: Arc<GroupConsumer>,
    shared: Arc<Shared>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let registry = RegistryClient::new(&config.common.schema.url);
    let ids = tokio::select! {
        prepared = async {
            prepare(pool, &shared, &shutdown).await?;
            registry.wait_ids(&shutdown).await.context("failed to register the schemas")
        } => match prepared {
            Ok(ids) => ids,
            Err(_) if shutdown.is_cancelled() => return Ok(()),
            Err(e) => return Err(e),
        },
        () = shutdown.cancelled() => return Ok(()),
    };
    let producer = EventProducer::new(&config.common.kafka, crate::SERVICE)?;
    let decoder = EventDecoder::new(registry);
    let sink = Arc::new(Sink {
        pool: pool.clone(),
        ids,
        decoder: decoder.clone(),
        group: config.group.clone(),
        parking_time: config.parking_time,
        shared: shared.clone(),
        shutdown: shutdown.clone(),
    });
    let mut writers = JoinSet::new();
    let mut work = Vec::new();
    for number in 0..config.writers {
        let (handoff, handed) = Handoff::new();
        work.push(handoff);
        writers.spawn(Writer::new(sink.clone(), number == 0).run(handed));
    }
    let relay = outbox::relay(
        pool.clone(),
        producer.clone(),
        shared.outbox_ready.clone(),
        shutdown.clone(),
    );
    let mut relay = tokio::spawn(relay);
    let source = Source {
        consumer: consumer.clone(),
        decoder,
        batch_max: config.batch_max,
        group: config.group.clone(),
        work,
        shared: shared.clone(),
        runtime: Handle::current(),
        shutdown: shutdown.clone(),
    };
    let (returned, ended) = oneshot::channel();
    let poller = std::thread::Builder::new()
        .name("consumer".into())
        .spawn(move || {
            consumer::run(source);
            // Dropped unsent by a panic.
            let _ = returned.send(());
        })
        .context("failed to start the consumer's thread")?;
    tracing::info!(kafka.group = config.group, "Consuming");
    tokio::select! {
        // First: both end with the shutdown, too. Before it they end only by a panic.
        biased;
        () = shutdown.cancelled() => {}
        ended = writers.join_next() => anyhow::bail!("a writer ended: {ended:?}"),
        ended = &mut relay => anyhow::bail!("the relay ended: {ended:?}"),
        Err(_) = ended => anyhow::bail!("the consumer panicked"),
    }
    // The consumer stops first; then the queues are closed and the writers end with what they have.
    let _ = tokio::task::spawn_blocking(move || poller.join()).await;
    let drained = async { while writers.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("Gave up what was in hand: it will be read again");
        writers.abort_all();
    }
    if tokio::time::timeout(DRAIN, &mut relay).await.is_err() {
        relay.abort();
    }
    let leave = move || {
        // Not waited for: the broker may be gone, and they are only hints.
        consumer::commit_hints(&consumer, shared.take_hints(), CommitMode::Async);
        group::leave(&consumer);
    };
    let _ = tokio::task::spawn_blocking(leave).await;
    Ok(())
}

/// Waits for PostgreSQL and brings the schema up to date.
async fn prepare(
    pool: &PgPool,
    shared: &Shared,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let prepared = async {
            postgres::wait_ready(pool, shutdown).await?;
            postgres::migrate(pool, crate::SERVICE, MIGRATIONS).await
        };
        match prepared.await {
            Ok(()) => {
                shared.health.up(Dependency::Postgres);
                return Ok(());
            }
            // It went away again in the middle: that is not the migration's fault.
            Err(e) if !shutdown.is_cancelled() && postgres::health_check(pool).await.is_err() => {
                shared
                    .health
                    .down(Dependency::Postgres, format_args!("{e:#}"));
            }
            Err(e) => return Err(e),
        }
    }
}
