//! One client as the hub sees it: what it subscribed to, its bounded queue, and how far it is
//! behind. Nothing here waits for the client.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::TOPICS;
use super::messages::{self, Frame, Text};

/// A set of topics, one bit each.
pub type TopicSet = u32;

/// All topics.
pub const ALL_TOPICS: TopicSet = (1 << TOPICS.len()) - 1;

/// A client's side in the hub. Its other side is the [`super::session`] that empties the queue.
#[derive(Debug)]
pub struct Client {
    topics: AtomicU32,
    queue: mpsc::Sender<Frame>,
    patience: Duration,
    pace: Mutex<Pace>,
    /// Cancelled when the client lagged for too long.
    gave_up: CancellationToken,
}

/// How the client keeps up.
#[derive(Debug, Default)]
struct Pace {
    samplers: [Option<Sampler>; TOPICS.len()],
    sampled_out: [u64; TOPICS.len()],
    /// Messages that found the queue full since the last marker.
    skipped: u64,
    /// Since when it has not read everything that was there for it.
    lagging_since: Option<Instant>,
}

impl Client {
    /// A client whose queue holds `room` messages, and the queue's end.
    pub fn new(room: usize, patience: Duration) -> (Self, mpsc::Receiver<Frame>) {
        let (queue, end) = mpsc::channel(room);
        let client = Self {
            topics: AtomicU32::new(0),
            queue,
            patience,
            pace: Mutex::default(),
            gave_up: CancellationToken::new(),
        };
        (client, end)
    }

    /// Adds topics, with at most `max_rate` events per second of each.
    pub fn subscribe(&self, topics: TopicSet, max_rate: Option<u32>, now: Instant) {
        let mut pace = self.pace();
        for (index, sampler) in pace.samplers.iter_mut().enumerate() {
            if topics & (1 << index) != 0 {
                *sampler = max_rate.map(|rate| Sampler::new(rate, now));
            }
        }
        self.topics.fetch_or(topics & ALL_TOPICS, Ordering::SeqCst);
    }

    pub fn unsubscribe(&self, topics: TopicSet) {
        self.topics.fetch_and(!topics, Ordering::SeqCst);
    }

    /// What it is subscribed to.
    pub fn topics(&self) -> TopicSet {
        self.topics.load(Ordering::SeqCst)
    }

