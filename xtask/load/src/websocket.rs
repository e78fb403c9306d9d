//! WebSocket clients of the gateway, as cheap as can be, since they run on the machine that they
//! measure: they look into a sample of the events only.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::trace::histogram;

/// Each client looks into one event of so many.
const SAMPLE: u64 = 61;
/// A credit's time is when the bank emitted it, not when the simulator published.
const NOT_PUBLISHED: &str = "bancaire.virement.recu";

/// What all reading clients came to since the round began.
#[derive(Debug)]
pub struct Tally {
    pub events: AtomicU64,
    /// Markers of skipped messages.
    pub lagged: AtomicU64,
    /// Connections that ended.
    pub broken: AtomicU64,
    latencies: Mutex<Histogram<u64>>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: AtomicU64::default(),
            lagged: AtomicU64::default(),
            broken: AtomicU64::default(),
            latencies: Mutex::new(histogram()),
        }
    }
}

impl Tally {
    /// From publication to a client's socket, in microseconds; an event's time has milliseconds.
    pub fn latencies(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.latencies
            .lock()
            .expect("nothing panics while it holds this lock")
    }

    /// A connection that is lost stays lost.
    pub fn reset(&self) {
        for counter in [&self.events, &self.lagged] {
            counter.store(0, Ordering::Relaxed);
        }
        self.latencies().reset();
    }
}

/// Opens a WebSocket and subscribes to everything.
///
/// # Errors
/// When nobody answers, or not with a WebSocket.
pub async fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let failed = || format!("failed to open a WebSocket at {address}");
    let mut stream = TcpStream::connect(address).await.with_context(failed)?;
    let request = format!(
        "GET /ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let asked = stream.write_all(request.as_bytes()).await;
    asked.with_context(failed)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let byte = stream.read_u8().await.with_context(failed)?;
        answer.push(byte);
    }
    let answer = String::from_utf8_lossy(&answer);
    anyhow::ensure!(answer.contains(" 101 "), "{}: {answer}", failed());
    let subscribe = masked(0x1, br#"{"action":"subscribe","topics":["*"]}"#);
    stream.write_all(&subscribe).await.with_context(failed)?;
    Ok(stream)
}

/// A short frame as a client sends it; a mask of zeros leaves the payload as it is.
fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("it is short");
    assert!(length < 126, "it is short");
    let mut frame = vec![0x80 | opcode, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

/// Reads until the connection ends.
pub async fn read(mut stream: TcpStream, tally: Arc<Tally>) {
    // Errors and ends are the same here: this client hears nothing more.
    let _ = hear(&mut stream, &tally).await;
    tally.broken.fetch_add(1, Ordering::Relaxed);
}

async fn hear(stream: &mut TcpStream, tally: &Tally) -> std::io::Result<()> {
    let mut bytes = Vec::with_capacity(64 * 1024);
    let mut events = 0;
    while stream.read_buf(&mut bytes).await? > 0 {
        let now = Utc::now();
        let mut rest = &bytes[..];
        while let Some((opcode, payload, behind)) = frame(rest) {
            if opcode == 0x9 {
                stream.write_all(&masked(0xA, payload)).await?;
            } else if payload.starts_with(br#"{"type":"event""#) {
                events += 1;
                tally.events.fetch_add(1, Ordering::Relaxed);
                if events % SAMPLE == 0
                    && let Some(published) = published(payload)
                {
                    let us = (now - published)
                        .num_microseconds()
                        .unwrap_or(i64::MAX)
                        .max(0);
                    tally.latencies().saturating_record(us.cast_unsigned());
                }
            } else if payload.starts_with(br#"{"type":"lagged""#) {
                tally.lagged.fetch_add(1, Ordering::Relaxed);
            }
            rest = behind;
        }
        let read = bytes.len() - rest.len();
        bytes.drain(..read);
    }
    Ok(())
}

/// The first frame that a server sent: its opcode, its payload, and what is behind it. `None` when
/// it is not there as a whole.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let (length, rest) = match head[1] {
        126 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*length), rest)
        }
        length => (length.into(), rest),
    };
    let (payload, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((head[0] & 0x0F, payload, behind))
}

/// When the simulator published an event.
fn published(message: &[u8]) -> Option<DateTime<Utc>> {
    let message: Value = serde_json::from_slice(message).ok()?;
    if message["topic"] == NOT_PUBLISHED {
        return None;
    }
    let at = message["payload"]["event"]["timestamp"].as_str()?;
    Some(DateTime::parse_from_rfc3339(at).ok()?.to_utc())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn frames_are_told_apart_however_they_come() {
        let long = vec![b'x'; 300];
        let mut bytes = vec![0x81, 2, b'h', b'i', 0x89, 0, 0x81, 126, 1, 44];
        bytes.extend_from_slice(&long);
        let (opcode, payload, rest) = frame(&bytes).unwrap();
        assert_eq!((opcode, payload), (1, &b"hi"[..]));
        let (opcode, payload, rest) = frame(rest).unwrap();
        assert_eq!((opcode, payload), (9, &b""[..]));
        let (opcode, payload, rest) = frame(rest).unwrap();
        assert_eq!((opcode, payload), (1, &long[..]));
        assert!(rest.is_empty() && frame(rest).is_none());
        for cut in [1, 3, 7, 9, bytes.len() - 1] {
            let mut whole = 0;
            let mut rest = &bytes[..cut];
            while let Some((_, _, behind)) = frame(rest) {
                (whole, rest) = (whole + 1, behind);
            }
            assert!(whole < 3, "{cut} bytes are not all of it");
        }
    }

    #[test]
    fn the_time_of_an_event_is_its_own() {
        let message = |topic: &str| {
            let event = json!({"timestamp": "2026-01-02T03:04:05.678Z"});
            json!({"type": "event", "topic": topic, "payload": {"event": event}}).to_string()
        };
        let at = published(message("bancaire.depot.effectue").as_bytes()).unwrap();
        assert_eq!(at.timestamp_subsec_millis(), 678);
        assert!(published(message(NOT_PUBLISHED).as_bytes()).is_none());
        assert!(published(b"{}").is_none());
    }
}
