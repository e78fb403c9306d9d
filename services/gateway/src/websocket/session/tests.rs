use std::sync::Arc;

use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::*;
use crate::websocket::{Feed, Settings};

type Socket = WebSocketStream<DuplexStream>;

/// A hub with a ready stream.
fn hub(settings: Settings) -> Arc<Hub> {
    let hub = Hub::new(settings);
    hub.set_feed(Feed {
        ready: true,
        connected: true,
    });
    hub
}

/// A client of the hub, over a pipe that holds `room` bytes.
async fn connect(hub: &Arc<Hub>, room: usize) -> Socket {
    let (near, far) = tokio::io::duplex(room);
    let settings = *hub.settings();
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(settings.message_limit))
        .max_frame_size(Some(settings.message_limit));
    let server = WebSocketStream::from_raw_socket(near, Role::Server, Some(config)).await;
    let (hub, registration) = (hub.clone(), hub.register().expect("there is room"));
    tokio::spawn(async move {
        serve(server, &hub, registration, CancellationToken::new()).await;
    });
    WebSocketStream::from_raw_socket(far, Role::Client, None).await
}

async fn next(socket: &mut Socket) -> Message {
    let next = tokio::time::timeout(Duration::from_secs(20), socket.next());
    next.await
        .expect("it comes in time")
        .expect("the socket is open")
        .expect("no error")
}

async fn hear(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = next(socket).await {
            return serde_json::from_str(&text).expect("each message is JSON");
        }
    }
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("it is heard");
}

async fn closing(socket: &mut Socket) -> CloseCode {
    loop {
        if let Message::Close(frame) = next(socket).await {
            return frame.expect("it says why").code;
        }
    }
}

