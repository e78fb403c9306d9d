//! Streams between blocking readers or writers (tar, zstd) and the daemon, through a short queue,
//! so that nothing as large as an image is ever held in memory.

use std::io::{self, Write};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const CHUNK: usize = 256 << 10;

/// 4 MB on their way: enough to keep both sides busy.
const QUEUE: usize = 16;

/// What `write` writes, on a thread of its own, as a stream. The handle has its result.
pub fn from_writer(
    write: impl FnOnce(&mut dyn Write) -> anyhow::Result<()> + Send + 'static,
) -> (
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    JoinHandle<anyhow::Result<()>>,
) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writing = tokio::task::spawn_blocking(move || {
        let mut sink = Sink {
            sender: sender.clone(),
            buffer: Vec::with_capacity(CHUNK),
        };
        let result = write(&mut sink).and_then(|()| sink.flush().context("failed to send"));
        if let Err(e) = &result {
            // So that the daemon does not take a torn stream for a whole one.
            let _ = sender.blocking_send(Err(io::Error::other(format!("{e:#}"))));
        }
        result
    });
    let stream = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    (stream, writing)
}

/// Hands what `stream` yields to `read`, on a thread of its own, as chunks.
pub async fn into_writer<E>(
    stream: impl Stream<Item = Result<Bytes, E>>,
    mut progress: impl FnMut(u64),
    write: impl FnOnce(&mut dyn Iterator<Item = Bytes>) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<()>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let (sender, mut receiver) = mpsc::channel::<Bytes>(QUEUE);
    let writing = tokio::task::spawn_blocking(move || {
        write(&mut std::iter::from_fn(|| receiver.blocking_recv()))
    });
    let mut stream = std::pin::pin!(stream);
    let mut total = 0;
    let mut broken = None;
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => {
                total += chunk.len() as u64;
                progress(total);
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
            Err(e) => {
                broken = Some(e);
                break;
            }
        }
    }
    drop(sender);
    writing.await.context("failed to wait for the writer")??;
    match broken {
        Some(e) => Err(e).context("the daemon's answer broke off"),
        None => Ok(()),
    }
}

struct Sink {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(data);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        let sent = self.sender.blocking_send(Ok(full.into()));
        sent.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the daemon stopped reading"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_arrive_whole_and_errors_too() {
        let data: Vec<u8> = (0..3_000_000u32).map(|i| i as u8).collect();
        let copy = data.clone();
        let (stream, writing) = from_writer(move |sink| Ok(sink.write_all(&copy)?));
        let (tx, rx) = std::sync::mpsc::channel();
        into_writer(
            stream,
            |_| (),
            move |chunks| {
                let all: Vec<u8> = chunks.flatten().collect();
                tx.send(all).context("nobody listens")
            },
        )
        .await
        .unwrap();
        writing.await.unwrap().unwrap();
        assert!(rx.recv().unwrap() == data);

        let (stream, writing) = from_writer(|_| anyhow::bail!("torn"));
        let error = into_writer(
            stream,
            |_| (),
            |chunks| {
                chunks.for_each(drop);
                Ok(())
            },
        );
        assert!(format!("{:#}", error.await.unwrap_err()).contains("torn"));
        assert!(writing.await.unwrap().is_err());
    }
}
