//! The registry's process: configuration, telemetry, run.

use std::process::ExitCode;

use registry::Config;

// One thread does it all: the registry waits for PostgreSQL, and is small.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("registry: {e:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let config = Config::from_env()?;
    let _telemetry = chassis::telemetry::init("registry", &config.log);
    registry::run(config, chassis::shutdown::on_signal()).await
}
