//! `dlq`: what could not be processed. Find it, read it as far as possible, mend it, send it again.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chassis::dead_letters::{self, Letter, Letters, Shown};
use chassis::kafka::EventProducer;
use chassis::kafka::admin::Inspector;
use chassis::registry::RegistryClient;
use schemas::DLQ_TOPIC;
use serde_json::Value;

use crate::Context;
use crate::state::LabState;

const PATIENCE: Duration = Duration::from_secs(60);
/// So much of a value is shown.
const SHOWN_BYTES: usize = 64;

#[derive(Debug, clap::Args)]
pub struct DlqArgs {
    #[command(subcommand)]
    pub verb: DlqVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum DlqVerb {
    /// The dead letters, oldest first.
    List {
        /// Only of this kind, such as bad_magic.
        #[arg(long)]
        kind: Option<String>,
        /// Only of this topic.
        #[arg(long)]
        topic: Option<String>,
        /// Only those that were not sent again yet.
        #[arg(long)]
        open: bool,
    },
    /// One dead letter, decoded as far as possible.
    Show {
        /// topic-partition-offset, as `list` prints it.
        key: String,
    },
    /// Send one again: its original bytes, or a mended event.
    Replay {
        /// topic-partition-offset, as `list` prints it.
        key: String,
        /// The mended event as JSON; amounts are strings.
        #[arg(long, value_name = "JSON", conflicts_with = "file")]
        event: Option<String>,
        /// The same from a file; - is standard input.
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
    },
}

pub async fn run(ctx: &Context, args: &DlqArgs) -> anyhow::Result<()> {
    // A mistake in the event is said before anything is asked of the lab.
    let mended = match &args.verb {
        DlqVerb::Replay { event, file, .. } => mended(event.as_deref(), file.as_deref())?,
        _ => None,
    };
    let lab = ctx.lab()?;
    let inspector = Inspector::new(&lab.kafka())?;
    let letters = dead_letters::read(&lab.kafka(), &inspector, PATIENCE)
        .await
        .context("failed to read the dead letters")?;
    let registry = RegistryClient::new(&lab.registry_url());
    match &args.verb {
        DlqVerb::List { kind, topic, open } => {
            let wanted = |letter: &&Letter| {
                let of = &letter.letter;
                kind.as_ref().is_none_or(|kind| of.error.kind == *kind)
                    && topic
                        .as_ref()
                        .is_none_or(|topic| of.original_topic == *topic)
                    && !(*open && letter.is_replayed())
            };
            let chosen = letters.letters.iter().filter(wanted).collect();
            list(ctx, &registry, &letters, chosen).await
        }
        DlqVerb::Show { key } => {
            let shown = find(&letters, key)?.show(&registry).await;
            if ctx.json {
                return ctx.print_json(&shown);
            }
            print(&shown);
            Ok(())
        }
        DlqVerb::Replay { key, .. } => {
            replay(ctx, &lab, &registry, find(&letters, key)?, mended).await
        }
    }
}

fn find<'a>(letters: &'a Letters, key: &str) -> anyhow::Result<&'a Letter> {
    letters.get(key).with_context(|| {
        format!("there is no dead letter {key:?}; `cargo xtask dlq list` shows which there are")
    })
}

