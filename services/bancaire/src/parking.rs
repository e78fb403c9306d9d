//! The sweep of parked events: what has waited too long for its account is refused, and money that
//! a transfer had sent goes back to where it came from.

use std::time::Duration;

use chassis::metrics::{PARKED_AGE, PARKED_EVENTS};
use sqlx::{Connection, PgConnection};

use crate::domain::expire;
use crate::store::load::{self, ParkingLock};
use crate::writer::{Abort, Sink, Writer};

/// Parked events that are refused in one transaction.
const BATCH: i64 = 1000;

/// How often the sweep runs: often enough that the parking time is kept within a quarter of it.
pub fn interval(parking_time: Duration) -> Duration {
    (parking_time / 4).clamp(Duration::from_millis(100), Duration::from_secs(5))
}

impl Writer {
    /// Refuses every parked event that is older than the parking time. A failure waits for the
    /// next sweep.
    pub(crate) async fn sweep(&mut self) {
        loop {
            match self
                .attempt(async |sink, conn| sink.try_sweep(conn).await)
                .await
            {
                Ok(swept) if swept as i64 == BATCH => {}
                Ok(_) => return,
                Err(abort) => return self.failed(&abort),
            }
        }
    }
}

impl Sink {
    async fn try_sweep(&self, conn: &mut PgConnection) -> Result<usize, Abort> {
        let age_ms = self.parking_time.as_millis() as i64;
        let (parked, oldest_s) = load::parked_figures(conn).await?;
        PARKED_EVENTS.set(parked);
        PARKED_AGE.set(oldest_s.max(0.0));
        if !load::any_expired(conn, age_ms).await? {
            return Ok(0);
        }
        let mut tx = conn.begin().await?;
        // Alone: nobody opens an account, and nobody else sweeps, until this is committed.
        load::take_parking_lock(&mut tx, ParkingLock::Exclusive).await?;
        let parked = load::expired(&mut tx, &self.decoder, age_ms, BATCH).await?;
        let ids: Vec<&str> = parked
            .iter()
            .map(|parked| parked.event_id.as_str())
            .collect();
        let known = load::known(&mut tx, &ids).await?;
        let outcome = expire(&parked, &known);
        self.store(tx, &outcome, None).await?;
        tracing::info!(
            events = parked.len(),
            "Refused events whose account did not appear"
        );
        Ok(parked.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_keeps_pace_with_the_parking_time() {
        assert_eq!(interval(Duration::from_secs(60)), Duration::from_secs(5));
        assert_eq!(interval(Duration::from_secs(2)), Duration::from_millis(500));
        assert_eq!(interval(Duration::ZERO), Duration::from_millis(100));
    }
}
