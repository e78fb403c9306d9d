//! `infra`: Kafka, PostgreSQL and the registry without the bank's services.

use crate::Context;
use crate::components::{Part, checks, observability};
use crate::lab;

use super::clean::CleanArgs;
use super::logs;
use super::up::StartArgs;

#[derive(Debug, clap::Args)]
pub struct InfraArgs {
    #[command(subcommand)]
    pub verb: InfraVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum InfraVerb {
    /// Start what is not running, and return when it is ready.
    Up {
        /// kafka, postgres or registry; without names, all of them.
        names: Vec<String>,
        #[command(flatten)]
        start: StartArgs,
    },
    /// Stop them.
    Down,
    /// Check what is up: a record, a schema and a query there and back, and every topic.
    Test,
    /// Stop them and remove the lab's data.
    Clean,
    /// Show what they log.
    Logs {
        /// Go on with what comes.
        #[arg(long, short)]
        follow: bool,
    },
}

pub async fn run(ctx: &Context, args: &InfraArgs) -> anyhow::Result<()> {
    match &args.verb {
        InfraVerb::Up { names, start } => {
            let all: Vec<Part> = Part::INFRA.into_iter().chain(Part::OBSERVABILITY).collect();
            let parts = super::services::parts(names, &all)?;
            super::services::start(ctx, start, parts).await
        }
        InfraVerb::Down => {
            let all: Vec<Part> = Part::INFRA.into_iter().chain(Part::OBSERVABILITY).collect();
            lab::stop_components(ctx, &all).await.map(drop)
        }
        InfraVerb::Test => test(ctx).await,
        InfraVerb::Clean => super::clean::run(ctx, &CleanArgs { stop: true }).await,
        InfraVerb::Logs { follow } => logs::show(ctx, &Part::INFRA, *follow, 40, None).await,
    }
}

async fn test(ctx: &Context) -> anyhow::Result<()> {
    let step = ctx
        .out
        .step("infra", "asks Kafka, the registry and PostgreSQL");
    let lab = ctx.lab()?;
    let mut found = checks::all(&lab).await;
    found.extend(observability::checks::all(ctx, &lab).await);
    let failed: Vec<&str> = found.iter().filter(|c| !c.passed).map(|c| c.name).collect();
    if failed.is_empty() {
        step.done(format_args!("{} checks hold", found.len()));
    } else {
        step.fail("does not hold");
    }
    for (part, why) in &lab.skipped {
        ctx.out.line(format_args!("skip  {part:9} {why}"));
    }
    if ctx.json {
        ctx.print_json(&found)?;
    } else {
        for check in &found {
            let verdict = if check.passed { "pass" } else { "FAIL" };
            println!(
                "{verdict}  {:9} {:>6} ms  {}",
                check.name, check.took_ms, check.detail
            );
        }
    }
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}
