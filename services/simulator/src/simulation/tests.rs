//! The manager and its driver, with an outlet that is not a broker.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::*;
use crate::generator::Item;
use crate::publish::Refused;
use crate::scenario::Scenarios;

const PATIENCE: Duration = Duration::from_secs(20);

type Done = Box<dyn FnOnce(bool) + Send + Sync>;

/// Acknowledges at once, unless told otherwise.
#[derive(Default)]
struct Sink {
    taken: Mutex<Vec<(Item, Instant)>>,
    /// Answers are kept back while this is set.
    silent: AtomicBool,
    kept_back: Mutex<Vec<Done>>,
    /// So many offers find no room.
    full: AtomicUsize,
    /// So many of the next answers are bad.
    failing: AtomicUsize,
}

fn take_one(counter: &AtomicUsize) -> bool {
    counter
        .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
        .is_ok()
}

impl Sink {
    fn speak(&self) {
        self.silent.store(false, SeqCst);
        for done in lock(&self.kept_back).drain(..) {
            done(true);
        }
    }

    fn taken(&self) -> usize {
        lock(&self.taken).len()
    }
}

impl Outlet for Sink {
    fn offer(
        &self,
        item: &Item,
        done: impl FnOnce(bool) + Send + Sync + 'static,
    ) -> Result<(), Refused> {
        if take_one(&self.full) {
            return Err(Refused::Full);
        }
        lock(&self.taken).push((item.clone(), Instant::now()));
        if self.silent.load(SeqCst) {
            lock(&self.kept_back).push(Box::new(done));
        } else {
            done(!take_one(&self.failing));
        }
        Ok(())
    }
}

fn manager() -> (Arc<Sink>, Manager<Sink>) {
    let sink = Arc::new(Sink::default());
    (sink.clone(), Manager::new(sink))
}

fn order(scenario: &str, rate: f64, duration: f64) -> Order {
    let scenarios = Scenarios::load(None).unwrap();
    Order {
        scenario: scenarios.get(scenario).unwrap().clone(),
        rate,
        duration,
        seed: 7,
    }
}

