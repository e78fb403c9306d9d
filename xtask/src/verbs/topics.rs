//! `topics`: the broker's topics, where they end, and how far their readers are behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use chassis::config::KafkaConfig;
use chassis::kafka::admin::{Inspector, ensure_topics};
use chassis::kafka::client_config;
use chassis::kafka::groups::{self, Group, Place};
use rdkafka::consumer::{BaseConsumer, Consumer};
use schemas::{EventType, PARTITIONS, TopicSpec};
use serde::Serialize;

use crate::Context;
use crate::state::LabState;

const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub struct TopicsArgs {
    #[command(subcommand)]
    pub verb: TopicsVerb,
}

#[derive(Debug, clap::Subcommand)]
pub enum TopicsVerb {
    /// Every topic with its records, and how far each group is behind.
    List {
        /// Kafka's own topics too.
        #[arg(long)]
        internal: bool,
    },
    /// Create a topic.
    Create {
        name: String,
        #[arg(long, default_value_t = PARTITIONS, value_parser = clap::value_parser!(i32).range(1..))]
        partitions: i32,
        /// How long records are kept; without it as long as the broker's default says.
        #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(1..))]
        retention_ms: Option<i64>,
    },
    /// One topic: each partition's offsets, leader and replicas, and who reads it.
    Describe { name: String },
}

/// A topic and what is known of it.
#[derive(Debug, Serialize)]
struct Topic {
    name: String,
    /// The event that travels on it; null for others.
    event: Option<&'static str>,
    partitions: Vec<Partition>,
}

#[derive(Debug, Serialize)]
struct Partition {
    id: i32,
    /// The first offset kept, and the next to come.
    low: i64,
    high: i64,
    leader: i32,
    replicas: Vec<i32>,
    in_sync: Vec<i32>,
    /// By group, where it has committed an offset.
    readers: BTreeMap<String, Reader>,
}

#[derive(Debug, Serialize)]
struct Reader {
    committed: i64,
    lag: i64,
    /// The member that reads it now.
    owner: Option<String>,
}

impl Topic {
    fn records(&self) -> i64 {
        self.partitions.iter().map(|p| p.high - p.low).sum()
    }

    /// How far each group is behind, over all partitions.
    fn lag(&self) -> BTreeMap<&str, i64> {
        let mut lag = BTreeMap::new();
        for (group, reader) in self.partitions.iter().flat_map(|p| &p.readers) {
            *lag.entry(group.as_str()).or_default() += reader.lag;
        }
        lag
    }
}

pub async fn run(ctx: &Context, args: &TopicsArgs) -> anyhow::Result<()> {
    let lab = ctx.lab()?;
    let kafka = lab.kafka();
    match &args.verb {
        TopicsVerb::List { internal } => {
            let topics = topics(&kafka, None).await?;
            let wanted = |topic: &Topic| *internal || !topic.name.starts_with("__");
            list(ctx, topics.into_iter().filter(wanted).collect())
        }
        TopicsVerb::Create {
            name,
            partitions,
            retention_ms,
        } => create(ctx, &lab, name, *partitions, *retention_ms).await,
        TopicsVerb::Describe { name } => {
            let topics = topics(&kafka, Some(name)).await?;
            let topic = topics.into_iter().next().with_context(|| {
                format!(
                    "there is no topic {name:?}; `cargo xtask topics list` shows which there are"
                )
            })?;
            if ctx.json {
                return ctx.print_json(&topic);
            }
            describe(&topic);
            Ok(())
        }
    }
}

/// All topics, or the one of this name.
async fn topics(kafka: &KafkaConfig, only: Option<&str>) -> anyhow::Result<Vec<Topic>> {
    let (asked, only) = (kafka.clone(), only.map(str::to_owned));
    let mut topics = tokio::task::spawn_blocking(move || metadata(&asked, only.as_deref()))
        .await
        .context("failed to wait for the topics")??;
    let names: Vec<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
    let watermarks = Inspector::new(kafka)?.watermarks(&names).await?;
    let groups = groups::groups(kafka, watermarks.keys().cloned().collect()).await?;
    for topic in &mut topics {
        for partition in &mut topic.partitions {
            let place = (topic.name.clone(), partition.id);
            if let Some((low, high)) = watermarks.get(&place) {
                (partition.low, partition.high) = (*low, *high);
                partition.readers = readers(&groups, &place, *high);
            }
        }
    }
    Ok(topics)
}

fn metadata(kafka: &KafkaConfig, only: Option<&str>) -> anyhow::Result<Vec<Topic>> {
    let consumer: BaseConsumer = client_config(kafka, "edalab-topics")
        .create()
        .context("failed to create a Kafka client")?;
    // All of them: asking for one that does not exist might create it.
    let metadata = consumer
        .fetch_metadata(None, TIMEOUT)
        .context("failed to ask the broker for its topics")?;
    let wanted = metadata
        .topics()
        .iter()
        .filter(|topic| only.is_none_or(|name| topic.name() == name));
    let mut topics: Vec<Topic> = wanted
        .map(|topic| {
            let mut partitions: Vec<Partition> = topic
                .partitions()
                .iter()
                .map(|partition| Partition {
                    id: partition.id(),
                    low: 0,
                    high: 0,
                    leader: partition.leader(),
                    replicas: partition.replicas().to_vec(),
                    in_sync: partition.isr().to_vec(),
                    readers: BTreeMap::new(),
                })
                .collect();
            partitions.sort_by_key(|partition| partition.id);
            Topic {
                name: topic.name().to_owned(),
                event: EventType::from_topic(topic.name()).map(EventType::name),
                partitions,
            }
        })
        .collect();
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(topics)
}

