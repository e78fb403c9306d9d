//! `chaos`: break the lab on purpose, and see whether what it promises holds.

use serde_json::json;

use crate::Context;
use crate::chaos::run::{Outcome, Verdict};
use crate::chaos::scenario::{self, Fault, Need};
use crate::chaos::{self, Options, mutants, report};
use crate::components::broker::BrokerChoice;
use crate::lab::interrupted;

#[derive(Debug, clap::Args)]
pub struct ChaosArgs {
    #[command(subcommand)]
    pub verb: ChaosVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum ChaosVerb {
    /// Show every fault, what is expected of it, and what it needs.
    List,
    /// Run faults by name, or from files of your own (`my-fault.yaml`).
    Run {
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        how: HowArgs,
    },
    /// Run faults against services with deliberate defects, each of which must be seen.
    Mutants(MutantsArgs),
    /// Run every fault, and print a table.
    All {
        /// Only those that are marked as quick.
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        how: HowArgs,
    },
}

#[derive(Debug, Clone, clap::Args)]
pub struct MutantsArgs {
    /// Defects by name; without any, all.
    pub names: Vec<String>,
    /// Only those that are marked as quick.
    #[arg(long)]
    pub quick: bool,
    #[command(flatten)]
    pub how: HowArgs,
}

#[derive(Debug, Clone, clap::Args)]
pub struct HowArgs {
    /// The same seed makes the same events; without it, each fault's own is printed.
    #[arg(long)]
    pub seed: Option<u64>,
    /// What speaks Kafka's protocol in the embedded lab.
    #[arg(long, value_enum, env = "EDALAB_BROKER")]
    pub broker: Option<BrokerChoice>,
    /// Run the binaries that are there (`EDALAB_BIN_DIR`, else beside xtask).
    #[arg(long)]
    pub no_build: bool,
}

impl HowArgs {
    fn options(&self) -> anyhow::Result<Options> {
        Ok(Options {
            seed: self.seed,
            broker: self.broker,
            build: !self.no_build,
            stop: interrupted()?,
        })
    }
}

pub async fn run(ctx: &Context, args: &ChaosArgs) -> anyhow::Result<()> {
    match &args.verb {
        ChaosVerb::List => list(ctx),
        ChaosVerb::Run { names, how } => {
            let found = names.iter().map(|name| scenario::find(ctx, name));
            let faults: Vec<Fault> = found.collect::<anyhow::Result<_>>()?;
            run_faults(ctx, &faults, how).await
        }
        ChaosVerb::Mutants(args) => run_mutants(ctx, args).await,
        ChaosVerb::All { quick, how } => {
            let mut faults = scenario::catalogue(ctx)?;
            faults.retain(|fault| fault.quick || !quick);
            run_faults(ctx, &faults, how).await
        }
    }
}

fn list(ctx: &Context) -> anyhow::Result<()> {
    let faults = scenario::catalogue(ctx)?;
    if ctx.json {
        return ctx.print_json(&faults);
    }
    let width = faults.iter().map(|f| f.name.0.len()).max().unwrap_or(0);
    for fault in &faults {
        let row = fault.row.map_or_else(|| "-".into(), |row| row.to_string());
        println!("{row:>3} {:width$}  {}", fault.name, needs(fault));
        println!("    {:width$}  {}", "", fault.hypothesis.trim());
    }
    println!(
        "\n{} faults; `cargo xtask chaos run NAME` runs one",
        faults.len()
    );
    Ok(())
}

/// What a fault runs on, in words.
fn needs(fault: &Fault) -> String {
    let mut words = Vec::new();
    if fault.is_tests() {
        words.push("tests with labs of their own");
    }
    for need in &fault.needs {
        words.push(match need {
            Need::Docker => "Docker, three brokers",
            Need::Root => "root",
            Need::Kafka => "Apache Kafka",
        });
    }
    if fault.holds() {
        words.push("services with fail points");
    }
    if words.is_empty() {
        words.push("any backend");
    }
    if fault.quick {
        words.push("quick");
    }
    words.join("; ")
}

async fn run_mutants(ctx: &Context, args: &MutantsArgs) -> anyhow::Result<()> {
    let options = args.how.options()?;
    let all = mutants::run(ctx, &args.names, args.quick, &options).await?;
    mutants::write(&ctx.reports_dir().join("chaos"), &all)?;
    if ctx.json {
        ctx.print_json(&all)?;
    } else {
        mutants::print(&all);
    }
    mutants::check(&all)
}

async fn run_faults(ctx: &Context, faults: &[Fault], how: &HowArgs) -> anyhow::Result<()> {
    let outcomes = chaos::run_all(ctx, faults, &how.options()?).await?;
    report::write(&ctx.reports_dir().join("chaos"), &outcomes)?;
    if ctx.json {
        ctx.print_json(&json!(outcomes))?;
    } else {
        for outcome in &outcomes {
            report::print_one(outcome);
        }
        report::print_table(&outcomes);
    }
    check(&outcomes)
}

fn check(outcomes: &[Outcome]) -> anyhow::Result<()> {
    let failed: Vec<String> = outcomes
        .iter()
        .filter(|outcome| outcome.verdict == Verdict::Failed)
        .map(|outcome| format!("{} (seed {})", outcome.name, outcome.seed))
        .collect();
    anyhow::ensure!(
        failed.is_empty(),
        "{} of {} faults broke the lab: {}",
        failed.len(),
        outcomes.len(),
        failed.join(", ")
    );
    Ok(())
}
