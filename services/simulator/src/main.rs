//! The simulator's process: configuration, telemetry, run.

use std::process::ExitCode;

use simulator::Config;

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
