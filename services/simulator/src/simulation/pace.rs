//! When each event is due: an open loop, whose moments do not depend on how the broker does.
//!
//! The event number `n` is due `n / rate` seconds after the start. After a stall all that is
//! overdue is due at once, so that the asked rate holds over the whole time.

use std::time::Duration;

/// A product such as 0.1 × 30 is not exactly 3: what is that near to a whole number is one.
const ROUNDING: f64 = 1e-6;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Events per second since `since`.
    rate: f64,
    /// Seconds after the start at which the rate was last changed.
    since: f64,
    /// Events due until then, in fractions of one.
    before: f64,
    /// Seconds after the start at which the last event is due; infinite when there is no end.
    end: f64,
}

impl Pace {
    /// A `duration` of 0 seconds has no end.
    pub fn new(rate: f64, duration: f64) -> Self {
        let end = if duration > 0.0 {
            duration
        } else {
            f64::INFINITY
        };
        Self {
            rate,
            since: 0.0,
            before: 0.0,
            end,
        }
    }

    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// From `elapsed` on events are due at another rate.
    pub fn set_rate(&mut self, rate: f64, elapsed: Duration) {
        let now = elapsed.as_secs_f64().min(self.end);
        self.before += self.rate * (now - self.since);
        self.since = now;
        self.rate = rate;
    }

    /// How many events are due at this moment, counted from the start.
    pub fn due(&self, elapsed: Duration) -> u64 {
        let now = elapsed.as_secs_f64();
        if now >= self.end {
            return self.total();
        }
        let reached = self.before + self.rate * (now - self.since);
        (reached as u64 + 1).min(self.total())
    }

    /// How many are due until the end; `u64::MAX` without one.
    pub fn total(&self) -> u64 {
        let total = self.before + self.rate * (self.end - self.since);
        (total - ROUNDING).ceil() as u64
    }

    /// True when the duration is over.
    pub fn is_over(&self, elapsed: Duration) -> bool {
        elapsed.as_secs_f64() >= self.end
    }

    /// How long until something is due after the first `sent` events: the next event, or the end.
    pub fn wait(&self, sent: u64, elapsed: Duration) -> Duration {
        let next = self.since + (sent as f64 - self.before) / self.rate;
        let wait = next.min(self.end) - elapsed.as_secs_f64();
        Duration::try_from_secs_f64(wait).unwrap_or(if wait > 0.0 {
            Duration::MAX
        } else {
            Duration::ZERO
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_bounded_run_has_exactly_rate_times_duration_events() {
        for (rate, duration, total) in [
            (5.0, 10.0, 50),
            (100.0, 30.0, 3_000),
            (0.1, 30.0, 3),
            (3.3, 10.0, 33),
            (1.0 / 3.0, 9.0, 3),
            (50_000.0, 3_600.0, 180_000_000),
            // The first event is due at once, however short it is.
            (0.01, 10.0, 1),
            // Due at 0.0, 0.4 and 0.8 s.
            (2.5, 1.0, 3),
        ] {
            let pace = Pace::new(rate, duration);
            assert_eq!(pace.total(), total, "{rate} for {duration} s");
            assert_eq!(pace.due(s(duration)), total);
            assert_eq!(pace.due(s(duration * 2.0)), total, "and no more later");
            assert!(!pace.is_over(s(duration * 0.99)) && pace.is_over(s(duration)));
        }
    }

    #[test]
    fn events_are_due_one_by_one_and_overdue_ones_at_once() {
        let pace = Pace::new(10.0, 0.0);
        assert_eq!(pace.due(Duration::ZERO), 1);
        assert_eq!(pace.due(s(0.099)), 1);
        assert_eq!(pace.due(s(0.11)), 2);
        assert_eq!(pace.due(s(60.05)), 601, "after a stall of a minute");
        assert!(!pace.is_over(s(1e9)));
        let wait = pace.wait(1, s(0.04));
        assert!((wait.as_secs_f64() - 0.06).abs() < 1e-9, "{wait:?}");
        assert_eq!(pace.wait(1, s(5.0)), Duration::ZERO, "overdue");
    }

    #[test]
    fn the_wait_ends_with_the_duration() {
        let pace = Pace::new(0.01, 10.0);
        let wait = pace.wait(1, s(4.0));
        assert!((wait.as_secs_f64() - 6.0).abs() < 1e-9, "{wait:?}");
    }

    #[test]
    fn a_new_rate_holds_from_its_moment_on() {
        let mut pace = Pace::new(10.0, 10.0);
        pace.set_rate(100.0, s(5.0));
        assert_eq!(pace.due(s(4.999_999)), 50, "what was due stays due");
        assert_eq!(pace.due(s(6.005)), 151);
        assert_eq!(pace.total(), 50 + 500);
        pace.set_rate(1.0, s(7.0));
        assert_eq!(pace.total(), 50 + 200 + 3);
        assert_eq!(pace.due(s(10.0)), 253);
        let wait = pace.wait(251, s(7.0));
        assert!((wait.as_secs_f64() - 1.0).abs() < 1e-9, "{wait:?}");
        pace.set_rate(1_000.0, s(12.0));
        assert_eq!(pace.total(), 253, "too late to change anything");
    }
}
