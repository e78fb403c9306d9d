//! How fast the registry answers: schemas by id at a steady rate, registrations one after the
//! other, and how much memory it holds afterwards.
//!
//! Requests by id are an open loop: each is due at a set time, and its latency counts from then,
//! whether its connection was free or not. A server that only sends the same bytes back is measured
//! in turn: what it takes is the machine's and the load generator's part.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::registry::RegistryClient;
use hdrhistogram::Histogram;
use load::trace::{histogram, merged};
use serde::Serialize;
use serde_json::json;

use super::findings::{Benchmark, Bound, Figure, Ticking};
use super::machine::CpuTicks;
use crate::Context;
use crate::state::LabState;

/// Each is free again long before its next request at the rates that matter.
const CONNECTIONS: u32 = 16;
/// So long is waited for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to measure.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RegistryOptions {
    /// Requests by id in a second.
    pub rate: u32,
    /// How long each round of requests takes, in seconds.
    pub seconds: u32,
    pub rounds: u32,
    /// Distinct schemas to register.
    pub registrations: u32,
}

impl RegistryOptions {
    pub fn usual(quick: bool) -> Self {
        Self {
            rate: 2_000,
            seconds: if quick { 2 } else { 10 },
            rounds: if quick { 1 } else { 3 },
            registrations: if quick { 200 } else { 1_000 },
        }
    }
}

/// Latencies of one round, in milliseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Round {
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    /// The same of the server that does nothing.
    pub floor_p50_ms: f64,
    pub floor_p99_ms: f64,
    pub steal_percent: f64,
}

/// Measures the registry of the lab of `ctx`, which is up.
///
/// # Errors
/// When it does not answer, or not as it should.
pub async fn run(ctx: &Context, options: RegistryOptions) -> anyhow::Result<Benchmark> {
    let ticking = Ticking::start();
    let lab = ctx.lab()?;
    let step = ctx.out.step("registry", "registers schemas");
    let (ids, registration_s) = register(&lab.registry_url(), options.registrations).await?;
    step.done(format_args!(
        "{} schemas in {registration_s:.2} s",
        ids.len()
    ));

    let address = address(&lab)?;
    let mut rounds = Vec::new();
    for round in 1..=options.rounds {
        let step = ctx.out.step("registry", format!("answers, round {round}"));
        let ids = ids.clone();
        let measured = tokio::task::spawn_blocking(move || measure(address, &ids, options));
        let measured = measured.await.context("a round panicked")??;
        step.done(format_args!("p99 {:.3} ms", measured.p99_ms));
        rounds.push(measured);
    }
    let process = lab.components.iter().find(|part| part.name == "registry");
    let rss_mb = process.and_then(|process| rss_mb(process.pid));
    let figure = |name: &str, of: fn(&Round) -> f64| Figure::new(name, "ms", rounds.iter().map(of));
    let mut figures = vec![
        figure("p50 of a schema by id", |round| round.p50_ms)?,
        figure("p99 of a schema by id", |round| round.p99_ms)?.goal(Bound::Below(2.0)),
        figure("max of a schema by id", |round| round.max_ms)?,
        figure("p99 of a server that does nothing", |round| {
            round.floor_p99_ms
        })?,
        Figure::new("registration of all", "s", [registration_s])?.goal(Bound::Below(10.0)),
    ];
    let rss = Figure::new("resident memory", "MB", rss_mb);
    figures.extend(rss.map(|figure| figure.goal(Bound::Below(40.0))));
    let RegistryOptions { rate, seconds, .. } = options;
    Ok(Benchmark {
        name: "registry".into(),
        title: "The registry".into(),
        how: format!(
            "GET /schemas/ids/{{id}}, {rate}/s for {seconds} s a round, open loop, after {} \
             registrations one by one; in turn with a server that only sends the same bytes back.",
            options.registrations
        ),
        figures,
        plots: Vec::new(),
        notes: Vec::new(),
        table: None,
        // No event passes here.
        verified: None,
        steal_percent: ticking.steal_percent(),
        details: json!({ "options": options, "rounds": rounds }),
    })
}

fn address(lab: &LabState) -> anyhow::Result<SocketAddr> {
    let url = lab.registry_url();
    let authority = url.trim_start_matches("http://");
    authority
        .parse()
        .with_context(|| format!("{url} is not on this machine"))
}

/// Registers schemas that no one has registered before; their ids, and how long it took.
async fn register(url: &str, count: u32) -> anyhow::Result<(Vec<u32>, f64)> {
    let client = RegistryClient::new(url);
    let run = uuid::Uuid::new_v4().simple().to_string();
    let started = Instant::now();
    let mut ids = Vec::new();
    for number in 0..count {
        let fields: Vec<_> = (0..8)
            .map(|n| json!({ "name": format!("champ_{n}"), "type": ["null", "string"], "default": null }))
            .collect();
        let name = format!("Perf_{run}_{number}");
        let schema = json!({ "type": "record", "name": name, "fields": fields }).to_string();
        let subject = format!("perf-{run}-{number}");
        ids.push(client.register(&subject, &schema).await?);
    }
    Ok((ids, started.elapsed().as_secs_f64()))
}