async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let started = Instant::now();
    while !check() {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn ended(manager: &Manager<Sink>) -> Status {
    until("it has ended", || manager.status().status == Phase::Stopped).await;
    manager.status()
}

/// Plan: TestStart_Success
#[tokio::test]
async fn start_success() {
    let (sink, manager) = manager();
    assert_eq!(manager.status().status, Phase::Stopped);
    let status = manager.start(order("default", 200.0, 0.0)).unwrap();
    assert_eq!(status.status, Phase::Running);
    assert_eq!(status.scenario.as_deref(), Some("default"));
    assert_eq!((status.rate_target, status.seed), (200.0, Some(7)));
    until("events are produced", || {
        manager.status().events_produced >= 30
    })
    .await;
    let id = manager.status().simulation_id;
    assert_eq!(id, status.simulation_id);
    manager.stop(PATIENCE).await.unwrap();
    let taken = lock(&sink.taken);
    for (item, _) in taken.iter().take(20) {
        assert!(
            matches!(item, Item::Opening(..)),
            "accounts are opened first"
        );
    }
}

/// Plan: TestStart_AlreadyRunning
#[tokio::test]
async fn start_already_running() {
    let (_, manager) = manager();
    let first = manager.start(order("default", 10.0, 0.0)).unwrap();
    let error = manager.start(order("default", 10.0, 0.0)).unwrap_err();
    let StartError::AlreadyRunning(id) = error else {
        panic!("{error}");
    };
    assert_eq!(Some(id), first.simulation_id);
    manager.stop(PATIENCE).await.unwrap();
    let second = manager.start(order("default", 10.0, 0.0)).unwrap();
    assert_ne!(second.simulation_id, first.simulation_id);
    manager.stop(PATIENCE).await.unwrap();
}

/// Plan: TestStop_Success
#[tokio::test]
async fn stop_success() {
    let (sink, manager) = manager();
    manager.start(order("default", 500.0, 0.0)).unwrap();
    until("events are produced", || {
        manager.status().events_produced >= 50
    })
    .await;
    let stopped = manager.stop(PATIENCE).await.unwrap();
    assert_eq!(stopped.status, Phase::Stopped);
    assert_eq!(stopped.events_produced, sink.taken() as u64);
    assert_eq!(
        stopped.by_type.values().sum::<u64>(),
        stopped.events_produced
    );
    assert_eq!(
        manager.status().elapsed_seconds,
        stopped.elapsed_seconds,
        "the clock stands"
    );
}

/// Plan: TestStop_NotRunning
#[tokio::test]
async fn stop_not_running() {
    let (_, manager) = manager();
    assert!(manager.stop(PATIENCE).await.is_err(), "none was started");
    assert!(manager.set_rate(5.0).is_err());
    manager.start(order("default", 10.0, 0.2)).unwrap();
    ended(&manager).await;
    assert!(
        manager.stop(PATIENCE).await.is_err(),
        "the last one has ended"
    );
    assert!(manager.set_rate(5.0).is_err());
}

/// Plan: TestAutoStopAfterDuration
#[tokio::test]
async fn auto_stop_after_duration() {
    let (sink, manager) = manager();
    manager.start(order("default", 250.0, 0.4)).unwrap();
    let status = ended(&manager).await;
    assert_eq!(
        (status.events_produced, sink.taken()),
        (100, 100),
        "rate × duration"
    );
    assert!(status.elapsed_seconds >= 0.4, "{status:?}");
    assert_eq!((status.failed, status.in_flight), (0, 0));
}

/// Each event is sent at its own moment, not before; together they keep the rate.
///
/// Plan: TestRateControl
#[tokio::test]
async fn rate_control() {
    let (sink, manager) = manager();
    let started = Instant::now();
    manager.start(order("default", 200.0, 1.0)).unwrap();
    let status = ended(&manager).await;
    assert_eq!(status.events_produced, 200);
    let taken = lock(&sink.taken);
    for (n, (_, at)) in taken.iter().enumerate() {
        let due = started + Duration::from_secs_f64(n as f64 / 200.0);
        assert!(*at >= due, "event {n} came {:?} early", due - *at);
    }
}

#[tokio::test]
async fn the_rate_changes_while_it_runs() {
    let (sink, manager) = manager();
    manager.start(order("default", 1.0, 0.0)).unwrap();
    until("the first event", || sink.taken() == 1).await;
    let status = manager.set_rate(5_000.0).unwrap();
    assert_eq!(status.rate_target, 5_000.0);
    // At the old rate this would take more than the patience.
    until("it is fast", || sink.taken() >= 1_000).await;
    manager.stop(PATIENCE).await.unwrap();
}

#[tokio::test]
async fn a_stall_is_made_up_for_and_nothing_is_skipped() {
    let (sink, manager) = manager();
    sink.full.store(100, SeqCst);
    manager.start(order("default", 1_000.0, 0.2)).unwrap();
    let status = ended(&manager).await;
    assert_eq!((status.events_produced, status.failed), (200, 0));
    let taken = lock(&sink.taken);
    let ids: HashSet<_> = taken
        .iter()
        .map(|(item, _)| match item {
            Item::Event(event) | Item::Opening(event, _) => event.event_id().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 200, "each event once");
}

#[tokio::test]
async fn a_silent_broker_bounds_what_is_in_flight() {
    let (sink, manager) = manager();
    let flood = Order {
        rate: 1e6,
        ..order("ouvertures", 1e6, 0.0)
    };
    manager.start(flood).unwrap();
    until("the initial account is there", || {
        manager.status().events_produced > 0
    })
    .await;
    sink.silent.store(true, SeqCst);
    until("the bound is reached", || {
        lock(&sink.kept_back).len() as u64 == driver::IN_FLIGHT_MAX
    })
    .await;
    assert_eq!(manager.status().in_flight, driver::IN_FLIGHT_MAX);
    let stopping = manager.stop(Duration::from_millis(10)).await.unwrap();
    assert_eq!(stopping.status, Phase::Stopping);
    assert!(
        manager.start(order("default", 1.0, 1.0)).is_err(),
        "it has not ended"
    );
    sink.speak();
    let status = ended(&manager).await;
    assert_eq!(status.events_produced, sink.taken() as u64);
}

#[tokio::test]
async fn nothing_but_openings_is_sent_before_they_are_acknowledged() {
    let (sink, manager) = manager();
    sink.silent.store(true, SeqCst);
    manager.start(order("default", 2_000.0, 0.1)).unwrap();
    until("the initial accounts are under way", || sink.taken() == 20).await;
    // They are due all the time, and are not sent.
    until("the duration is over", || {
        manager.status().elapsed_seconds > 0.12
    })
    .await;
    assert_eq!(sink.taken(), 20);
    assert_eq!(manager.status().status, Phase::Running);
    sink.speak();
    assert_eq!(ended(&manager).await.events_produced, 200, "all the same");
}

#[tokio::test]
async fn what_fails_is_counted_and_its_account_not_used() {
    let (sink, manager) = manager();
    sink.failing.store(5, SeqCst);
    manager.start(order("default", 1_000.0, 0.2)).unwrap();
    let status = ended(&manager).await;
    assert_eq!((status.events_produced, status.failed), (195, 5));
    let taken = lock(&sink.taken);
    let missing: HashSet<String> = taken[..5]
        .iter()
        .map(|(item, _)| match item {
            Item::Opening(event, _) => event.key().to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    for (item, _) in &taken[5..] {
        if let Item::Event(event) = item {
            assert!(!missing.contains(event.key()), "{event:?}");
        }
    }
}

#[tokio::test]
async fn the_end_of_the_service_does_not_wait_for_a_broker_that_is_gone() {
    let (sink, manager) = manager();
    sink.silent.store(true, SeqCst);
    manager.start(order("default", 100.0, 0.0)).unwrap();
    until("something is in flight", || sink.taken() > 3).await;
    manager.close(Duration::from_millis(50)).await;
    let status = ended(&manager).await;
    assert_eq!(status.failed, sink.taken() as u64);
    manager.close(Duration::from_millis(50)).await;
}
