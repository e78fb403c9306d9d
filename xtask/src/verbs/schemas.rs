//! `schemas`: this tree's schemas against the registry's.

use std::time::Duration;

use anyhow::Context as _;
use chassis::http::HttpClient;
use chassis::registry::{RegistryClient, RegistryError};
use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use reqwest::Method;
use schemas::EventType;
use schemas::evolution::WriterSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Context;
use crate::evolution::{self, Change};

#[derive(Debug, clap::Args)]
pub struct SchemasArgs {
    #[command(subcommand)]
    pub verb: SchemasVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum SchemasVerb {
    /// Are this tree's schemas valid, and would the registry take them? Registers nothing.
    Check {
        /// Only whether they are valid; needs no lab.
        #[arg(long)]
        offline: bool,
    },
    /// Register this tree's schemas; what is registered already keeps its id.
    Register,
    /// The registry's subjects, their versions and what they promise.
    List,
    /// Field by field: what differs from the latest registered version, and for whom it breaks.
    Diff {
        /// A subject, topic or event; without it all of them.
        subject: Option<String>,
    },
}

pub async fn run(ctx: &Context, args: &SchemasArgs) -> anyhow::Result<()> {
    match &args.verb {
        SchemasVerb::Check { offline: true } => check(ctx, None).await,
        SchemasVerb::Check { .. } => check(ctx, Some(&Registry::of(ctx)?)).await,
        SchemasVerb::Register => register(ctx).await,
        SchemasVerb::List => list(ctx, &Registry::of(ctx)?).await,
        SchemasVerb::Diff { subject } => diff(ctx, subject.as_deref()).await,
    }
}

/// What the registry answers beyond what the services' own client asks.
struct Registry {
    http: HttpClient,
    url: String,
}

/// A subject as one segment of a path: other clients' subjects may contain any character.
pub(crate) fn segment(subject: &str) -> PercentEncode<'_> {
    utf8_percent_encode(subject, NON_ALPHANUMERIC)
}

/// A registered version.
#[derive(Debug, Deserialize)]
struct Registered {
    version: i64,
    id: u32,
    schema: String,
}

impl Registry {
    fn of(ctx: &Context) -> anyhow::Result<Self> {
        Ok(Self {
            http: HttpClient::with_timeout(Duration::from_secs(10)),
            url: ctx.lab()?.registry_url(),
        })
    }

    /// `None` when it answers that there is no such thing.
    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Option<T>> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(reqwest::Error::without_url);
        let response = response.context(
            "the registry does not answer; `cargo xtask services up registry` starts it",
        )?;
        let status = response.status();
        let text = response
            .text()
            .await
            .context("failed to read the registry's answer")?;
        if status == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        anyhow::ensure!(status.is_success(), "the registry answers {status}: {text}");
        let answer = serde_json::from_str(&text);
        answer
            .map(Some)
            .context("failed to understand the registry's answer")
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        self.ask(Method::GET, path, None).await
    }

    async fn latest(&self, subject: &str) -> anyhow::Result<Option<Registered>> {
        let subject = segment(subject);
        self.get(&format!("/subjects/{subject}/versions/latest"))
            .await
    }

    /// Why the registry would refuse it; empty when it would not.
    async fn objections(&self, subject: &str, schema: &str) -> anyhow::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Verdict {
            is_compatible: bool,
            #[serde(default)]
            messages: Vec<String>,
        }
        let subject = segment(subject);
        let path = format!("/compatibility/subjects/{subject}/versions?verbose=true");
        let body = json!({ "schema": schema });
        let verdict: Option<Verdict> = self.ask(Method::POST, &path, Some(body)).await?;
        Ok(match verdict {
            Some(verdict) if !verdict.is_compatible => verdict.messages,
            // Nothing is registered: nothing can be incompatible with it.
            _ => Vec::new(),
        })
    }
}

/// What `check` found for one subject.
#[derive(Debug, Serialize)]
struct Checked {
    subject: String,
    valid: bool,
    /// Null when it was not compared.
    compatible: Option<bool>,
    /// With which version; null when nothing is registered yet.
    latest: Option<i64>,
    problems: Vec<String>,
}

