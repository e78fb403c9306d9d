//! Labs to measure on: of their own in a temporary folder, gone afterwards however it went.

use crate::Context;
use crate::components::Part;
use crate::components::broker::BrokerChoice;
use crate::lab::temporary::Temporary;
use crate::lab::{self, UpOptions, on_ctrl_c};
use crate::ports::PortPolicy;

/// Which lab.
#[derive(Debug, Clone)]
pub struct Own {
    pub parts: Vec<Part>,
    /// Build the services first.
    pub build: bool,
    /// Leave it up afterwards.
    pub keep: bool,
}

/// Starts a lab, measures on it and removes it.
///
/// # Errors
/// When it does not start or stop, or the measurement's own.
pub async fn on_own<T>(
    ctx: &Context,
    own_lab: Own,
    measure: impl AsyncFnOnce(&Context) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    // What is measured is on this machine's own disk, whatever else could be had.
    let own = Temporary::prepare(ctx, "perf")?;
    let stop = on_ctrl_c(&own.ctx)?;
    let up = UpOptions {
        parts: own_lab.parts,
        build: own_lab.build,
        ports: PortPolicy::Free,
        broker: Some(BrokerChoice::Kafka),
        stop: stop.clone(),
        ..UpOptions::default()
    };
    let measured = async {
        lab::up(&own.ctx, up).await?;
        tokio::select! {
            report = measure(&own.ctx) => report,
            () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        }
    };
    let measured = measured.await;
    if own_lab.keep && measured.is_ok() {
        let dir = own.ctx.lab_dir.display();
        ctx.out.line(format_args!(
            "The lab stays up: EDALAB_DIR={dir} cargo xtask status"
        ));
        return measured;
    }
    let ended = own.end().await;
    let report = measured?;
    ended?;
    Ok(report)
}
