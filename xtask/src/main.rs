//! `cargo xtask VERB`: parses the command line, runs one verb, prints what failed.

use std::process::ExitCode;

use clap::Parser;
use xtask::Context;
use xtask::cli::{Cli, Verb};
use xtask::verbs;

fn main() -> ExitCode {
    end_with_the_reader();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let result = runtime.block_on(async {
        let ctx = Context::new(cli.json, cli.backend)?;
        dispatch(&ctx, &cli.verb).await
    });
    // A blocking client call that still waits for its time-out must not hold up the exit.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(ctx: &Context, verb: &Verb) -> anyhow::Result<()> {
    match verb {
        Verb::Up(args) => verbs::up::run(ctx, args).await,
        Verb::Down(args) => verbs::down::run(ctx, args).await,
        Verb::Status(args) => verbs::status::run(ctx, args).await,
        Verb::Logs(args) => verbs::logs::run(ctx, args).await,
        Verb::Open(args) => verbs::open::run(ctx, args).await,
        Verb::Clean(args) => verbs::clean::run(ctx, args).await,
        Verb::Doctor(args) => verbs::doctor::run(ctx, args).await,
        Verb::Infra(args) => verbs::infra::run(ctx, args).await,
        Verb::Images(args) => verbs::images::run(ctx, args).await,
        Verb::Services(args) => verbs::services::run(ctx, args).await,
        Verb::Topics(args) => verbs::topics::run(ctx, args).await,
        Verb::Schemas(args) => verbs::schemas::run(ctx, args).await,
        Verb::Simulate(args) => verbs::simulate::run(ctx, args).await,
        Verb::Dlq(args) => verbs::dlq::run(ctx, args).await,
        Verb::Verify(args) => verbs::verify::run(ctx, args).await,
        Verb::Learn(args) => verbs::learn::run(ctx, args).await,
        Verb::Chaos(args) => verbs::chaos::run(ctx, args).await,
        Verb::Perf(args) => verbs::perf::run(ctx, args).await,
        Verb::Test(args) => verbs::test::run(ctx, args).await,
        Verb::ValidateMvp(args) => verbs::validate_mvp::run(ctx, args).await,
        Verb::Docs(args) => verbs::docs::run(ctx, args).await,
    }
}

/// Who reads our output may have seen enough (`xtask … | head`). Rust would call that a panic.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let message = info.payload_as_str().unwrap_or_default();
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            std::process::exit(0);
        }
        usual(info);
    }));
}
