//! The plan's three scenarios for the whole: a flow from end to end, a consumer that is away, a load.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Lab, http, until, until_async};

async fn get(url: String) -> Option<Value> {
    let response = http().get(url).send().await.ok()?;
    response.json().await.ok()
}

/// Starts a simulation through the gateway, as the page does, and waits for its end.
async fn simulate(lab: &Lab, rate: u32, duration: u32) -> Value {
    let url = format!("{}/api/v1/simulation/start", lab.gateway_url());
    let body = json!({"scenario": "default", "rate": rate, "duration": duration});
    let response = http().post(url).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let status = format!("{}/api/v1/simulation/status", lab.gateway_url());
    until_async("the simulation has ended", async || {
        let status = get(status.clone()).await?;
        (status["status"] == "stopped").then_some(status)
    })
    .await
}

/// Plan: TestMVP_FullFlow
#[tokio::test(flavor = "multi_thread")]
async fn mvp_full_flow() {
    let lab = Lab::prepare("mvp-flow");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    // A third of the plan's minute, at its rate.
    let status = simulate(&lab, 10, 20).await;
    let produced = status["events_produced"].as_i64().expect("a count");
    assert!((190..=210).contains(&produced), "{status}");
    let verdict = lab.xtask(&["verify"]);
    assert!(verdict.ok, "{}", verdict.text());
    // All accounts exist in bancaire.
    let opened = status["by_type"]["CompteOuvert"].as_i64().expect("a count");
    assert!(opened > 0, "{status}");
    let stats = get(format!("{}/api/v1/stats", lab.bancaire_url())).await;
    let stats = stats.expect("figures");
    assert_eq!(stats["comptes"], opened, "{stats}");
    // The metrics that Prometheus reads say the same.
    let metrics = http().get(format!("{}/metrics", lab.simulator_url()));
    let text = metrics.send().await.unwrap().text().await.unwrap();
    let of_service = text
        .lines()
        .filter(|line| line.starts_with("edalab_messages_produced_total{"));
    let sum: f64 = of_service
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum();
    assert!(sum >= produced as f64, "{text}");
    lab.xtask(&["down"]).success();
}

/// Plan: TestMVP_ChaosConsumerRestart
#[test]
fn mvp_chaos_consumer_restart() {
    let lab = Lab::prepare("mvp-restart");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let simulation = lab
        .command(&["simulate", "--rate", "100", "--duration", "12", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("xtask can be run");
    let produced = |least: u64| {
        let status = lab.xtask(&["simulate", "status", "--json"]);
        let status = status.ok.then(|| status.json())?;
        (status["events_produced"].as_u64()? >= least).then_some(())
    };
    until("events flow", || produced(100));
    lab.xtask(&["services", "down", "bancaire"]).success();
    until("events pile up", || produced(1000));
    lab.xtask(&["services", "up", "bancaire", "--no-build"])
        .success();
    let ended = simulation.wait_with_output().expect("it ends");
    assert!(ended.status.success());
    let verdict = lab.xtask(&["verify", "--settle", "60s"]);
    assert!(verdict.ok, "{}", verdict.text());
    lab.xtask(&["down"]).success();
}

/// Plan: TestMVP_HighThroughput
#[tokio::test(flavor = "multi_thread")]
async fn mvp_high_throughput() {
    let lab = Lab::prepare("mvp-load");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let status = simulate(&lab, 100, 10).await;
    let produced = status["events_produced"].as_i64().expect("a count");
    assert!(
        (990..=1010).contains(&produced),
        "the asked rate is kept: {status}"
    );
    let verdict = lab.xtask(&["verify"]);
    assert!(verdict.ok, "{}", verdict.text());
    // Latencies are measured, from the event's own time to its commit, and nothing went wrong.
    let metrics = http().get(format!("{}/metrics", lab.bancaire_url()));
    let text = metrics.send().await.unwrap().text().await.unwrap();
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(name));
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    let (count, total) = (
        sum("edalab_end_to_end_latency_seconds_count"),
        sum("edalab_end_to_end_latency_seconds_sum"),
    );
    assert!(count >= produced as f64, "{text}");
    let mean = Duration::from_secs_f64(total / count);
    assert!(mean < Duration::from_secs(10), "{mean:?} on average");
    let failures = sum("edalab_processing_errors_total");
    assert_eq!(failures, 0.0, "{text}");
    lab.xtask(&["down"]).success();
}
