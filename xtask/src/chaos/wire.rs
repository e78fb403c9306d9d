//! A wire between the services and what they need, which can be cut, slowed down or made to lose an
//! answer. It stands where the services believe the other end to be.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::scenario::State;

/// One wire; it goes with its value.
pub struct Wire {
    pub port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    /// What passes, and how many times connections were declared dead.
    now: watch::Sender<Now>,
    /// The next request that contains these bytes loses its answer.
    lose: Mutex<Option<Vec<u8>>>,
    lost: AtomicBool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Now {
    state: State,
    epoch: u64,
}

impl Wire {
    /// Listens on a free port of this machine and passes everything on to `port`, which need not
    /// answer yet.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn to(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("failed to listen")?;
        let own = listener.local_addr().context("failed to listen")?.port();
        let (now, _) = watch::channel(Now {
            state: State::Through,
            epoch: 0,
        });
        let shared = Arc::new(Shared {
            now,
            lose: Mutex::default(),
            lost: AtomicBool::new(false),
        });
        let accepting = tokio::spawn(accept(listener, port, shared.clone()));
        Ok(Self {
            port: own,
            shared,
            accepting,
        })
    }

    pub fn set(&self, state: State) {
        self.shared.now.send_modify(|now| {
            if state == State::HalfOpen {
                now.epoch += 1;
            }
            now.state = state;
        });
    }

    /// Loses the answer to the next request that contains `words`.
    pub fn lose_reply(&self, words: &str) {
        self.shared.lost.store(false, Ordering::Release);
        *self.lose() = Some(words.as_bytes().to_vec());
    }

    /// True once that has happened.
    pub fn has_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Acquire)
    }

    fn lose(&self) -> std::sync::MutexGuard<'_, Option<Vec<u8>>> {
        let lose = self.shared.lose.lock();
        lose.expect("nobody panics while holding it")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            if shared.now.borrow().state == State::Cut {
                return;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                return;
            };
            // Small answers must not wait for others.
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let epoch = shared.now.borrow().epoch;
            let mute = Arc::new(AtomicBool::new(false));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            let requests = Pump {
                shared: shared.clone(),
                epoch,
                mute: mute.clone(),
                is_request: true,
            };
            let replies = Pump {
                shared,
                epoch,
                mute,
                is_request: false,
            };
            // One end that goes takes the other with it.
            tokio::select! {
                () = requests.run(from_client, to_server) => {}
                () = replies.run(from_server, to_client) => {}
            }
        });
    }
}

/// One direction of one connection.
struct Pump {
    shared: Arc<Shared>,
    /// How often connections had been declared dead when this one was made.
    epoch: u64,
    /// Set when an answer is to be lost: nothing goes back any more.
    mute: Arc<AtomicBool>,
    is_request: bool,
}

impl Pump {
    async fn run(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut now = self.shared.now.subscribe();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = tokio::select! {
                read = from.read(&mut buffer) => read,
                () = cut(&mut now) => return,
            };
            let Ok(length @ 1..) = read else {
                return;
            };
            let bytes = &buffer[..length];
            if self.is_request {
                self.look_for_the_words(bytes);
            } else if self.mute.load(Ordering::Acquire) {
                // The server has answered, so it is done; the client will never know.
                self.shared.lost.store(true, Ordering::Release);
                return;
            }
            let current = now.borrow_and_update().clone();
            if current.epoch > self.epoch {
                // Swallowed: the other side is gone, and nobody says so.
                continue;
            }
            match current.state {
                State::Through | State::HalfOpen => {}
                State::Cut => return,
                State::Latency(later) => tokio::time::sleep(later.0).await,
                State::Silent => {
                    let heard = now.wait_for(|now| now.state != State::Silent).await;
                    let state = heard.map(|now| now.state.clone());
                    if !matches!(state, Ok(state) if state != State::Cut) {
                        return;
                    }
                }
            }
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }

    fn look_for_the_words(&self, bytes: &[u8]) {
        let mut lose = self
            .shared
            .lose
            .lock()
            .expect("nobody panics while holding it");
        let found = lose
            .as_ref()
            .is_some_and(|words| bytes.windows(words.len()).any(|window| window == words));
        if found {
            *lose = None;
            self.mute.store(true, Ordering::Release);
        }
    }
}

async fn cut(now: &mut watch::Receiver<Now>) {
    if now.wait_for(|now| now.state == State::Cut).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// How long a lost reply is waited for.
pub const LOSS_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::scenario::Time;

    /// Answers each line with the same in capitals.
    async fn shouting() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(n @ 1..) = socket.read(&mut buffer).await {
                        let loud = buffer[..n].to_ascii_uppercase();
                        let _ = socket.write_all(&loud).await;
                    }
                });
            }
        });
        port
    }

    async fn ask(socket: &mut TcpStream, words: &str) -> Option<String> {
        socket.write_all(words.as_bytes()).await.ok()?;
        let mut buffer = [0; 64];
        let read = tokio::time::timeout(Duration::from_millis(300), socket.read(&mut buffer));
        let n = read.await.ok()?.ok().filter(|n| *n > 0)?;
        Some(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }

    #[tokio::test]
    async fn a_wire_does_what_it_is_told() {
        let wire = Wire::to(shouting().await).await.unwrap();
        let connect = || TcpStream::connect(("127.0.0.1", wire.port));
        let mut first = connect().await.unwrap();
        assert_eq!(ask(&mut first, "a").await.as_deref(), Some("A"));

        wire.set(State::HalfOpen);
        let mut second = connect().await.unwrap();
        assert_eq!(ask(&mut first, "b").await, None);
        assert_eq!(ask(&mut second, "c").await.as_deref(), Some("C"));
        wire.set(State::Through);
        assert_eq!(ask(&mut first, "d").await, None, "it stays dead");

        wire.set(State::Silent);
        assert_eq!(ask(&mut second, "e").await, None);
        wire.set(State::Through);
        assert_eq!(ask(&mut second, "").await.as_deref(), Some("E"));

        wire.set(State::Latency(Time(Duration::from_millis(50))));
        let began = std::time::Instant::now();
        assert_eq!(ask(&mut second, "f").await.as_deref(), Some("F"));
        assert!(began.elapsed() >= Duration::from_millis(100), "both ways");
        wire.set(State::Through);

        wire.lose_reply("COMMIT");
        assert_eq!(ask(&mut second, "begin").await.as_deref(), Some("BEGIN"));
        assert!(!wire.has_lost());
        assert_eq!(ask(&mut second, "COMMIT").await, None);
        assert!(wire.has_lost());

        let mut third = connect().await.unwrap();
        assert_eq!(ask(&mut third, "COMMIT").await.as_deref(), Some("COMMIT"));
        wire.set(State::Cut);
        assert_eq!(ask(&mut third, "g").await, None);
    }
}
