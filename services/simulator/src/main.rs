//! The simulator's process: configuration, telemetry, run.

use std::process::ExitCode;

use simulator::Config;

// An event is made on one thread and freed on another, which the C library's allocator is slow at:
// it takes half of the CPU time at full speed. See ADR 012.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// Two threads answer; a running simulation draws its events on a thread of its own.
#[tokio::main(worker_threads = 2)]
pub async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("simulator: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let _telemetry = chassis::telemetry::init(simulator::SERVICE, &config.log);
    simulator::run(config, chassis::shutdown::on_signal()).await
}
