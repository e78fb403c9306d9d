//! The gateway's process: configuration, telemetry, run.

use std::process::ExitCode;

use gateway::Config;

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
