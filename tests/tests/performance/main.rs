//! The plan's performance tests, with the plan's own bounds, in short: the verbs that a user runs,
//! on one lab, one after the other. `cargo xtask perf all` measures thoroughly.

use serde_json::Value;
use tests::Lab;
use tokio::sync::Mutex;

/// What runs at the same time would be measured too.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Runs a benchmark; it fails by itself when a bound of the plan is missed or an invariant broken.
async fn perf(args: &[&str]) -> Value {
    let _alone = ONE_AT_A_TIME.lock().await;
    let lab = Lab::shared().await;
    let words = ["--json", "perf"].into_iter().chain(args.iter().copied());
    let words: Vec<&str> = words.chain(["--here", "--no-build"]).collect();
    let report = tokio::task::block_in_place(|| lab.xtask(&words).success().json());
    let benchmark = report["benchmarks"][0].clone();
    assert_eq!(benchmark["name"], args[0], "{report}");
    assert_eq!(benchmark["verified"]["passed"], true, "{benchmark}");
    benchmark
}

#[track_caller]
fn median(benchmark: &Value, figure: &str) -> f64 {
    let figures = benchmark["figures"].as_array().expect("figures");
    let mut found = figures.iter().filter(|f| f["name"] == figure);
    let found = found
        .next()
        .unwrap_or_else(|| panic!("no {figure} in {benchmark}"));
    found["value"]["median"].as_f64().expect("a number")
}

/// Plan: TestPerformance_Throughput
#[tokio::test(flavor = "multi_thread")]
async fn performance_throughput() {
    let found = perf(&["throughput", "--rate", "100", "--duration", "10s"]).await;
    assert!(median(&found, "share of the rate asked for") >= 0.9);
    assert!(median(&found, "mean latency, timestamp → committed") > 0.0);
}

/// Plan: TestPerformance_Latency
#[tokio::test(flavor = "multi_thread")]
async fn performance_latency() {
    let args = [
        "latency",
        "--rate",
        "200",
        "--duration",
        "5s",
        "--runs",
        "1",
        "--accounts",
        "100",
    ];
    let found = perf(&args).await;
    assert_eq!(found["details"]["runs"][0]["latencies_ms"]["count"], 1000);
    let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| median(&found, name));
    assert!(p50 > 0.0 && p50 <= p95 && p95 <= p99, "{p50} {p95} {p99}");
    assert!(p99 < 500.0, "{p99}");
}

/// Plan: TestPerformance_Burst
#[tokio::test(flavor = "multi_thread")]
async fn performance_burst() {
    let found = perf(&[
        "burst",
        "--events",
        "1000",
        "--runs",
        "1",
        "--accounts",
        "100",
    ])
    .await;
    assert!(median(&found, "all committed after") < 30_000.0);
}

/// Plan: TestPerformance_Sustained
#[tokio::test(flavor = "multi_thread")]
async fn performance_sustained() {
    let found = perf(&["sustained", "--rate", "50", "--duration", "20s"]).await;
    for part in ["simulator", "bancaire", "gateway", "registry"] {
        let growth = median(&found, &format!("{part} memory growth"));
        assert!(growth < 20.0, "{part} grew by {growth} MB");
    }
    assert!(median(&found, "mean latency growth") < 500.0);
}
