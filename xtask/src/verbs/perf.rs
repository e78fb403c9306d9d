//! `perf`: measure, against a baseline in the same run.

use anyhow::Context as _;
use clap::builder::RangedU64ValueParser;

use crate::Context;
use crate::components::Part;
use crate::components::broker::BrokerChoice;
use crate::junit::write_file;
use crate::lab::temporary::Temporary;
use crate::lab::{self, UpOptions, on_ctrl_c};
use crate::perf::gateway::{self, GatewayOptions};
use crate::perf::registry::{self, RegistryOptions};
use crate::perf::sink::{self, SinkOptions};
use crate::perf::ui;
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
    /// How long an event takes to a thousand WebSocket clients, and what a stalled one costs.
    Gateway(GatewayArgs),
    /// How the web page bears load: long tasks, heap, CPU, in Chromium.
    Ui(UiArgs),
}

#[derive(Debug, clap::Args)]
pub struct GatewayArgs {
    /// Clients that watch every topic.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_990))]
    pub clients: u32,
    /// Events per second.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// How long a round takes, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Rounds with a stalled client, and as many without.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    #[command(flatten)]
    pub on: OnArgs,
}

#[derive(Debug, clap::Args)]
pub struct UiArgs {
    /// How long each rate is measured, in seconds.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(5..=3_600))]
    pub seconds: u32,
    #[command(flatten)]
    pub on: OnArgs,
}

/// Where a measurement of the whole lab is made.
#[derive(Debug, clap::Args)]
pub struct OnArgs {
    /// On the lab that is up, instead of one of its own in a temporary folder.
    #[arg(long)]
    pub here: bool,
    /// Run the binaries that are there.
    #[arg(long)]
    pub no_build: bool,
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
        PerfVerb::Gateway(args) => run_gateway(ctx, args).await,
        PerfVerb::Ui(args) => run_ui(ctx, args).await,
    }
}

async fn run_gateway(ctx: &Context, args: &GatewayArgs) -> anyhow::Result<()> {
    let options = GatewayOptions {
        clients: args.clients as usize,
        rate: args.rate,
        seconds: args.seconds,
        rounds: args.rounds,
    };
    let measure = async |on: &Context| gateway::run(on, options).await;
    let report = on_whole_lab(ctx, &args.on, measure).await?;
    judged(ctx, &report, "gateway", &report.text(), report.met())
}

async fn run_ui(ctx: &Context, args: &UiArgs) -> anyhow::Result<()> {
    let measure = async |on: &Context| ui::run(on, args.seconds).await;
    let report = on_whole_lab(ctx, &args.on, measure).await?;
    judged(ctx, &report, "ui", &report.text(), report.met())
}

async fn on_whole_lab<T>(
    ctx: &Context,
    on: &OnArgs,
    measure: impl AsyncFnOnce(&Context) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if on.here {
        return measure(ctx).await;
    }
    on_own_lab(ctx, Part::ALL.into(), !on.no_build, false, measure).await
}

/// Prints and writes a report whose goals decide how the verb ends.
fn judged(
    ctx: &Context,
    report: &impl serde::Serialize,
    name: &str,
    text: &str,
    met: bool,
) -> anyhow::Result<()> {
    let stamp = chrono::Utc::now().format("%Y%m%d-%H%M%S");
    let dir = ctx.reports_dir().join(format!("perf-{name}-{stamp}"));
    let json = serde_json::to_string_pretty(report).context("failed to write the report")?;
    write_file(&dir.join("report.json"), &json)?;
    write_file(&dir.join("report.txt"), text)?;
    if ctx.json {
        ctx.print_json(report)?;
    } else {
        println!("\n{text}\nReports: {}", dir.display());
    }
    anyhow::ensure!(met, "a goal is missed");
    Ok(())
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
    // What is measured is on this machine's own disk, whatever else could be had.
    let own = Temporary::prepare(ctx, "perf")?;
    let stop = on_ctrl_c(&own.ctx)?;
    let up = UpOptions {
        parts,
        build,
        ports: PortPolicy::Free,
        broker: Some(BrokerChoice::Kafka),
        stop: stop.clone(),
        ..UpOptions::default()
    };
    let measured = async {
        lab::up(&own.ctx, up).await?;
        tokio::select! {
            report = measure(&own.ctx) => report,
            () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        }
    };
    let measured = measured.await;
    if keep && measured.is_ok() {
        let dir = own.ctx.lab_dir.display();
        ctx.out.line(format_args!(
            "The lab stays up: EDALAB_DIR={dir} cargo xtask status"
        ));
        return measured;
    }
    let ended = own.end().await;
    let report = measured?;
    ended?;
    Ok(report)
}
