//! The light broker: Kafka's protocol on a loopback port, records in one SQLite file.
//!
//! It stands in for Apache Kafka where there is no Java. The protocol, the group coordinator and
//! the storage come from nisshi; this package composes them, and adds what a lab needs beside
//! them: a fetch that a produce wakes ([`fetch`]), offsets known without asking the file
//! ([`stages`], [`store`]), headers that cost one row ([`headers`]), topics that nobody creates by
//! mistyping ([`topics`]), one broker per data folder ([`data`]) and a clean end ([`run`]).

mod config;
mod data;
mod fetch;
mod gate;
mod headers;
mod routes;
mod run;
mod stages;
mod store;
mod topics;

use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use config::Config;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("broker: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1);
    let config = Config::load(|name| std::env::var(name).ok(), folder)?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(EnvFilter::try_new(&config.log).context("failed to read LOG_LEVEL")?)
        .init();
    // SQLite works on the thread that asks, so there are more threads than cores: one that waits
    // for the disk must not hold up the others.
    let threads = std::thread::available_parallelism().map_or(4, |cores| cores.get().max(4));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .context("failed to start the runtime")?
        .block_on(async {
            let stop = CancellationToken::new();
            stop_on_signal(&stop)?;
            run::run(config, stop).await
        })
}

fn stop_on_signal(stop: &CancellationToken) -> anyhow::Result<()> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("failed to listen for signals")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    Ok(())
}
