//! What is decided before anything starts: ports, where data lies, passwords and identities.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{Platform, UpOptions};
use crate::Context;
use crate::components::broker::{BrokerChoice, Chosen};
use crate::components::{Part, instance, kafka, postgres};
use crate::ports::{self, Choice};
use crate::state::{ComponentState, LabMemory};

/// How many brokers: what was asked, else as many as the data was made by.
///
/// # Errors
/// When the backend cannot, or the data was made by another number.
pub(super) fn brokers(
    options: &UpOptions,
    platform: &Platform,
    memory: &mut LabMemory,
) -> anyhow::Result<u32> {
    let Platform::Docker(_) = platform else {
        anyhow::ensure!(
            options.brokers.is_none_or(|count| count == 1),
            "--brokers {} needs --backend docker",
            options.brokers.unwrap_or_default()
        );
        return Ok(1);
    };
    let made_by = Some(memory.brokers).filter(|count| *count > 0);
    let count = options.brokers.or(made_by).unwrap_or(1);
    anyhow::ensure!(
        made_by.is_none_or(|made_by| made_by == count),
        "the lab's data was made by {} brokers, not {count}; `cargo xtask clean` removes the data",
        memory.brokers
    );
    if options.parts.contains(&Part::Kafka) {
        memory.brokers = count;
    }
    Ok(count)
}

/// Which broker stands in the embedded lab; said when it is about to be started.
///
/// # Errors
/// When the backend or the lab's data wants another one.
pub(super) async fn broker(
    ctx: &Context,
    options: &UpOptions,
    platform: &Platform,
    running: &[ComponentState],
) -> anyhow::Result<BrokerChoice> {
    if !matches!(platform, Platform::Embedded) {
        anyhow::ensure!(
            options.broker != Some(BrokerChoice::Light),
            "--broker light needs --backend embedded"
        );
        return Ok(BrokerChoice::Kafka);
    }
    let chosen = Chosen::by(ctx, options.broker).await?;
    let starts = options.parts.contains(&Part::Kafka)
        && !running
            .iter()
            .any(|component| component.name == Part::Kafka.name());
    if starts {
        ctx.out.line(&chosen);
    }
    Ok(chosen.broker)
}

/// Chooses the ports of what does not run yet, and says where a port was taken.
pub(super) fn assign_ports(
    ctx: &Context,
    options: &UpOptions,
    (brokers, workers): (u32, u32),
    running: &[ComponentState],
    memory: &mut LabMemory,
) -> anyhow::Result<()> {
    let runs = |name: &str| running.iter().any(|component| component.name == name);
    let mut wanted: Vec<(String, u16)> = Part::ALL
        .into_iter()
        .map(|part| (part.name().to_owned(), part.usual_port()))
        .collect();
    let watchers = Part::OBSERVABILITY.into_iter();
    let watchers = watchers.filter(|part| options.parts.contains(part));
    wanted.extend(watchers.map(|part| (part.name().to_owned(), part.usual_port())));
    if options.parts.contains(&Part::Jaeger) {
        wanted.push(("jaeger_otlp".into(), 4318));
    }
    if options.broker_metrics {
        let brokers = (1..=brokers).map(|number| instance(Part::Kafka, number));
        wanted.extend(brokers.map(|name| (format!("{name}_jmx"), 7071)));
    }
    // Further brokers are found through the first; where they are is of no interest.
    wanted.extend((2..=brokers).map(|number| (instance(Part::Kafka, number), 0)));
    wanted.extend((2..=workers).map(|number| (instance(Part::Bancaire, number), 0)));
    // Nobody but the broker itself connects there, so it has no usual port that labs would share.
    wanted.push(("kafka_controller".into(), 0));
    wanted.retain(|(name, _)| !runs(name.split('_').next().unwrap_or_default()));
    let wanted: Vec<(&str, u16)> = wanted
        .iter()
        .map(|(name, port)| (name.as_str(), *port))
        .collect();
    let chosen = ports::choose(
        &wanted,
        &options.asked_ports,
        &memory.ports,
        options.ports,
        ports::is_free,
    );
    let chosen: Vec<Choice> = chosen.map_err(|taken| {
        let taken = taken.iter().map(|(name, port)| {
            let owner = if ports::is_free(*port) {
                "another part that was given it".to_owned()
            } else {
                ports::owner(*port)
            };
            format!("the port {port} asked for {name} is taken by {owner}")
        });
        anyhow::anyhow!("{}", taken.collect::<Vec<_>>().join("; "))
    })?;
    for choice in chosen {
        if let Some(taken) = choice.instead_of
            && Part::every().any(|part| part.name() == choice.name)
        {
            let name = choice.name.to_uppercase();
            ctx.out.line(format_args!(
                "Port {taken} for {} is taken by {}; it gets {} (choose with EDALAB_PORT_{name})",
                choice.name,
                ports::owner(taken),
                choice.port,
            ));
        }
        memory.ports.insert(choice.name, choice.port);
    }
    Ok(())
}

