//! A thousand clients at once, and more words than anybody needs.

use futures_util::SinkExt;
use futures_util::future::join_all;
use serde_json::json;
use tests::Lab;
use tokio_tungstenite::tungstenite::Message;
use xtask::process;

use crate::door::{own_gateway, refused};
use crate::socket::{Socket, produce};

const CROWD: usize = 1000;
/// Messages of each client in the flood.
const WORDS: usize = 10;
/// The bound on every service's memory in the fault matrix.
const MEMORY_MAX: u64 = 512 << 20;

/// So many clients, a hundred at a time: a listener's queue has an end.
async fn crowd(url: &str) -> Vec<Socket> {
    // Both ends may be in this process.
    rlimit::increase_nofile_limit(4 * CROWD as u64).expect("files may be opened");
    let mut crowd = Vec::with_capacity(CROWD);
    while crowd.len() < CROWD {
        crowd.extend(join_all((0..100).map(|_| Socket::open(url))).await);
    }
    crowd
}

/// Subscribes and unsubscribes all the time; the last word is wrong, so that its answer is the last.
async fn flood(socket: &mut Socket) {
    for number in 0..WORDS {
        let action = ["subscribe", "unsubscribe"][number % 2];
        let word = json!({"action": action, "topics": ["bancaire.compte.ferme"]});
        socket
            .0
            .feed(Message::text(word.to_string()))
            .await
            .expect("the gateway listens");
    }
    socket
        .say(json!({"action": "subscribe", "topics": ["nope"]}))
        .await;
    let error = socket.hear_of("error").await;
    let detail = error["payload"]["detail"].as_str().expect("a detail");
    assert!(detail.contains("nope"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_and_a_flood_of_subscriptions_harm_nobody() {
    let lab = Lab::shared().await;
    let url = lab.ws_url();
    let mut crowd = crowd(&url).await;
    let mut watcher = Socket::watch(&url, &["bancaire.compte.ouvert"]).await;
    let flooding = join_all(crowd.iter_mut().map(flood));
    let watching = async {
        let ids = produce(lab, "CompteOuvert", 1).await;
        watcher.event(&ids[0]).await;
    };
    lab.deadline(async { tokio::join!(flooding, watching) })
        .await;
    let state = lab.state();
    let gateway = state.component("gateway").expect("it runs");
    let memory = process::memory(gateway.pid).rss_bytes;
    assert!(memory > 0 && memory < MEMORY_MAX, "{memory} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_holds_for_the_thousand_and_first() {
    let lab = Lab::shared().await;
    let cap = CROWD.to_string();
    let (address, shutdown) = own_gateway(lab, &[("GATEWAY_WS_MAX_CLIENTS", &cap)]).await;
    let url = format!("ws://{address}/ws");
    let mut crowd = lab.deadline(crowd(&url)).await;
    for _ in 0..10 {
        assert_eq!(refused(&url, &[]).await, 503);
    }
    // Who was let in is served all the same, and who leaves makes room.
    lab.deadline(flood(&mut crowd[0])).await;
    crowd.pop();
    tests::until_async("there is room again", async || {
        (refused(&url, &[]).await == 101).then_some(())
    })
    .await;
    shutdown.cancel();
}