    /// The same by name.
    pub fn topic_names(&self) -> Vec<&'static str> {
        let topics = self.topics();
        let is_in = |index: &usize| topics & (1 << index) != 0;
        (0..TOPICS.len())
            .filter(is_in)
            .map(|index| TOPICS[index])
            .collect()
    }

    /// Gives it an event, if it asked for the topic and its rate allows; true when it did.
    pub fn offer_event(&self, topic: usize, frame: &Frame, now: Instant) -> bool {
        if self.topics() & (1 << topic) == 0 {
            return false;
        }
        let mut pace = self.pace();
        if let Some(sampler) = &mut pace.samplers[topic]
            && !sampler.admits(now)
        {
            pace.sampled_out[topic] += 1;
            return false;
        }
        self.push(&mut pace, frame.clone(), now);
        true
    }

    /// Gives it a message that is not about a topic.
    pub fn offer(&self, text: Text, now: Instant) {
        self.push(&mut self.pace(), text.into(), now);
    }

    /// Gives it counts, which are worth nothing when they come late: a full queue goes without.
    pub fn offer_stats(&self, text: Text, now: Instant) {
        let mut pace = self.pace();
        self.lose_patience(&mut pace, now);
        if pace.skipped == 0 {
            // The next counts say the same and more.
            let _ = self.queue.try_send(text.into());
        }
    }

    /// Events left out by sampling, per topic; `None` for a client that gets every event.
    pub fn sampled_out(&self) -> Option<[u64; TOPICS.len()]> {
        let pace = self.pace();
        let samples = pace.samplers.iter().any(Option::is_some);
        (samples || pace.sampled_out.iter().any(|count| *count > 0)).then_some(pace.sampled_out)
    }

    /// The session has sent everything that was queued. What was skipped meanwhile is still to be
    /// said; without that the client has caught up.
    pub fn caught_up(&self) -> Option<Text> {
        let mut pace = self.pace();
        match std::mem::take(&mut pace.skipped) {
            0 => {
                pace.lagging_since = None;
                None
            }
            skipped => Some(messages::lagged(skipped)),
        }
    }

    /// Ends when the hub has lost its patience with the client.
    pub async fn given_up(&self) {
        self.gave_up.cancelled().await;
    }

    pub fn is_given_up(&self) -> bool {
        self.gave_up.is_cancelled()
    }

    fn push(&self, pace: &mut Pace, frame: Frame, now: Instant) {
        if pace.skipped > 0 {
            let marker = messages::lagged(pace.skipped).into();
            if self.queue.try_send(marker).is_ok() {
                // It stands where the messages are missing.
                pace.skipped = 0;
            }
        }
        if pace.skipped > 0 || self.queue.try_send(frame).is_err() {
            pace.skipped += 1;
            pace.lagging_since.get_or_insert(now);
        }
        self.lose_patience(pace, now);
    }

    fn lose_patience(&self, pace: &mut Pace, now: Instant) {
        if let Some(since) = pace.lagging_since
            && now.duration_since(since) > self.patience
        {
            self.gave_up.cancel();
        }
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

/// Lets so many events per second through, with a second's worth at once at most.
#[derive(Debug)]
struct Sampler {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Sampler {
    fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            tokens: per_second,
            at: now,
        }
    }

    fn admits(&mut self, now: Instant) -> bool {
        let elapsed = now.duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.per_second);
        self.at = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn client(room: usize) -> (Client, mpsc::Receiver<Frame>) {
        Client::new(room, PATIENCE)
    }

    fn frame(text: &'static str) -> Frame {
        Text::from_static(text).into()
    }

    fn drain(queue: &mut mpsc::Receiver<Frame>) -> Vec<String> {
        std::iter::from_fn(|| queue.try_recv().ok())
            .map(|frame| frame.text.to_string())
            .collect()
    }

    /// Plan: TestClient_Subscribe
    #[test]
    fn client_subscribe() {
        let (client, mut queue) = client(8);
        let (now, event) = (Instant::now(), frame("e"));
        client.offer_event(0, &event, now);
        assert!(drain(&mut queue).is_empty(), "nothing was subscribed to");
        client.subscribe(0b101, None, now);
        for topic in 0..TOPICS.len() {
            client.offer_event(topic, &event, now);
        }
        assert_eq!(drain(&mut queue), ["e", "e"]);
        assert_eq!(client.topic_names(), [TOPICS[0], TOPICS[2]]);
        client.subscribe(ALL_TOPICS, None, now);
        assert_eq!(client.topic_names(), TOPICS);
    }

    /// Plan: TestClient_Unsubscribe
    #[test]
    fn client_unsubscribe() {
        let (client, mut queue) = client(8);
        let (now, event) = (Instant::now(), frame("e"));
        client.subscribe(0b11, None, now);
        client.unsubscribe(0b01);
        client.offer_event(0, &event, now);
        assert!(drain(&mut queue).is_empty());
        client.offer_event(1, &event, now);
        assert_eq!(drain(&mut queue), ["e"]);
        client.unsubscribe(ALL_TOPICS);
        assert_eq!(client.topics(), 0);
    }

    #[test]
    fn a_full_queue_skips_and_says_so_where_the_gap_is() {
        let (client, mut queue) = client(2);
        let now = Instant::now();
        for text in ["a", "b", "c", "d"] {
            client.offer(Text::from_static(text), now);
        }
        assert_eq!(drain(&mut queue), ["a", "b"]);
        client.offer(Text::from_static("e"), now);
        let messages = drain(&mut queue);
        assert!(messages[0].contains("\"skipped\":2"), "{messages:?}");
        assert_eq!(messages[1], "e");
    }

    #[test]
    fn a_gap_at_the_end_is_told_when_the_queue_is_empty() {
        let (client, mut queue) = client(1);
        let now = Instant::now();
        client.offer(Text::from_static("a"), now);
        client.offer(Text::from_static("b"), now);
        assert_eq!(drain(&mut queue), ["a"]);
        assert!(client.caught_up().unwrap().contains("\"skipped\":1"));
        assert!(client.caught_up().is_none());
    }

    #[test]
    fn patience_ends_for_one_that_lags_on_and_not_for_one_that_caught_up() {
        for catches_up in [false, true] {
            let (client, mut queue) = client(1);
            let start = Instant::now();
            client.offer(Text::from_static("a"), start);
            client.offer(Text::from_static("b"), start);
            drain(&mut queue);
            if catches_up {
                while client.caught_up().is_some() {}
            }
            client.offer_stats(Text::from_static("s"), start + PATIENCE * 2);
            assert_eq!(client.is_given_up(), !catches_up);
        }
    }

    #[test]
    fn above_its_rate_a_client_gets_samples() {
        let (client, mut queue) = client(1000);
        let start = Instant::now();
        client.subscribe(1, Some(50), start);
        let event = frame("e");
        // 1,000 events per second for two seconds.
        for ms in 0..2000 {
            client.offer_event(0, &event, start + Duration::from_millis(ms));
        }
        let sent = drain(&mut queue).len() as u64;
        assert!((145..=151).contains(&sent), "{sent}");
        assert_eq!(client.sampled_out().unwrap()[0], 2000 - sent);
        client.subscribe(1, None, start);
        for _ in 0..100 {
            client.offer_event(0, &event, start);
        }
        assert_eq!(
            drain(&mut queue).len(),
            100,
            "without a rate every event is sent"
        );
    }
}
