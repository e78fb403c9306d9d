//! `logs --trace`: what all services said about one event, in order, and JSON lines made readable.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::Context as _;
use serde_json::{Map, Value};

use super::logs::Source;
use crate::Context;
use crate::components::docker::{self, Daemon};

/// Lines of a container that are looked at.
const CONTAINER_LINES: usize = 100_000;

/// A line in JSON, as the services write them.
type Line = Map<String, Value>;

/// Prints every line of a trace; `id` may also be an event's, which stands for the traces that it
/// is in.
///
/// # Errors
/// When there is no such line, or a log cannot be read.
pub async fn show(ctx: &Context, sources: &[Source], id: &str, json: bool) -> anyhow::Result<()> {
    let id = id.trim().to_ascii_lowercase();
    let looks_right = id.len() >= 8 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    anyhow::ensure!(
        looks_right,
        "{id:?} is no trace id (32 hexadecimal digits) and no event's id"
    );
    let mut ids = BTreeSet::from([id.clone()]);
    let mut lines = gather(sources, &ids).await?;
    if !lines.iter().any(|line| text(line, "trace_id") == id) {
        // An event's id: the lines around those that name it belong to the story.
        ids.extend(lines.iter().map(|line| text(line, "trace_id").to_owned()));
        ids.remove("");
        lines = gather(sources, &ids).await?;
    }
    anyhow::ensure!(
        !lines.is_empty(),
        "no service has logged anything of {id}: either it was not followed (a few traces per second \
         are, see docs/observability.md), or its log is gone"
    );
    lines.sort_by(|a, b| text(a, "timestamp").cmp(text(b, "timestamp")));
    if json || ctx.json {
        return ctx.print_json(&lines);
    }
    for line in &lines {
        println!("{}", pretty(line));
    }
    Ok(())
}

async fn gather(sources: &[Source], ids: &BTreeSet<String>) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut take = |line: &str| {
        // Cheaper than reading every line as JSON.
        if ids.iter().any(|id| line.contains(id.as_str()))
            && let Ok(line) = serde_json::from_str::<Line>(line)
        {
            lines.push(line);
        }
    };
    for source in sources {
        if let Some(id) = &source.container {
            let daemon = Daemon::connect().await?;
            let said = docker::log_lines(&daemon, id, CONTAINER_LINES).await?;
            said.iter().for_each(|line| take(line));
            continue;
        }
        let failed = || format!("failed to read {}", source.path.display());
        let file = match File::open(&source.path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).with_context(failed),
        };
        for line in BufReader::new(file).split(b'\n') {
            take(&String::from_utf8_lossy(&line.with_context(failed)?));
        }
    }
    Ok(lines)
}

fn text<'a>(line: &'a Line, field: &str) -> &'a str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A service's line for people; one that is not JSON stays as it is.
pub fn readable(line: &str) -> String {
    match serde_json::from_str::<Line>(line) {
        Ok(parsed) => pretty(&parsed),
        Err(_) => line.to_owned(),
    }
}

fn pretty(line: &Line) -> String {
    let at = text(line, "timestamp");
    let at = at
        .split_once('T')
        .map_or(at, |(_, time)| time)
        .trim_end_matches('Z');
    let mut out = format!(
        "{at} {:9} {:5} {}",
        text(line, "service"),
        text(line, "level"),
        text(line, "message")
    );
    let shown = [
        "timestamp",
        "service",
        "level",
        "message",
        "target",
        "span_id",
    ];
    for (name, value) in line {
        if shown.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::String(text) => out += &format!(" {name}={text}"),
            other => out += &format!(" {name}={other}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(dir: &std::path::Path, name: &str, lines: &[&str]) -> Source {
        let path = dir.join(name);
        std::fs::write(&path, lines.join("\n")).unwrap();
        Source {
            name: name.into(),
            path,
            container: None,
        }
    }

    #[tokio::test]
    async fn a_story_is_found_by_its_trace_and_by_its_event() {
        let dir = tempfile::tempdir().unwrap();
        let trace = "0123456789abcdef0123456789abcdef";
        let line = |time: &str, fields: &str| {
            format!(r#"{{"timestamp":"2026-01-01T00:00:{time}Z","message":"m"{fields}}}"#)
        };
        let traced = format!(r#","trace_id":"{trace}""#);
        let early = line("01", &traced);
        let late = line("02", &format!(r#"{traced},"event.id":"aaaaaaaa-1""#));
        let other = line("01", r#","trace_id":"ffff""#);
        let sources = [
            source(dir.path(), "b", &[&late, "not JSON 01234567", &other]),
            source(dir.path(), "a", &[&early]),
        ];
        let ids = |id: &str| BTreeSet::from([id.to_owned()]);
        assert_eq!(gather(&sources, &ids(trace)).await.unwrap().len(), 2);
        let by_event = gather(&sources, &ids("aaaaaaaa-1")).await.unwrap();
        assert_eq!(text(&by_event[0], "trace_id"), trace);
        let ctx = Context::new(false, crate::cli::Backend::Embedded).unwrap();
        for id in [trace, "aaaaaaaa-1"] {
            show(&ctx, &sources, id, true).await.unwrap();
        }
        for (bad, why) in [("nonsense", "no trace id"), ("deadbeef", "followed")] {
            let error = show(&ctx, &sources, bad, true).await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn lines_are_made_readable() {
        let line = r#"{"timestamp":"2026-01-01T08:00:01.123456Z","level":"INFO","service":"bancaire",
            "message":"Applied an event","kafka.offset":7,"kafka.topic":"t","target":"x"}"#;
        let shown = "08:00:01.123456 bancaire  INFO  Applied an event kafka.offset=7 kafka.topic=t";
        assert_eq!(readable(line), shown);
        assert_eq!(readable("as it is"), "as it is");
    }
}