fn readers(groups: &[Group], place: &Place, high: i64) -> BTreeMap<String, Reader> {
    let of_group = |group: &Group| {
        let committed = *group.committed.get(place)?;
        let reader = Reader {
            committed,
            lag: (high - committed).max(0),
            owner: group.owner(place).map(|member| member.id.clone()),
        };
        Some((group.name.clone(), reader))
    };
    groups.iter().filter_map(of_group).collect()
}

fn list(ctx: &Context, topics: Vec<Topic>) -> anyhow::Result<()> {
    if ctx.json {
        return ctx.print_json(&topics);
    }
    println!("{:36} {:>10} {:>10}  LAG", "TOPIC", "PARTITIONS", "RECORDS");
    for topic in &topics {
        let lag = topic.lag();
        let lag: Vec<String> = lag
            .iter()
            .map(|(group, lag)| format!("{group}: {lag}"))
            .collect();
        println!(
            "{:36} {:>10} {:>10}  {}",
            topic.name,
            topic.partitions.len(),
            topic.records(),
            if lag.is_empty() {
                "-".into()
            } else {
                lag.join(", ")
            }
        );
    }
    Ok(())
}

fn describe(topic: &Topic) {
    let event = topic
        .event
        .map_or(String::new(), |event| format!(", {event}"));
    println!("{}: {} records kept{event}\n", topic.name, topic.records());
    println!(
        "{:>9} {:>10} {:>10} {:>7} {:12} {:12} READERS",
        "PARTITION", "LOW", "HIGH", "LEADER", "REPLICAS", "IN SYNC"
    );
    for partition in &topic.partitions {
        let readers = partition.readers.iter().map(|(group, reader)| {
            let owner = reader.owner.as_deref().unwrap_or("nobody reads it now");
            format!(
                "{group} at {}, lag {} ({owner})",
                reader.committed, reader.lag
            )
        });
        let readers: Vec<String> = readers.collect();
        println!(
            "{:>9} {:>10} {:>10} {:>7} {:12} {:12} {}",
            partition.id,
            partition.low,
            partition.high,
            partition.leader,
            numbers(&partition.replicas),
            numbers(&partition.in_sync),
            if readers.is_empty() {
                "-".into()
            } else {
                readers.join("; ")
            }
        );
    }
    println!("\nA group's offsets in Kafka are hints: bancaire's own are in PostgreSQL");
}

fn numbers(numbers: &[i32]) -> String {
    let texts: Vec<String> = numbers.iter().map(i32::to_string).collect();
    texts.join(",")
}

/// With as many copies as the lab's own topics have.
async fn create(
    ctx: &Context,
    lab: &LabState,
    name: &str,
    partitions: i32,
    retention_ms: Option<i64>,
) -> anyhow::Result<()> {
    let spec = TopicSpec {
        // The catalogue's names are static; this one lives as long as the command.
        name: name.to_owned().leak(),
        partitions,
        retention_ms,
    };
    let kafka = lab.kafka();
    let created = ensure_topics(&kafka, &[spec], lab.replication()).await?;
    anyhow::ensure!(!created.is_empty(), "the topic {name} exists already");
    if ctx.json {
        return ctx.print_json(&known(&kafka, name).await?);
    }
    println!("Created {name} with {partitions} partitions");
    Ok(())
}

/// A topic that was just made: of several brokers not every one knows it at once.
async fn known(kafka: &KafkaConfig, name: &str) -> anyhow::Result<Topic> {
    let began = Instant::now();
    loop {
        let found = topics(kafka, Some(name)).await;
        match found.map(|mut topics| topics.pop()) {
            Ok(Some(topic)) if !topic.partitions.is_empty() => return Ok(topic),
            Err(e) if began.elapsed() > TIMEOUT => return Err(e),
            _ => anyhow::ensure!(
                began.elapsed() <= TIMEOUT,
                "the topic {name} is made, but the broker does not know it yet"
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_counted_per_group_over_all_partitions() {
        let place = |partition| ("t".to_owned(), partition);
        let group = |name: &str, committed: &[(i32, i64)]| Group {
            name: name.into(),
            state: "Stable".into(),
            members: Vec::new(),
            committed: committed
                .iter()
                .map(|(p, offset)| (place(*p), *offset))
                .collect(),
        };
        let groups = [group("a", &[(0, 3), (1, 9)]), group("b", &[(1, 12)])];
        let partition = |id, high| Partition {
            id,
            low: 0,
            high,
            leader: 1,
            replicas: vec![1],
            in_sync: vec![1],
            readers: readers(&groups, &place(id), high),
        };
        let topic = Topic {
            name: "t".into(),
            event: None,
            partitions: vec![partition(0, 10), partition(1, 11)],
        };
        assert_eq!(topic.records(), 21);
        // Behind what the group has read, a log cannot end: somebody was quicker than our question.
        assert_eq!(topic.lag(), BTreeMap::from([("a", 7 + 2), ("b", 0)]));
    }
}
