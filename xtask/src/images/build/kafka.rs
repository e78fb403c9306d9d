//! Kafka's offline image: the pinned jars, and the class archive that a broker of that very image
//! wrote, which halves the time to start.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures_util::StreamExt;

use super::context::BuildContext;
use super::{Builder, Built, keyed};
use crate::components::docker::{self, Daemon};
use crate::components::kafka::jars;
use crate::images::catalogue::ImageSpec;
use crate::images::inventory::folder;
use crate::images::transfer;
use crate::output::Step;

/// In the container of the broker that writes the archive.
const ARCHIVE: &str = "/var/lib/kafka/classes.jsa";

/// A second build at the same time is excluded by the lock, so one name is enough.
const CONTAINER: &str = "edalab-build-kafka";

/// What a broker says once it serves.
const STARTED: &str = "Kafka Server started";

pub(super) async fn build(
    builder: &Builder<'_>,
    spec: &ImageSpec,
    step: &Step,
) -> anyhow::Result<Built> {
    let reference = spec.offline.as_deref().context("it has no offline image")?;
    let ctx = builder.ctx;
    let jars = jars::fetch_pinned(ctx, step).await?;
    let home = ctx.root.join("infra/images/kafka");
    let context = BuildContext::new(&home.join("Dockerfile"))
        .file("entrypoint.sh", &home.join("entrypoint.sh"))
        .file(
            "log4j.properties",
            &ctx.root.join("infra/kafka/log4j.properties"),
        )
        .folder("libs", &jars);
    let (context, key) = keyed(context, &builder.base.id).await?;
    if let Some(current) = builder.current(reference, &key) {
        return Ok(current);
    }
    step.update(format_args!("builds {reference}"));
    let stage = builder
        .assemble(context, &builder.base.id, &key, step)
        .await?;
    step.update("archives Kafka's classes for quicker starts");
    let work = tempfile::tempdir_in(folder(ctx)).context("failed to write to the cache")?;
    let archive = work.path().join("classes.jsa");
    let id = match write_archive(builder.daemon, spec, &stage, &archive).await {
        Ok(()) => {
            let context =
                BuildContext::new(&home.join("archive.Dockerfile")).file("classes.jsa", &archive);
            builder.assemble(context, &stage, &key, step).await?
        }
        Err(e) => {
            step.update(format_args!("goes on without a class archive: {e:#}"));
            stage
        }
    };
    builder.tag(&id, reference).await?;
    Ok(Built {
        id,
        key,
        anew: true,
    })
}

/// Runs a broker once, without a network, and fetches what its JVM leaves at a clean exit.
async fn write_archive(
    daemon: &Daemon,
    spec: &ImageSpec,
    image: &str,
    to: &Path,
) -> anyhow::Result<()> {
    remove(daemon).await;
    let mut env: Vec<String> = [
        "KAFKA_HEAP_OPTS",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "MALLOC_ARENA_MAX",
    ]
    .iter()
    .filter_map(|name| Some(format!("{name}={}", spec.env.get(*name)?)))
    .collect();
    env.extend(
        [
            "CLUSTER_ID=edalab-class-archive-1",
            "KAFKA_NODE_ID=1",
            "KAFKA_PROCESS_ROLES=broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS=1@127.0.0.1:29093",
            "KAFKA_LISTENERS=HOST://127.0.0.1:9092,CONTROLLER://127.0.0.1:29093",
            "KAFKA_ADVERTISED_LISTENERS=HOST://127.0.0.1:9092",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=HOST:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
            "KAFKA_INTER_BROKER_LISTENER_NAME=HOST",
            "KAFKA_LOG_DIRS=/var/lib/kafka/data",
        ]
        .map(String::from),
    );
    env.push(format!("KAFKA_OPTS=-XX:ArchiveClassesAtExit={ARCHIVE}"));
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(env),
        labels: Some(HashMap::from([(
            "edalab.build".to_owned(),
            "kafka".to_owned(),
        )])),
        host_config: Some(HostConfig {
            network_mode: Some("none".into()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default()
        .name(CONTAINER)
        .build();
    let created = daemon.create_container(Some(options), body).await;
    created.context("failed to create a container")?;
    let _remover = Remover;
    daemon
        .start_container(CONTAINER, None)
        .await
        .context("failed to start a container")?;
    tokio::time::timeout(Duration::from_secs(90), said_it_started(daemon))
        .await
        .context("the broker takes too long")??;
    let options = StopContainerOptionsBuilder::default().t(60).build();
    daemon
        .stop_container(CONTAINER, Some(options))
        .await
        .context("failed to stop the broker")?;
    let options = DownloadFromContainerOptionsBuilder::default()
        .path(ARCHIVE)
        .build();
    let tar = daemon.download_from_container(CONTAINER, Some(options));
    let to = to.to_owned();
    transfer::into_writer(
        tar,
        |_| (),
        move |chunks| {
            let mut archive = tar::Archive::new(Chunks {
                chunks,
                rest: bytes::Bytes::new(),
            });
            let mut entries = archive.entries().context("failed to read the archive")?;
            let mut entry = entries.next().context("the JVM wrote none")??;
            let mut out = std::fs::File::create(&to).context("failed to write to the cache")?;
            std::io::copy(&mut entry, &mut out).context("failed to write to the cache")?;
            Ok(())
        },
    )
    .await
    .context("failed to fetch the archive")
}

async fn said_it_started(daemon: &Daemon) -> anyhow::Result<()> {
    let options = LogsOptionsBuilder::default()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .build();
    let mut lines = daemon.logs(CONTAINER, Some(options)).boxed();
    let mut last = String::new();
    while let Some(line) = lines.next().await {
        last = line.context("failed to read the broker's log")?.to_string();
        if last.contains(STARTED) {
            return Ok(());
        }
    }
    anyhow::bail!("the broker ended: {}", last.trim())
}

async fn remove(daemon: &Daemon) {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    let _ = daemon.remove_container(CONTAINER, Some(options)).await;
}

/// Also when the build is interrupted.
struct Remover;

impl Drop for Remover {
    fn drop(&mut self) {
        docker::blocking(|| async {
            let daemon = Daemon::connect().await?;
            remove(&daemon).await;
            Ok(())
        })
        .unwrap_or_default();
    }
}

/// Chunks as something to read from.
struct Chunks<'a> {
    chunks: &'a mut dyn Iterator<Item = bytes::Bytes>,
    rest: bytes::Bytes,
}

impl Read for Chunks<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.rest.is_empty() {
            match self.chunks.next() {
                Some(chunk) => self.rest = chunk,
                None => return Ok(0),
            }
        }
        let count = out.len().min(self.rest.len());
        out[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
