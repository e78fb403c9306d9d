//! One socket from its first message to its last: reads what the client asks for, writes what the
//! hub has queued for it, and ends one that is silent, too slow or too loud.

use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::client::{ALL_TOPICS, Client, TopicSet};
use super::hub::{Hub, Registration};
use super::messages::{self, Action, ClientMessage, Frame};
use super::{TOPICS, topic_index};

/// How long a client may take to hear that it is over, and to stop sending.
const FAREWELL: Duration = Duration::from_secs(2);
/// One that sends nothing for so long has stopped.
const QUIET: Duration = Duration::from_millis(200);
/// How much of what a client still sends is thrown away.
const LINGER_BYTES: usize = 64 << 20;
/// The most samples per second that can be asked for.
const MAX_RATE: u32 = 100_000;
/// Messages that are written before the socket is flushed.
const WRITE_BATCH: usize = 64;

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client went, or the connection broke.
    Gone,
    Idle,
    TooSlow,
    TooBig,
    NotText,
    Protocol,
    Shutdown,
}

impl End {
    fn frame(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::Idle => (CloseCode::Policy, "nothing came for too long"),
            Self::TooSlow => (CloseCode::Again, "read too slowly"),
            Self::TooBig => (CloseCode::Size, "the message is too large"),
            Self::NotText => (CloseCode::Invalid, "the text is not UTF-8"),
            Self::Protocol => (CloseCode::Protocol, "not the WebSocket protocol"),
            Self::Shutdown => (CloseCode::Away, "the gateway stops"),
        };
        Some(CloseFrame {
            code,
            reason: Utf8Bytes::from_static(reason),
        })
    }
}

/// Serves one client until it goes, is sent away, or `shutdown`.
pub async fn serve<S>(
    socket: WebSocketStream<S>,
    hub: &Hub,
    mut registration: Registration,
    shutdown: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let client = registration.client.clone();
    client.offer(hub.status(&client), Instant::now());
    let (mut sink, mut stream) = socket.split();
    let end = tokio::select! {
        end = read(&mut stream, hub, &client) => end,
        end = write(&mut sink, hub, &client, &mut registration.queue) => end,
        () = client.given_up() => End::TooSlow,
        () = shutdown.cancelled() => End::Shutdown,
    };
    tracing::debug!(end = ?end, "A WebSocket client goes");
    let socket = sink.reunite(stream).expect("both halves are of one socket");
    // It has left the hub before it is waited for.
    drop(registration);
    farewell(socket, end).await;
}

/// Reads until the client goes, is silent for too long or says something unreadable.
async fn read<S>(stream: &mut SplitStream<WebSocketStream<S>>, hub: &Hub, client: &Client) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = match tokio::time::timeout(hub.settings().idle, stream.next()).await {
            Err(_) => return End::Idle,
            Ok(None) => return End::Gone,
            Ok(Some(Err(error))) => return end_of(&error),
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(text) => hear(&text, hub, client).await,
            Message::Binary(_) => {
                let detail = "Binary messages are not understood; send JSON text.";
                client.offer(messages::error(detail), Instant::now());
            }
            // Answered by the protocol itself; the loop goes on until that is done.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
        }
    }
}

fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(_) => End::TooBig,
        Error::Utf8(_) => End::NotText,
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => End::Gone,
        Error::Protocol(_) => End::Protocol,
        _ => End::Gone,
    }
}

/// Does what one message asks for, and answers.
async fn hear(text: &str, hub: &Hub, client: &Client) {
    let (message, topics) = match understand(text) {
        Ok(understood) => understood,
        Err(detail) => return client.offer(messages::error(detail), Instant::now()),
    };
    match message.action {
        Action::Subscribe => {
            client.subscribe(topics, message.max_rate, Instant::now());
            // The answer promises that nothing is missed from now on.
            hub.ready().await;
        }
        Action::Unsubscribe => client.unsubscribe(topics),
    }
    client.offer(hub.status(client), Instant::now());
}