async fn check(ctx: &Context, registry: Option<&Registry>) -> anyhow::Result<()> {
    let mut results = Vec::new();
    for event_type in EventType::ALL {
        let (subject, schema) = (event_type.subject(), event_type.schema_json());
        let mut checked = Checked {
            subject: subject.clone(),
            valid: true,
            compatible: None,
            latest: None,
            problems: Vec::new(),
        };
        match WriterSchema::new(schema) {
            Err(e) => {
                checked.valid = false;
                checked.problems.push(e.to_string());
            }
            Ok(parsed) if !parsed.is_current(event_type) => {
                checked.valid = false;
                let found = parsed.full_name().unwrap_or("not a record");
                let problem = format!("it is {found}, not {}", event_type.full_name());
                checked.problems.push(problem);
            }
            Ok(_) => {}
        }
        if let Some(registry) = registry.filter(|_| checked.valid) {
            checked.latest = registry
                .latest(&subject)
                .await?
                .map(|latest| latest.version);
            checked.problems = registry.objections(&subject, schema).await?;
            checked.compatible = Some(checked.problems.is_empty());
        }
        results.push(checked);
    }
    if ctx.json {
        ctx.print_json(&results)?;
    } else {
        for checked in &results {
            let verdict = match (checked.valid, checked.compatible, checked.latest) {
                (false, ..) => "is not valid".to_owned(),
                (true, None, _) => "is valid".to_owned(),
                (true, Some(true), None) => "is valid; nothing is registered yet".to_owned(),
                (true, Some(true), Some(version)) => format!("may follow version {version}"),
                (true, Some(false), Some(version)) => format!("may not follow version {version}"),
                (true, Some(false), None) => "would be refused".to_owned(),
            };
            println!("{:44} {verdict}", checked.subject);
            for problem in &checked.problems {
                println!("    {problem}");
            }
        }
    }
    let refused = results
        .iter()
        .filter(|checked| !checked.problems.is_empty());
    let refused: Vec<&str> = refused.map(|checked| checked.subject.as_str()).collect();
    anyhow::ensure!(
        refused.is_empty(),
        "{} of {} schemas are refused: {}; `cargo xtask schemas diff` says what differs",
        refused.len(),
        results.len(),
        refused.join(", ")
    );
    Ok(())
}

async fn register(ctx: &Context) -> anyhow::Result<()> {
    let registry = RegistryClient::new(&ctx.lab()?.registry_url());
    let mut registered = Vec::new();
    let mut failures = crate::lab::Failures(Vec::new());
    for event_type in EventType::ALL {
        let (subject, schema) = (event_type.subject(), event_type.schema_json());
        let known = match registry.lookup(&subject, schema).await {
            Ok(_) => true,
            Err(RegistryError::NotFound(_)) => false,
            Err(e) => {
                failures.0.push(anyhow::Error::new(e).context(subject));
                continue;
            }
        };
        match registry.register(&subject, schema).await {
            Ok(id) => {
                if !ctx.json {
                    let how = if known {
                        "was registered before"
                    } else {
                        "is now registered"
                    };
                    println!("{subject:44} {how}, id {id}");
                }
                registered.push(json!({ "subject": subject, "id": id, "new": !known }));
            }
            Err(e) => failures.0.push(anyhow::Error::new(e).context(subject)),
        }
    }
    if ctx.json {
        ctx.print_json(&registered)?;
    }
    failures.check()
}

