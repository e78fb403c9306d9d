//! A wire between two parts that a test can cut: it stands where the real one is expected.

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the wire does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Through,
    /// Connections end at once.
    Cut,
    /// Connections stay, but nothing passes.
    Silent,
}

/// Listens on the port that it returns and passes everything on to `port` of this machine, until
/// it is told otherwise.
pub async fn link_to(port: u16) -> (u16, watch::Sender<Link>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let own_port = listener.local_addr().expect("it has an address").port();
    let (sender, receiver) = watch::channel(Link::Through);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut state = receiver.clone();
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else {
                    return;
                };
                loop {
                    let now = *state.borrow_and_update();
                    tokio::select! {
                        changed = state.changed() => if changed.is_err() { return },
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server),
                            if now == Link::Through => return,
                        () = std::future::ready(()), if now == Link::Cut => return,
                    }
                }
            });
        }
    });
    (own_port, sender)
}
