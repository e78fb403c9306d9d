//! The grammar of the command line. Each verb's own options stand in the verb's file.

use clap::{Parser, Subcommand, ValueEnum};

use crate::verbs;

/// EDA-Lab: a small bank made of events, to watch, to break and to verify.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What the lab's infrastructure runs on.
    #[arg(
        long,
        global = true,
        value_enum,
        env = "EDALAB_BACKEND",
        default_value = "auto"
    )]
    pub backend: Backend,
    /// Print results as JSON on standard output; progress stays on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What the lab's infrastructure runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// The best of the others that this machine can run.
    Auto,
    /// Child processes, without Docker.
    Embedded,
    /// Containers.
    Docker,
    /// Kafka, registry and PostgreSQL that run elsewhere.
    External,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build and start the lab; Ctrl-C stops it.
    Up(verbs::up::UpArgs),
    /// Stop the lab and keep its data.
    Down(verbs::down::DownArgs),
    /// Show every part, its address, its health and its memory.
    Status(verbs::status::StatusArgs),
    /// Show what the parts log.
    Logs(verbs::logs::LogsArgs),
    /// Open the lab's page in the browser.
    Open(verbs::open::OpenArgs),
    /// Remove the lab's data.
    Clean(verbs::clean::CleanArgs),
    /// Say what this machine lacks and how to get it.
    Doctor(verbs::doctor::DoctorArgs),
    /// Start or stop Kafka, PostgreSQL and the registry alone.
    Infra(verbs::infra::InfraArgs),
    /// The Docker backend's images: fetch, make, save, load, compare.
    Images(verbs::images::ImagesArgs),
    /// Start, stop, restart or kill single parts.
    Services(verbs::services::ServicesArgs),
    /// The broker's topics.
    Topics(verbs::topics::TopicsArgs),
    /// This tree's schemas and the registry's.
    Schemas(verbs::schemas::SchemasArgs),
    /// Produce events at a steady rate.
    Simulate(verbs::simulate::SimulateArgs),
    /// Dead letters: list, show, replay.
    Dlq(verbs::dlq::DlqArgs),
    /// Ask the running lab whether anything was lost, doubled or reordered.
    Verify(verbs::verify::VerifyArgs),
    /// Exercises on the live lab, with a judge.
    Learn(verbs::learn::LearnArgs),
    /// Break the lab on purpose, and judge what it did.
    Chaos(verbs::chaos::ChaosArgs),
    /// Measure, against a baseline in the same run.
    Perf(verbs::perf::PerfArgs),
    /// Build and run the tests.
    Test(verbs::test::TestArgs),
    /// The plan's ten steps on a lab of its own: is everything as it should be?
    ValidateMvp(verbs::validate_mvp::ValidateMvpArgs),
    /// Write anew what is generated from the code: reference pages, OpenAPI, AsyncAPI, dashboards.
    Docs(verbs::docs::DocsArgs),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_grammar_has_no_contradictions() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_may_stand_behind_the_verb() {
        let cli = Cli::try_parse_from(["xtask", "status", "--json", "--backend", "embedded"]);
        let cli = cli.expect("both are known");
        assert!(cli.json);
        assert_eq!(cli.backend, Backend::Embedded);
    }
}
