//! An open loop: every event is due at a moment that was set beforehand, however the lab does.
//!
//! A closed loop would wait for a lab that stalls, send less meanwhile, and call the few that it
//! sent fast. Here what is overdue is sent at once, and its latency counts from when it was due.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::kafka::ProduceError;
use schemas::EventType;

use super::deposits::Depositor;
use super::trace::Trace;
use super::watch::Watch;

/// A broker that answers nothing, or a sink that commits nothing, for this long has stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a full queue is tried again.
const FULL_RETRY: Duration = Duration::from_micros(200);

/// How many events, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub events: usize,
    /// Events per second; `None` makes all of them due at once.
    pub rate: Option<f64>,
}

impl Load {
    pub fn steady(rate: f64, duration: Duration) -> Self {
        Self {
            events: ((rate * duration.as_secs_f64()) as usize).max(1),
            rate: Some(rate),
        }
    }

    fn due(self, number: usize) -> Duration {
        match self.rate {
            Some(rate) => Duration::from_secs_f64(number as f64 / rate),
            None => Duration::ZERO,
        }
    }
}

/// Where the broker put an event.
struct Acked {
    partition: i32,
    offset: i64,
    due: Duration,
    sent: Duration,
}

/// Publishes deposits as the load says and sees them appear in PostgreSQL.
///
/// # Errors
/// When the broker does not acknowledge an event, or the sink stops before it has them all.
pub async fn run(
    depositor: &std::sync::Arc<Depositor>,
    watch: &mut Watch,
    load: Load,
) -> anyhow::Result<Vec<Trace>> {
    let topic = EventType::DepotEffectue.topic();
    let watching = watch.start(topic).await?;
    let sender = depositor.clone();
    let publishing = tokio::task::spawn_blocking(move || publish(&sender, load));
    let (acked, begin) = publishing
        .await
        .context("the load generator panicked")?
        .inspect_err(|_| watching.abandon())?;
    let mut ends: BTreeMap<i32, i64> = BTreeMap::new();
    for record in &acked {
        let end = ends.entry(record.partition).or_default();
        *end = record.offset.max(*end);
    }
    let seen = watching.until(&ends, PATIENCE).await?;
    acked
        .iter()
        .map(|record| {
            let at = seen.visible(record.partition, record.offset);
            let visible = at.context("an event was acknowledged and never seen")?;
            Ok(Trace {
                due: record.due,
                sent: record.sent,
                visible: visible.saturating_duration_since(begin),
            })
        })
        .collect()
}

/// The generator's own thread.
fn publish(depositor: &Depositor, load: Load) -> anyhow::Result<(Vec<Acked>, Instant)> {
    // Made before the first is due: that they cost something is not the lab's fault.
    let events: Vec<_> = (0..load.events).map(|n| depositor.depot(n)).collect();
    let ids = depositor.ids();
    let (answers, answered) = mpsc::channel();
    let begin = Instant::now() + Duration::from_millis(20);
    for (number, event) in events.iter().enumerate() {
        let due = load.due(number);
        let wait = (begin + due).saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        let sent = begin.elapsed();
        loop {
            let answers = answers.clone();
            let done = move |outcome: Result<chassis::kafka::Delivered, ProduceError>| {
                // Nobody listens any more when the run has failed.
                let _ = answers.send(outcome.map(|delivered| Acked {
                    partition: delivered.partition,
                    offset: delivered.offset,
                    due,
                    sent,
                }));
            };
            match depositor.producer().enqueue(&ids, event, done) {
                Ok(()) => break,
                Err(ProduceError::QueueFull) => std::thread::sleep(FULL_RETRY),
                Err(e) => return Err(e).context("failed to publish"),
            }
        }
    }
    let mut acked = Vec::with_capacity(events.len());
    while acked.len() < events.len() {
        let answer = answered
            .recv_timeout(PATIENCE)
            .context("the broker does not acknowledge events")?;
        acked.push(answer.context("failed to publish")?);
    }
    Ok((acked, begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_set_beforehand() {
        let load = Load::steady(1000.0, Duration::from_millis(2500));
        assert_eq!(load.events, 2500);
        assert_eq!(load.due(0), Duration::ZERO);
        assert_eq!(load.due(2499), Duration::from_millis(2499));
        let burst = Load {
            events: 3,
            rate: None,
        };
        assert_eq!(burst.due(2), Duration::ZERO);
    }
}
