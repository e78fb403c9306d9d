//! All clients: who is there, and how a message gets to those that asked for it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use chassis::metrics::WEBSOCKET_CLIENTS;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::messages::{Envelope, Frame, StatsPayload, StatusPayload, Text, TopicStats};
use super::{Settings, TOPICS};
use crate::flow::{Figures, Flow};

/// A client rests so long for each one that is there…
const REST_PER_CLIENT: Duration = Duration::from_micros(40);
/// … and at most so long, half of what an event may take.
const MOST_REST: Duration = Duration::from_millis(50);

/// What the hub knows of the stream that feeds it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Feed {
    /// The stream has its place in every partition: what is produced from now on will come.
    pub ready: bool,
    /// Kafka answers.
    pub connected: bool,
}

/// Gives messages to clients and never waits for one.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    clients: RwLock<HashMap<u64, Arc<Client>>>,
    next_id: AtomicU64,
    feed: watch::Sender<Feed>,
}

/// A client that is in the hub for as long as this lives.
#[derive(Debug)]
pub struct Registration {
    hub: Arc<Hub>,
    id: u64,
    pub client: Arc<Client>,
    pub queue: mpsc::Receiver<Frame>,
}

impl Hub {
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            settings,
            clients: RwLock::default(),
            next_id: AtomicU64::default(),
            feed: watch::channel(Feed::default()).0,
        })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes a client in; `None` when as many are there as may be.
    pub fn register(self: &Arc<Self>) -> Option<Registration> {
        let (client, queue) = Client::new(self.settings.queue, self.settings.lag_patience);
        let client = Arc::new(client);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let mut clients = self.write();
        if clients.len() >= self.settings.max_clients {
            return None;
        }
        clients.insert(id, client.clone());
        WEBSOCKET_CLIENTS.set(clients.len() as i64);
        Some(Registration {
            hub: self.clone(),
            id,
            client,
            queue,
        })
    }

    fn unregister(&self, id: u64) {
        let mut clients = self.write();
        clients.remove(&id);
        WEBSOCKET_CLIENTS.set(clients.len() as i64);
    }

    /// How many clients there are.
    pub fn clients(&self) -> usize {
        self.read().len()
    }

    /// How long a client that has been written to is left alone. Waking a task and calling the
    /// kernel cost more than a message; with a thousand clients, each of them every time would
    /// take the machine longer than it takes the events to come.
    pub fn rest(&self) -> Option<Duration> {
        let rest = REST_PER_CLIENT * u32::try_from(self.clients()).unwrap_or(u32::MAX);
        // Timers are no finer.
        (rest >= Duration::from_millis(1)).then(|| rest.min(MOST_REST))
    }

    /// True when somebody is subscribed to a topic: else its events need not be serialised.
    pub fn is_watched(&self, topic: usize) -> bool {
        let is_subscribed = |client: &Arc<Client>| client.topics() & (1 << topic) != 0;
        self.read().values().any(is_subscribed)
    }

    /// To everybody.
    pub fn broadcast(&self, text: &Text) {
        let now = Instant::now();
        for client in self.read().values() {
            client.offer(text.clone(), now);
        }
    }

    /// An event to everybody who is subscribed to its topic: how many those are.
    pub fn broadcast_to_topic(&self, topic: usize, frame: &Frame) -> usize {
        let now = Instant::now();
        let clients = self.read();
        let takers = clients
            .values()
            .filter(|client| client.offer_event(topic, frame, now));
        takers.count()
    }

    /// Counts to everybody who is subscribed to anything.
    pub fn broadcast_stats(&self, figures: &[Figures; TOPICS.len()]) {
        let now = Instant::now();
        let mut shared = None;
        for client in self.read().values().filter(|client| client.topics() != 0) {
            let text = match client.sampled_out() {
                Some(sampled_out) => stats(figures, &sampled_out),
                None => shared
                    .get_or_insert_with(|| stats(figures, &[0; TOPICS.len()]))
                    .clone(),
            };
            client.offer_stats(text, now);
        }
    }

    /// Sends counts until `shutdown`.
    pub async fn run(&self, flow: &Flow, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(self.settings.stats);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => self.broadcast_stats(&flow.tick(Instant::now())),
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// The stream's state; everybody is told when it is another.
    pub fn set_feed(&self, feed: Feed) {
        let changed = self.feed.send_if_modified(|now| {
            let changed = *now != feed;
            *now = feed;
            changed
        });
        if changed {
            let now = Instant::now();
            let clients: Vec<_> = self.read().values().cloned().collect();
            for client in clients {
                client.offer(self.status(&client), now);
            }
        }
    }

    pub fn feed(&self) -> Feed {
        *self.feed.borrow()
    }

    /// Waits until the stream is ready.
    pub async fn ready(&self) {
        // The sender is ours, so that there is no other end than being ready.
        let _ = self.feed.subscribe().wait_for(|feed| feed.ready).await;
    }

    /// What a client is told about itself.
    pub fn status(&self, client: &Client) -> Text {
        let payload = StatusPayload {
            topics: client.topic_names(),
            connected: self.feed().connected,
            clients: self.clients(),
        };
        Envelope::new("status", payload).text()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<u64, Arc<Client>>> {
        self.clients
            .read()
            .expect("nothing panics while it holds this lock")
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u64, Arc<Client>>> {
        self.clients
            .write()
            .expect("nothing panics while it holds this lock")
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.hub.unregister(self.id);
    }
}

fn stats(figures: &[Figures; TOPICS.len()], sampled_out: &[u64; TOPICS.len()]) -> Text {
    let topics: BTreeMap<&'static str, TopicStats> = TOPICS
        .iter()
        .zip(figures.iter().zip(sampled_out))
        .map(|(topic, (figures, sampled_out))| {
            let stats = TopicStats {
                count: figures.count,
                rate: figures.rate,
                sampled_out: *sampled_out,
            };
            (*topic, stats)
        })
        .collect();
    Envelope::new("stats", StatsPayload { topics }).text()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(max_clients: usize) -> Arc<Hub> {
        Hub::new(Settings {
            max_clients,
            ..Settings::default()
        })
    }

    fn next(registration: &mut Registration) -> Option<String> {
        registration
            .queue
            .try_recv()
            .ok()
            .map(|frame| frame.text.to_string())
    }

    /// Plan: TestHub_RegisterClient
    #[test]
    fn hub_register_client() {
        let hub = hub(2);
        let first = hub.register().expect("there is room");
        let second = hub.register().expect("there is room");
        assert_eq!(hub.clients(), 2);
        assert!(hub.register().is_none(), "no more than may be");
        drop((first, second));
    }

    /// Plan: TestHub_UnregisterClient
    #[test]
    fn hub_unregister_client() {
        let hub = hub(1);
        drop(hub.register().unwrap());
        assert_eq!(hub.clients(), 0);
        let again = hub.register().expect("its place is free again");
        assert_eq!(hub.clients(), 1);
        drop(again);
    }

    /// Plan: TestHub_Broadcast
    #[test]
    fn hub_broadcast() {
        let hub = hub(9);
        let mut clients: Vec<_> = (0..3).map(|_| hub.register().unwrap()).collect();
        hub.broadcast(&Text::from_static("hello"));
        for client in &mut clients {
            assert_eq!(next(client).as_deref(), Some("hello"));
            assert_eq!(next(client), None);
        }
    }

    /// Plan: TestHub_BroadcastToTopic
    #[test]
    fn hub_broadcast_to_topic() {
        let hub = hub(9);
        let (mut one, mut other) = (hub.register().unwrap(), hub.register().unwrap());
        one.client.subscribe(0b01, None, Instant::now());
        other.client.subscribe(0b10, None, Instant::now());
        assert!(hub.is_watched(0) && hub.is_watched(1) && !hub.is_watched(2));
        hub.broadcast_to_topic(0, &Text::from_static("event").into());
        assert_eq!(next(&mut one).as_deref(), Some("event"));
        assert_eq!(next(&mut other), None);
    }

    #[test]
    fn counts_go_to_those_who_watch_something() {
        let hub = hub(9);
        let (mut one, mut other) = (hub.register().unwrap(), hub.register().unwrap());
        one.client.subscribe(0b01, None, Instant::now());
        let mut figures = [Figures::default(); TOPICS.len()];
        figures[0] = Figures {
            count: 7,
            rate: 2.5,
        };
        hub.broadcast_stats(&figures);
        let stats: serde_json::Value = serde_json::from_str(&next(&mut one).unwrap()).unwrap();
        assert_eq!(stats["type"], "stats");
        let topic = &stats["payload"]["topics"][TOPICS[0]];
        assert_eq!(topic["count"], 7);
        assert_eq!(
            (topic["rate"].as_f64(), topic["sampled_out"].as_u64()),
            (Some(2.5), Some(0))
        );
        assert_eq!(next(&mut other), None);
    }

    #[tokio::test]
    async fn everybody_hears_of_a_break_once() {
        let hub = hub(9);
        let mut client = hub.register().unwrap();
        let up = Feed {
            ready: true,
            connected: true,
        };
        hub.set_feed(up);
        hub.set_feed(up);
        hub.ready().await;
        let status: serde_json::Value = serde_json::from_str(&next(&mut client).unwrap()).unwrap();
        assert_eq!(status["payload"]["connected"], true);
        assert_eq!(status["payload"]["clients"], 1);
        assert_eq!(next(&mut client), None);
    }
}
