//! The gateway's process: configuration, telemetry, run.

use std::process::ExitCode;

use gateway::Config;

// As in the simulator: records are allocated on one thread and freed on another. See ADR 012.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("gateway: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let _telemetry = chassis::telemetry::init(gateway::SERVICE, &config.log);
    gateway::run(config, chassis::shutdown::on_signal()).await
}