/// The event to send instead of the original bytes, if one is given.
fn mended(event: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<Value>> {
    let text = match (event, file) {
        (Some(text), _) => text.to_owned(),
        (None, Some(path)) if path == Path::new("-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.context("failed to read the event from standard input")?;
            text
        }
        (None, Some(path)) => std::fs::read_to_string(path)
            .with_context(|| format!("failed to read {}", path.display()))?,
        (None, None) => return Ok(None),
    };
    let event = serde_json::from_str(&text).context("the mended event is not JSON")?;
    Ok(Some(event))
}

async fn list(
    ctx: &Context,
    registry: &RegistryClient,
    letters: &Letters,
    chosen: Vec<&Letter>,
) -> anyhow::Result<()> {
    if ctx.json {
        let mut shown = Vec::new();
        for letter in chosen {
            shown.push(letter.show(registry).await);
        }
        return ctx.print_json(&shown);
    }
    for problem in &letters.wrong {
        ctx.out.line(format_args!("Not a dead letter: {problem}"));
    }
    if !chosen.is_empty() {
        println!(
            "{:42} {:18} {:20} {:8} MESSAGE",
            "KEY", "KIND", "REFUSED AT", "REPLAYED"
        );
    }
    for Letter {
        key,
        letter,
        replays,
        ..
    } in &chosen
    {
        let error = &letter.error;
        let replayed = match replays.len() {
            0 => "-".to_owned(),
            count => format!("{count} ×"),
        };
        println!(
            "{key:42} {:18} {:20} {replayed:8} {}",
            error.kind,
            error.timestamp.format("%Y-%m-%d %H:%M:%S"),
            error.message
        );
    }
    let retention = if letters.truncated {
        "; retention took older ones"
    } else {
        ""
    };
    println!(
        "{} of {} dead letters in {DLQ_TOPIC}{retention}",
        chosen.len(),
        letters.letters.len()
    );
    Ok(())
}

fn print(shown: &Shown) {
    let line = |name: &str, value: &str| println!("{name:12} {value}");
    line("key", &shown.key);
    line(
        "record",
        &format!(
            "{} [{}] at {}",
            shown.original_topic, shown.partition, shown.offset
        ),
    );
    line("refused", &format!("{}: {}", shown.kind, shown.message));
    let attempts = match shown.attempt_count {
        1 => "the first attempt".to_owned(),
        count => format!("{count} attempts"),
    };
    let at = shown.timestamp.format("%Y-%m-%d %H:%M:%S%.3f UTC");
    line(
        "",
        &format!(
            "{at}, after {attempts}, by {} ({})",
            shown.service, shown.consumer_group
        ),
    );
    for to in &shown.replays {
        line("replayed", &format!("as {to}"));
    }
    line("record key", shown.record_key.as_deref().unwrap_or("none"));
    for (i, (name, value)) in shown.headers.iter().enumerate() {
        line(
            if i == 0 { "headers" } else { "" },
            &format!("{name}: {value}"),
        );
    }
    line("value", &value_text(shown.value_base64.as_deref()));
    match &shown.decoded {
        None => line("schema", "there is nothing to decode"),
        Some(decoded) => {
            let schema = match (&decoded.schema, decoded.schema_id) {
                (Some(name), Some(id)) => format!("{name} (id {id})"),
                (None, Some(id)) => format!("id {id}, which the registry does not give"),
                _ => "no id: the value is not in the wire format".to_owned(),
            };
            line("schema", &schema);
            for (i, (name, value)) in decoded.fields.iter().enumerate() {
                line(
                    if i == 0 { "fields" } else { "" },
                    &format!("{name}: {value}"),
                );
            }
            match &decoded.stopped {
                Some(stopped) => line("stopped", stopped),
                None => line("", "decoded to the last byte"),
            }
        }
    }
    println!(
        "\nSend it again as it was: cargo xtask dlq replay {}",
        shown.key
    );
    println!(
        "Mended:                  cargo xtask dlq replay {} --event JSON",
        shown.key
    );
}

/// The size and the first bytes.
fn value_text(base64: Option<&str>) -> String {
    let Some(base64) = base64 else {
        return "none (a tombstone)".into();
    };
    let bytes = match STANDARD.decode(base64) {
        Ok(bytes) => bytes,
        Err(e) => return format!("not base64: {e}"),
    };
    let first = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let hex: String = first.iter().map(|byte| format!("{byte:02x}")).collect();
    let more = if first.len() < bytes.len() { "…" } else { "" };
    match bytes.len() {
        0 => "0 bytes".into(),
        count => format!("{count} bytes: {hex}{more}"),
    }
}

async fn replay(
    ctx: &Context,
    lab: &LabState,
    registry: &RegistryClient,
    letter: &Letter,
    mended: Option<Value>,
) -> anyhow::Result<()> {
    let is_mended = mended.is_some();
    let producer = EventProducer::new(&lab.kafka(), "replay")?;
    let replayed = dead_letters::replay(&producer, registry, letter, mended)
        .await
        .with_context(|| format!("failed to replay {}", letter.key))?;
    if ctx.json {
        return ctx.print_json(&replayed);
    }
    let what = if is_mended {
        "the mended event"
    } else {
        "the original bytes"
    };
    println!(
        "Sent {what} of {} to {} [{}] at {}",
        letter.key, replayed.topic, replayed.partition, replayed.offset
    );
    if !is_mended {
        println!("Poison stays poison: unless its cause is gone, it comes back as a dead letter");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_shown_with_its_size() {
        assert_eq!(value_text(None), "none (a tombstone)");
        assert_eq!(value_text(Some("")), "0 bytes");
        assert_eq!(value_text(Some("AAECAw==")), "4 bytes: 00010203");
        let long = STANDARD.encode([7; 100]);
        assert!(value_text(Some(&long)).ends_with("07…"));
    }

    #[test]
    fn a_mended_event_comes_from_one_place_and_is_json() {
        assert_eq!(mended(None, None).unwrap(), None);
        assert!(mended(Some("{\"a\":1}"), None).unwrap().is_some());
        let error = format!("{:#}", mended(Some("{"), None).unwrap_err());
        assert!(error.contains("not JSON"), "{error}");
        assert!(mended(None, Some(Path::new("/nonexistent"))).is_err());
    }
}