fn understand(text: &str) -> Result<(ClientMessage, TopicSet), String> {
    let message: ClientMessage = serde_json::from_str(text).map_err(|e| {
        format!(
            "This is not understood ({e}); send {{\"action\":\"subscribe\",\"topics\":[\"*\"]}}."
        )
    })?;
    if message
        .max_rate
        .is_some_and(|rate| !(1..=MAX_RATE).contains(&rate))
    {
        return Err(format!("max_rate is not between 1 and {MAX_RATE}."));
    }
    let mut set = 0;
    for topic in &message.topics {
        set |= match topic.as_str() {
            "*" => ALL_TOPICS,
            name => {
                1 << topic_index(name).ok_or_else(|| {
                    let name: String = name.chars().take(100).collect();
                    format!(
                        "There is no topic {name:?}; there are {}, and *.",
                        TOPICS.join(", ")
                    )
                })?
            }
        };
    }
    Ok((message, set))
}

/// Writes what is queued, and a ping now and then. Where many watch, each is left alone for some
/// milliseconds after a message: what comes meanwhile is written together.
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    hub: &Hub,
    client: &Client,
    queue: &mut mpsc::Receiver<Frame>,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping = tokio::time::interval(hub.settings().ping);
    ping.reset();
    let mut batch = Vec::with_capacity(WRITE_BATCH);
    loop {
        // Looked at here too: where something is always queued, nothing else would send it, and the
        // client, which answers pings only, would be taken for gone.
        if ping.tick().now_or_never().is_some()
            && sink.send(Message::Ping(Bytes::new())).await.is_err()
        {
            return End::Gone;
        }
        let next = match queue.try_recv() {
            Ok(frame) => Some(frame),
            Err(_) => client.caught_up().map(Frame::from),
        };
        let next = match next {
            Some(frame) => frame,
            None => tokio::select! {
                frame = queue.recv() => match frame {
                    Some(frame) => frame,
                    None => return End::Gone,
                },
                _ = ping.tick() => {
                    if sink.send(Message::Ping(Bytes::new())).await.is_err() {
                        return End::Gone;
                    }
                    continue;
                }
            },
        };
        batch.push(next);
        while batch.len() < WRITE_BATCH
            && let Ok(frame) = queue.try_recv()
        {
            batch.push(frame);
        }
        let emptied = batch.len() < WRITE_BATCH;
        if send_all(sink, &mut batch).await.is_err() {
            return End::Gone;
        }
        if emptied && let Some(rest) = hub.rest() {
            tokio::time::sleep(rest).await;
        }
    }
}

async fn send_all<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    batch: &mut Vec<Frame>,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Their spans end once they have left.
    let mut deliveries = Vec::new();
    for frame in batch.drain(..) {
        deliveries.extend(frame.delivery);
        sink.feed(Message::Text(frame.text)).await?;
    }
    sink.flush().await
}

/// Says why, and waits a little until the client has heard it.
async fn farewell<S>(mut socket: WebSocketStream<S>, end: End)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(frame) = end.frame() else {
        return;
    };
    let said = async {
        socket.close(Some(frame)).await?;
        if end == End::TooBig {
            throw_away(socket.get_mut()).await;
        } else {
            // Until it has answered; what it still says is not heard.
            while let Some(Ok(_)) = socket.next().await {}
        }
        Ok::<(), Error>(())
    };
    // One that does not listen any more is gone either way.
    let _ = tokio::time::timeout(FAREWELL, said).await;
}

/// Reads bytes, not frames, until nothing comes any more: closing a connection with unread bytes
/// would take the last frame along, and what is too large must not be kept.
async fn throw_away(connection: &mut (impl AsyncRead + Unpin)) {
    let mut bytes = [0; 8 * 1024];
    let mut total = 0;
    while total < LINGER_BYTES
        && let Ok(Ok(read @ 1..)) = tokio::time::timeout(QUIET, connection.read(&mut bytes)).await
    {
        total += read;
    }
}

#[cfg(test)]
#[path = "session/tests.rs"]
mod tests;