/// Which of the parts that watch can be had: with the Docker backend what there are images for,
/// else Prometheus where it is installed and asked for.
pub(super) async fn observability(
    ctx: &Context,
    platform: Platform,
    mut options: UpOptions,
) -> anyhow::Result<(Platform, UpOptions)> {
    let wanted = |part: &Part| Part::OBSERVABILITY.contains(part);
    if !options.parts.iter().any(wanted) {
        return Ok((platform, options));
    }
    let platform = match platform {
        Platform::Docker(stack) => {
            let stack = stack.with_observability(ctx, &options.parts).await?;
            options
                .parts
                .retain(|part| !wanted(part) || stack.runs(*part));
            Platform::Docker(Box::new(stack))
        }
        other => {
            let runs = options.prometheus;
            let is_here = |part: &Part| runs && *part == Part::Prometheus;
            options.parts.retain(|part| !wanted(part) || is_here(part));
            other
        }
    };
    options.broker_metrics |= options.parts.contains(&Part::Prometheus);
    Ok((platform, options))
}

/// The JMX agent; without it the broker is not asked.
pub(super) async fn jmx_agent(ctx: &Context) -> Option<PathBuf> {
    let step = ctx.out.step("jmx", "looks for the JMX agent");
    match kafka::jars::jmx_agent(ctx, &step).await {
        Ok(jar) => {
            step.done("the broker shows its figures");
            Some(jar)
        }
        Err(e) => {
            step.done(format_args!("goes on without the broker's figures: {e:#}"));
            None
        }
    }
}

/// Decides once where PostgreSQL's data lies, and makes the password that goes with it.
pub(super) fn place_postgres(ctx: &Context, memory: &mut LabMemory) -> anyhow::Result<()> {
    if memory.postgres_dir.as_ref().is_none_or(|dir| !dir.is_dir()) {
        memory.postgres_dir = Some(postgres::data_folder(&ctx.lab_dir)?);
    }
    if memory.postgres_admin_password.is_empty() {
        let has_data = memory
            .postgres_dir
            .as_deref()
            .and_then(postgres::data_major)
            .is_some();
        anyhow::ensure!(
            !has_data,
            "the password of PostgreSQL's data is lost with lab.json; `cargo xtask clean` removes \
             the lab's data"
        );
        memory.postgres_admin_password = new_password();
    }
    Ok(())
}

/// The identities that go into volumes, made once. Volumes of an earlier lab in the same folder
/// have others, which the stack notices for Kafka, and here for PostgreSQL.
pub(super) async fn place_volumes(
    ctx: &Context,
    platform: &Platform,
    memory: &mut LabMemory,
) -> anyhow::Result<()> {
    let Some(stack) = platform.stack() else {
        return Ok(());
    };
    if memory.postgres_admin_password.is_empty() {
        let volumes = stack.volumes(&ctx.lab_dir).await?;
        anyhow::ensure!(
            !volumes.iter().any(|name| name.ends_with("-postgres")),
            "the password of PostgreSQL's data is lost with lab.json; `cargo xtask clean` removes \
             the lab's data"
        );
        memory.postgres_admin_password = new_password();
    }
    if memory.kafka_cluster_id.is_empty() {
        memory.kafka_cluster_id = kafka::kafka_id();
    }
    memory.docker = true;
    memory
        .save(&ctx.lab_dir)
        .context("failed to note the lab's volumes")
}

fn new_password() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}
