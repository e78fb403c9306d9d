//! bancaire's process: configuration, telemetry, run.

use std::process::ExitCode;

use bancaire::Config;

// As in the simulator: records are allocated on one thread and freed on another. See ADR 012.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// Two threads: one commits while the other answers. The consumer polls on a thread of its own.
#[tokio::main(worker_threads = 2)]
pub async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("bancaire: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let _telemetry = chassis::telemetry::init(bancaire::SERVICE, &config.common.log);
    bancaire::run(config, chassis::shutdown::on_signal()).await
}