#[tokio::test]
async fn a_client_is_greeted_and_gets_what_it_asked_for() {
    let hub = hub(Settings::default());
    let mut socket = connect(&hub, 1 << 16).await;
    let greeting = hear(&mut socket).await;
    assert_eq!(greeting["type"], "status");
    assert_eq!(greeting["payload"]["topics"], serde_json::json!([]));
    assert_eq!(greeting["payload"]["connected"], true);
    say(
        &mut socket,
        r#"{"action":"subscribe","topics":["bancaire.compte.ouvert"]}"#,
    )
    .await;
    let status = hear(&mut socket).await;
    assert_eq!(
        status["payload"]["topics"],
        serde_json::json!(["bancaire.compte.ouvert"])
    );
    hub.broadcast_to_topic(1, &Utf8Bytes::from_static("{\"not\":\"asked for\"}").into());
    hub.broadcast_to_topic(0, &Utf8Bytes::from_static("{\"asked\":\"for\"}").into());
    assert_eq!(hear(&mut socket).await["asked"], "for");
    say(&mut socket, r#"{"action":"unsubscribe","topics":["*"]}"#).await;
    assert_eq!(
        hear(&mut socket).await["payload"]["topics"],
        serde_json::json!([])
    );
    drop(socket);
    while hub.clients() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_wrong_is_answered_and_the_socket_stays_open() {
    let hub = hub(Settings::default());
    let mut socket = connect(&hub, 1 << 16).await;
    hear(&mut socket).await;
    for (wrong, word) in [
        (r#"{"action":"subscribe","topics":["nope"]}"#, "nope"),
        (r#"{"action":"subscribe""#, "understood"),
        (r#"{"action":"dance","topics":[]}"#, "dance"),
        (
            r#"{"action":"subscribe","topics":["*"],"max_rate":0}"#,
            "max_rate",
        ),
    ] {
        say(&mut socket, wrong).await;
        let error = hear(&mut socket).await;
        assert_eq!(error["type"], "error", "{wrong}");
        let detail = error["payload"]["detail"].as_str().unwrap();
        assert!(detail.contains(word), "{word:?} is not in {detail:?}");
    }
    socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(hear(&mut socket).await["type"], "error");
    say(&mut socket, r#"{"action":"subscribe","topics":["*"]}"#).await;
    assert_eq!(hear(&mut socket).await["type"], "status");
}

#[tokio::test]
async fn a_subscription_is_confirmed_only_when_nothing_can_be_missed() {
    let hub = Hub::new(Settings::default());
    let mut socket = connect(&hub, 1 << 16).await;
    assert_eq!(hear(&mut socket).await["payload"]["connected"], false);
    say(&mut socket, r#"{"action":"subscribe","topics":["*"]}"#).await;
    let early = tokio::time::timeout(Duration::from_millis(100), socket.next()).await;
    assert!(early.is_err(), "{early:?}");
    hub.set_feed(Feed {
        ready: true,
        connected: true,
    });
    // One says that the stream is there, one confirms.
    for _ in 0..2 {
        let status = hear(&mut socket).await;
        assert_eq!(
            (&status["type"], &status["payload"]["connected"]),
            (&"status".into(), &true.into())
        );
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_with_1009() {
    let hub = hub(Settings::default());
    let mut socket = connect(&hub, 1 << 16).await;
    hear(&mut socket).await;
    socket
        .send(Message::text("x".repeat(10 << 20)))
        .await
        .expect("it is read to its end");
    assert_eq!(closing(&mut socket).await, CloseCode::Size);
}

#[tokio::test]
async fn a_slow_client_gets_a_marker_then_is_sent_away_and_others_are_unaffected() {
    let hub = hub(Settings {
        queue: 64,
        lag_patience: Duration::from_millis(700),
        ..Settings::default()
    });
    let subscribe = r#"{"action":"subscribe","topics":["*"]}"#;
    // Its pipe holds a few messages only.
    let mut slow = connect(&hub, 1024).await;
    let mut quick = connect(&hub, 1 << 20).await;
    for socket in [&mut slow, &mut quick] {
        hear(socket).await;
        say(socket, subscribe).await;
        hear(socket).await;
    }
    let (fed, hub) = (hub.clone(), hub);
    let feeder = tokio::spawn(async move {
        let started = Instant::now();
        let mut sent = 0_u32;
        while fed.clients() == 2 {
            assert!(
                started.elapsed() < Duration::from_secs(15),
                "it is sent away in time"
            );
            for _ in 0..4 {
                let text = format!("{{\"n\":{sent},\"filler\":\"{}\"}}", "x".repeat(300));
                fed.broadcast_to_topic(0, &Utf8Bytes::from(text).into());
                sent += 1;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        sent
    });
    let reader = tokio::spawn(async move {
        let mut received = 0;
        while let Ok(Some(Ok(Message::Text(text)))) =
            tokio::time::timeout(Duration::from_secs(2), quick.next()).await
        {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] == "status" {
                continue;
            }
            assert_eq!(message["n"], received, "nothing is missing");
            received += 1;
        }
        received
    });
    let mut marker = None;
    let code = loop {
        // Slower than what comes.
        tokio::time::sleep(Duration::from_millis(2)).await;
        match next(&mut slow).await {
            Message::Text(text) if text.contains("lagged") => marker = Some(text),
            Message::Close(frame) => break frame.expect("it says why").code,
            _ => {}
        }
    };
    assert!(marker.expect("it was told").contains("skipped"));
    assert_eq!(code, CloseCode::Again);
    let sent = feeder.await.unwrap();
    assert_eq!(reader.await.unwrap(), sent, "the other one got everything");
    drop(hub);
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_then_gone() {
    let hub = hub(Settings {
        ping: Duration::from_millis(50),
        idle: Duration::from_millis(200),
        ..Settings::default()
    });
    // One that reads answers pings by itself.
    let mut alive = connect(&hub, 1 << 16).await;
    let _silent = connect(&hub, 1 << 16).await;
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(600) {
        let _ = tokio::time::timeout(Duration::from_millis(20), alive.next()).await;
    }
    assert_eq!(hub.clients(), 1);
}

#[tokio::test]
async fn among_many_clients_each_is_left_alone_after_a_message() {
    let hub = hub(Settings::default());
    let mut socket = connect(&hub, 1 << 16).await;
    say(&mut socket, r#"{"action":"subscribe","topics":["*"]}"#).await;
    while hear(&mut socket).await["payload"]["topics"] != serde_json::json!(TOPICS) {}
    assert_eq!(hub.rest(), None, "one alone waits for nothing");
    let others: Vec<_> = (0..999).map(|_| hub.register().unwrap()).collect();
    let rest = hub.rest().expect("a thousand wait");
    let start = Instant::now();
    hub.broadcast_to_topic(0, &Utf8Bytes::from_static("1").into());
    assert_eq!(hear(&mut socket).await, 1);
    for text in ["2", "3"] {
        hub.broadcast_to_topic(0, &Utf8Bytes::from_static(text).into());
    }
    for expected in [2, 3] {
        assert_eq!(hear(&mut socket).await, expected);
        assert!(start.elapsed() >= rest);
    }
    drop(others);
}

#[tokio::test]
async fn a_client_is_pinged_although_there_is_always_something_to_send() {
    let hub = hub(Settings {
        ping: Duration::from_millis(100),
        ..Settings::default()
    });
    let others: Vec<_> = (0..999).map(|_| hub.register().unwrap()).collect();
    let mut socket = connect(&hub, 1 << 20).await;
    say(&mut socket, r#"{"action":"subscribe","topics":["*"]}"#).await;
    let event = Frame::from(Utf8Bytes::from_static("{}"));
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        hub.broadcast_to_topic(0, &event);
        match tokio::time::timeout(Duration::from_millis(1), socket.next()).await {
            Ok(Some(Ok(Message::Ping(_)))) => break,
            Ok(next) => drop(next.expect("the socket is open").expect("no error")),
            Err(_) => {}
        }
        assert!(Instant::now() < deadline, "no ping came");
    }
    drop(others);
}
