//! `perf`: measure, against a baseline in the same run.

use clap::builder::RangedU64ValueParser;

use crate::Context;
use crate::cli::Backend;
use crate::components::Part;
use crate::components::broker::BrokerChoice;
use crate::lab::{self, UpOptions, on_ctrl_c};
use crate::perf::registry::{self, RegistryOptions};
use crate::perf::sink::{self, SinkOptions};
use crate::ports::PortPolicy;

#[derive(Debug, clap::Args)]
pub struct PerfArgs {
    #[command(subcommand)]
    pub verb: PerfVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum PerfVerb {
    /// How fast bancaire drains a backlog into PostgreSQL, beside a plain COPY of the same rows.
    Sink(SinkArgs),
    /// How fast the registry gives schemas by id and takes new ones, and what memory it holds.
    Registry(RegistryArgs),
}

#[derive(Debug, clap::Args)]
pub struct SinkArgs {
    /// Deposits per run.
    #[arg(long, default_value_t = 300_000, value_parser = count())]
    pub events: usize,
    /// How often sink and COPY are measured, in turn.
    #[arg(long, default_value_t = 5, value_parser = count())]
    pub runs: usize,
    /// Accounts that the deposits go to.
    #[arg(long, default_value_t = 1_000, value_parser = count())]
    pub accounts: usize,
    /// On the lab that is up, instead of one of its own in a temporary folder.
    #[arg(long, conflicts_with = "keep")]
    pub here: bool,
    /// Leave its own lab up afterwards.
    #[arg(long)]
    pub keep: bool,
    /// Run the binaries that are there.
    #[arg(long)]
    pub no_build: bool,
}

#[derive(Debug, clap::Args)]
pub struct RegistryArgs {
    /// Requests in a second.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// How long a round takes, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// How often requests are measured.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Distinct schemas to register.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub registrations: u32,
    /// On the lab that is up, instead of one of its own in a temporary folder.
    #[arg(long)]
    pub here: bool,
    /// Run the binaries that are there.
    #[arg(long)]
    pub no_build: bool,
    /// Fail when a goal is missed.
    #[arg(long)]
    pub check: bool,
}

fn count() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=100_000_000)
}

pub async fn run(ctx: &Context, args: &PerfArgs) -> anyhow::Result<()> {
    match &args.verb {
        PerfVerb::Sink(args) => run_sink(ctx, args).await,
        PerfVerb::Registry(args) => run_registry(ctx, args).await,
    }
}

async fn run_registry(ctx: &Context, args: &RegistryArgs) -> anyhow::Result<()> {
    let options = RegistryOptions {
        rate: args.rate,
        seconds: args.seconds,
        rounds: args.rounds,
        registrations: args.registrations,
    };
    let report = if args.here {
        registry::run(ctx, options).await?
    } else {
        let parts = vec![Part::Postgres, Part::Registry];
        let measure = async |own: &Context| registry::run(own, options).await;
        on_own_lab(ctx, parts, !args.no_build, false, measure).await?
    };
    let dir = report.write(&ctx.reports_dir())?;
    if ctx.json {
        ctx.print_json(&report)?;
    } else {
        println!("\n{}\nReports: {}", report.text(), dir.display());
    }
    anyhow::ensure!(!args.check || report.met(), "a goal is missed");
    Ok(())
}

async fn run_sink(ctx: &Context, args: &SinkArgs) -> anyhow::Result<()> {
    let options = SinkOptions {
        events: args.events,
        runs: args.runs,
        accounts: args.accounts,
    };
    let report = if args.here {
        sink::measure(ctx, options).await?
    } else {
        let parts = vec![Part::Kafka, Part::Postgres, Part::Registry, Part::Bancaire];
        let measure = async |own: &Context| sink::measure(own, options).await;
        on_own_lab(ctx, parts, !args.no_build, args.keep, measure).await?
    };
    let dir = report.write(&ctx.reports_dir())?;
    if ctx.json {
        ctx.print_json(&report)?;
    } else {
        println!("\n{}\nReports: {}", report.text(), dir.display());
    }
    anyhow::ensure!(
        report.verified,
        "verify failed afterwards: {}",
        report.verdict
    );
    Ok(())
}

/// A lab that is started for this and gone afterwards, however it went.
async fn on_own_lab<T>(
    ctx: &Context,
    parts: Vec<Part>,
    build: bool,
    keep: bool,
    measure: impl AsyncFnOnce(&Context) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let own = Context {
        // What is measured is on this machine's own disk, whatever else could be had.
        backend: Backend::Embedded,
        ..sink::temporary_lab(ctx)?
    };
    let stop = on_ctrl_c(&own)?;
    let up = UpOptions {
        parts,
        build,
        ports: PortPolicy::Free,
        broker: Some(BrokerChoice::Kafka),
        stop: stop.clone(),
        ..UpOptions::default()
    };
    let measured = async {
        lab::up(&own, up).await?;
        tokio::select! {
            report = measure(&own) => report,
            () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        }
    };
    let measured = measured.await;
    if keep && measured.is_ok() {
        let dir = own.lab_dir.display();
        ctx.out.line(format_args!(
            "The lab stays up: EDALAB_DIR={dir} cargo xtask status"
        ));
        return measured;
    }
    let downed = lab::down(&own).await;
    let cleaned = downed.and_then(|_| sink::remove_temporary(&own.lab_dir));
    let report = measured?;
    cleaned?;
    Ok(report)
}