async fn list(ctx: &Context, registry: &Registry) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Config {
        compatibility_level: String,
    }
    let subjects: Vec<String> = registry.get("/subjects").await?.unwrap_or_default();
    let mut rows = Vec::new();
    for subject in subjects {
        let versions: Option<Vec<i64>> = registry
            .get(&format!("/subjects/{}/versions", segment(&subject)))
            .await?;
        let latest = registry.latest(&subject).await?;
        let config: Option<Config> = registry
            .get(&format!(
                "/config/{}?defaultToGlobal=true",
                segment(&subject)
            ))
            .await?;
        rows.push(json!({
            "subject": subject,
            "versions": versions,
            "latest_id": latest.map(|latest| latest.id),
            "compatibility": config.map(|config| config.compatibility_level),
        }));
    }
    if ctx.json {
        return ctx.print_json(&rows);
    }
    println!(
        "{:44} {:>8} {:>9}  COMPATIBILITY",
        "SUBJECT", "VERSIONS", "LATEST ID"
    );
    for row in &rows {
        println!(
            "{:44} {:>8} {:>9}  {}",
            row["subject"].as_str().unwrap_or_default(),
            row["versions"].as_array().map_or(0, Vec::len),
            row["latest_id"].as_u64().unwrap_or_default(),
            row["compatibility"].as_str().unwrap_or("-")
        );
    }
    Ok(())
}

/// What `diff` says of one subject.
#[derive(Debug, Serialize)]
struct Difference {
    subject: String,
    /// The latest registered version; null when there is none.
    version: Option<i64>,
    changes: Vec<Change>,
    /// The registry's own words; empty when it would take this tree's schema.
    refused: Vec<String>,
}

async fn diff(ctx: &Context, wanted: Option<&str>) -> anyhow::Result<()> {
    let chosen = chosen(wanted)?;
    let registry = Registry::of(ctx)?;
    let mut differences = Vec::new();
    for event_type in chosen {
        let (subject, schema) = (event_type.subject(), event_type.schema_json());
        let latest = registry.latest(&subject).await?;
        let changes = match &latest {
            None => Vec::new(),
            Some(latest) => evolution::diff(&latest.schema, schema)
                .with_context(|| format!("failed to compare {subject}"))?,
        };
        differences.push(Difference {
            version: latest.map(|latest| latest.version),
            changes,
            refused: registry.objections(&subject, schema).await?,
            subject,
        });
    }
    if ctx.json {
        return ctx.print_json(&differences);
    }
    for difference in &differences {
        print(difference);
    }
    Ok(())
}

fn print(difference: &Difference) {
    let Difference {
        subject,
        version,
        changes,
        refused,
    } = difference;
    match version {
        None => println!("{subject}: nothing is registered yet"),
        Some(version) if changes.is_empty() => {
            println!("{subject}: the same as version {version}");
        }
        Some(version) => println!("{subject}: against version {version}"),
    }
    for change in changes {
        println!("  {} {}", change.field, change.what);
        for (who, why) in [
            (
                "new consumers that read old records",
                &change.breaks_new_consumers,
            ),
            (
                "old consumers that read new records",
                &change.breaks_old_consumers,
            ),
        ] {
            if let Some(why) = why {
                println!("      breaks {who}: {why}");
            }
        }
    }
    if !changes.is_empty() {
        match refused.first() {
            None => println!("  The registry would take it"),
            Some(_) => println!("  The registry would refuse it: {}", refused.join("\n    ")),
        }
    }
}

/// The event types that a subject, a topic or an event's name stands for.
fn chosen(wanted: Option<&str>) -> anyhow::Result<Vec<EventType>> {
    let Some(wanted) = wanted else {
        return Ok(EventType::ALL.into());
    };
    let topic = wanted.strip_suffix("-value").unwrap_or(wanted);
    let found = EventType::from_topic(topic).or_else(|| EventType::from_name(wanted));
    found.map(|event_type| vec![event_type]).with_context(|| {
        let subjects = EventType::ALL.map(EventType::subject).join(", ");
        format!("there is no subject {wanted:?} in this tree; there are {subjects}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_a_topic_and_an_event_name_the_same() {
        let expected = vec![EventType::DepotEffectue];
        for name in [
            "bancaire.depot.effectue-value",
            "bancaire.depot.effectue",
            "DepotEffectue",
        ] {
            assert_eq!(chosen(Some(name)).unwrap(), expected);
        }
        assert_eq!(chosen(None).unwrap().len(), 7);
        let error = chosen(Some("nope")).unwrap_err().to_string();
        assert!(
            error.contains("nope") && error.contains("bancaire.depot.effectue-value"),
            "{error}"
        );
    }
}