/// One round: the server that does nothing, then the registry.
fn measure(address: SocketAddr, ids: &[u32], options: RegistryOptions) -> anyhow::Result<Round> {
    anyhow::ensure!(!ids.is_empty(), "no schema to ask for");
    let request = |id: u32| {
        format!(
            "GET /schemas/ids/{id} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\n\r\n"
        )
    };
    // Warm, and what the floor sends back.
    let mut connection = Connection::open(address)?;
    let mut sample = Vec::new();
    for id in ids {
        sample = connection.ask(&request(*id))?;
    }
    let requests: Vec<String> = ids.iter().map(|id| request(*id)).collect();
    let floor = floor(sample)?;
    let below = load(floor, &requests, options)?;
    let before = CpuTicks::now();
    let found = load(address, &requests, options)?;
    let steal = CpuTicks::now().zip(before);
    let ms = |histogram: &Histogram<u64>, quantile| {
        histogram.value_at_quantile(quantile) as f64 / 1000.0
    };
    Ok(Round {
        p50_ms: ms(&found, 0.5),
        p99_ms: ms(&found, 0.99),
        max_ms: ms(&found, 1.0),
        floor_p50_ms: ms(&below, 0.5),
        floor_p99_ms: ms(&below, 0.99),
        steal_percent: steal.map_or(0.0, |(now, then)| now.steal_since(then)),
    })
}

/// Sends requests when they are due; latencies in microseconds.
fn load(
    address: SocketAddr,
    requests: &[String],
    options: RegistryOptions,
) -> anyhow::Result<Histogram<u64>> {
    let count = options.rate * options.seconds;
    let interval = Duration::from_secs(1) / options.rate;
    // All connections are open before the first request is due.
    let connections: Vec<Connection> = (0..CONNECTIONS)
        .map(|_| Connection::open(address))
        .collect::<anyhow::Result<_>>()?;
    let begin = Instant::now() + Duration::from_millis(100);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0u32..)
            .zip(connections)
            .map(|(first, mut connection)| {
                scope.spawn(move || -> anyhow::Result<Histogram<u64>> {
                    let mut latencies = histogram();
                    for number in (first..count).step_by(CONNECTIONS as usize) {
                        let due = begin + interval * number;
                        std::thread::sleep(due.saturating_duration_since(Instant::now()));
                        connection.ask(&requests[number as usize % requests.len()])?;
                        latencies.record(due.elapsed().as_micros() as u64)?;
                    }
                    Ok(latencies)
                })
            })
            .collect();
        let latencies = threads.into_iter().map(|thread| {
            let latencies = thread.join();
            latencies.map_err(|_| anyhow::anyhow!("a thread panicked"))?
        });
        Ok(merged(&latencies.collect::<anyhow::Result<Vec<_>>>()?))
    })
}

/// A kept-alive HTTP/1.1 connection, as lean as can be, so that what is measured is the server.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).context("failed to connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request and reads its answer, which must be 200; the answer's bytes.
    fn ask(&mut self, request: &str) -> anyhow::Result<Vec<u8>> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut answer = Vec::with_capacity(1024);
        let mut length = 0;
        loop {
            let start = answer.len();
            self.0.read_until(b'\n', &mut answer)?;
            let line = std::str::from_utf8(&answer[start..])?.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        anyhow::ensure!(
            answer.starts_with(b"HTTP/1.1 200"),
            "the answer is {}",
            String::from_utf8_lossy(&answer)
        );
        let start = answer.len();
        answer.resize(start + length, 0);
        self.0.read_exact(&mut answer[start..])?;
        Ok(answer)
    }
}

/// A server that answers every request with the same bytes, for as long as someone is connected.
fn floor(answer: Vec<u8>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to listen")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().take(CONNECTIONS as usize).flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || serve(stream, &answer));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = Vec::new();
    // Our own requests have no body: an empty line ends each.
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line == b"\r\n" {
            stream.write_all(answer)?;
        }
        line.clear();
    }
    Ok(())
}

fn rss_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kb / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The load generator against its own floor: it sends what it should.
    #[test]
    fn requests_are_sent_at_their_rate() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let address = floor(answer.to_vec()).unwrap();
        let options = RegistryOptions {
            rate: 200,
            seconds: 1,
            rounds: 1,
            registrations: 0,
        };
        let request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_owned();
        let started = Instant::now();
        let latencies = load(address, &[request], options).unwrap();
        assert_eq!(latencies.len(), 200);
        assert!(started.elapsed() >= Duration::from_millis(995));
    }
}
