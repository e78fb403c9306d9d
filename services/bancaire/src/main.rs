//! bancaire's process: configuration, telemetry, run.

use std::process::ExitCode;

use bancaire::Config;

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
