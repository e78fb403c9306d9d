//! The questions to the broker. Every call blocks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use chassis::config::KafkaConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use super::assignment;
use super::{BrokerView, Cluster, GroupView, MemberView, PartitionView, TopicView};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Each group asked about takes a client, as committed offsets are asked for by their owner.
const MOST_GROUPS: usize = 8;

pub struct Asker {
    kafka: KafkaConfig,
    client: BaseConsumer,
    /// By group.
    clients: Mutex<HashMap<String, Arc<BaseConsumer>>>,
}

impl Asker {
    pub fn new(kafka: &KafkaConfig) -> anyhow::Result<Self> {
        Ok(Self {
            kafka: kafka.clone(),
            client: client(kafka, "edalab-gateway")?,
            clients: Mutex::default(),
        })
    }

    pub fn cluster(&self) -> anyhow::Result<Cluster> {
        drain(&self.client);
        let metadata = self
            .client
            .fetch_metadata(None, TIMEOUT)
            .context("failed to ask the broker for its topics")?;
        let brokers = metadata.brokers().iter().map(|broker| BrokerView {
            id: broker.id(),
            host: broker.host().to_owned(),
            port: broker.port(),
        });
        let mut topics: Vec<TopicView> = metadata
            .topics()
            .iter()
            .filter(|topic| !topic.name().starts_with("__"))
            .map(|topic| TopicView {
                name: topic.name().to_owned(),
                partitions: topic
                    .partitions()
                    .iter()
                    .map(|partition| PartitionView::new(partition.id(), partition.leader()))
                    .collect(),
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        self.put_ends(&mut topics)?;
        let groups = self.groups()?;
        for group in groups.iter().take(MOST_GROUPS) {
            self.put_group(group, &mut topics)?;
        }
        Ok(Cluster {
            cluster_id: self.client.client().fetch_cluster_id(TIMEOUT),
            brokers: brokers.collect(),
            topics,
            groups,
        })
    }

    /// One question for all beginnings, one for all ends: the protocol asks for offsets by
    /// timestamp, and has two timestamps for these, which are librdkafka's logical offsets.
    fn put_ends(&self, topics: &mut [TopicView]) -> anyhow::Result<()> {
        for at in [Offset::Beginning, Offset::End] {
            let asked = all_partitions(topics, at)?;
            let answered = self
                .client
                .offsets_for_times(asked, TIMEOUT)
                .context("failed to ask the broker for the ends of the logs")?;
            let offsets = offsets(&answered);
            for_each(topics, |topic, partition| {
                if let Some(offset) = offsets.get(&(topic.to_owned(), partition.id)) {
                    match at {
                        Offset::Beginning => partition.low = *offset,
                        _ => partition.high = *offset,
                    }
                }
            });
        }
        Ok(())
    }

    fn groups(&self) -> anyhow::Result<Vec<GroupView>> {
        let list = self
            .client
            .fetch_group_list(None, TIMEOUT)
            .context("failed to ask the broker for its groups")?;
        let mut groups: Vec<GroupView> = list
            .groups()
            .iter()
            .map(|group| GroupView {
                name: group.name().to_owned(),
                state: group.state().to_owned(),
                members: group
                    .members()
                    .iter()
                    .map(|member| MemberView {
                        id: member.id().to_owned(),
                        client_id: member.client_id().to_owned(),
                        host: member.client_host().trim_start_matches('/').to_owned(),
                        partitions: member
                            .assignment()
                            .map(assignment::parse)
                            .unwrap_or_default(),
                    })
                    .collect(),
            })
            .collect();
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(groups)
    }

    fn put_group(&self, group: &GroupView, topics: &mut [TopicView]) -> anyhow::Result<()> {
        let client = self.client_of(&group.name)?;
        drain(&client);
        let asked = all_partitions(topics, Offset::Invalid)?;
        let answered = client
            .committed_offsets(asked, TIMEOUT)
            .with_context(|| format!("failed to ask for the offsets of {}", group.name))?;
        let committed = offsets(&answered);
        let owners: BTreeMap<(&str, i32), &str> = group
            .members
            .iter()
            .flat_map(|member| {
                let owned = member.partitions.iter();
                owned.map(|name| ((name.topic.as_str(), name.partition), member.id.as_str()))
            })
            .collect();
        for_each(topics, |topic, partition| {
            let owner = owners
                .get(&(topic, partition.id))
                .map(|id| (*id).to_owned());
            let offset = committed.get(&(topic.to_owned(), partition.id));
            if let Some(offset) = offset {
                partition.committed.insert(group.name.clone(), *offset);
                let lag = (partition.high - offset).max(0);
                partition.lag.insert(group.name.clone(), lag);
            }
            // A group has to do with the partitions that it reads or has read.
            if owner.is_some() || offset.is_some() {
                partition.owner.insert(group.name.clone(), owner);
            }
        });
        Ok(())
    }

    fn client_of(&self, group: &str) -> anyhow::Result<Arc<BaseConsumer>> {
        let mut clients = self.clients.lock().expect("asking does not panic");
        if let Some(client) = clients.get(group) {
            return Ok(client.clone());
        }
        if clients.len() == MOST_GROUPS {
            clients.clear();
        }
        let new = Arc::new(client(&self.kafka, group)?);
        clients.insert(group.to_owned(), new.clone());
        Ok(new)
    }
}

impl PartitionView {
    fn new(id: i32, leader: i32) -> Self {
        Self {
            id,
            low: 0,
            high: 0,
            leader,
            committed: BTreeMap::new(),
            lag: BTreeMap::new(),
            owner: BTreeMap::new(),
        }
    }
}

/// It names the group and never joins it.
fn client(kafka: &KafkaConfig, group: &str) -> anyhow::Result<BaseConsumer> {
    chassis::kafka::client_config(kafka, "edalab-gateway")
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .context("failed to create a Kafka client")
}

/// What librdkafka wants to report is not needed, but must not pile up.
fn drain(client: &BaseConsumer) {
    while client.poll(Duration::ZERO).is_some() {}
}

fn all_partitions(topics: &[TopicView], at: Offset) -> anyhow::Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for topic in topics {
        for partition in &topic.partitions {
            list.add_partition_offset(&topic.name, partition.id, at)
                .context("failed to name a partition")?;
        }
    }
    Ok(list)
}

/// The answers that hold an offset.
fn offsets(list: &TopicPartitionList) -> BTreeMap<(String, i32), i64> {
    let mut known = BTreeMap::new();
    for element in list.elements() {
        if let (Ok(()), Offset::Offset(offset)) = (element.error(), element.offset()) {
            known.insert((element.topic().to_owned(), element.partition()), offset);
        }
    }
    known
}

fn for_each(topics: &mut [TopicView], mut each: impl FnMut(&str, &mut PartitionView)) {
    for topic in topics {
        for partition in &mut topic.partitions {
            each(&topic.name, partition);
        }
    }
}
