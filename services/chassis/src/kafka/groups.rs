//! Consumer groups as the broker knows them: their members, what each reads, and how far the
//! group says it has come.
//!
//! bancaire's offsets live in PostgreSQL; what it commits to Kafka is a hint for tools like this.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::groups::GroupMemberInfo;
use rdkafka::{Offset, TopicPartitionList};

use crate::config::KafkaConfig;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A topic and a partition.
pub type Place = (String, i32);

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    /// `Stable`, `PreparingRebalance`, `CompletingRebalance`, `Empty` or `Dead`.
    pub state: String,
    pub members: Vec<Member>,
    /// The next offset to read, where the group has committed one.
    pub committed: BTreeMap<Place, i64>,
}

/// One member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: String,
    pub client_id: String,
    pub host: String,
    /// What it was assigned.
    pub partitions: Vec<Place>,
}

impl Group {
    /// The member that reads a partition.
    pub fn owner(&self, place: &Place) -> Option<&Member> {
        let mut members = self.members.iter();
        members.find(|member| member.partitions.contains(place))
    }
}

/// Every group that the broker knows, with its commits for `places`.
///
/// # Errors
/// When the broker does not answer within five seconds.
pub async fn groups(config: &KafkaConfig, places: Vec<Place>) -> anyhow::Result<Vec<Group>> {
    let config = config.clone();
    tokio::task::spawn_blocking(move || groups_blocking(&config, &places))
        .await
        .context("failed to wait for the groups")?
}

fn groups_blocking(config: &KafkaConfig, places: &[Place]) -> anyhow::Result<Vec<Group>> {
    let listed = member_of(config, "edalab-groups")?
        .fetch_group_list(None, TIMEOUT)
        .context("failed to ask the broker for its groups")?;
    let mut groups = Vec::new();
    for group in listed.groups() {
        groups.push(Group {
            name: group.name().to_owned(),
            state: group.state().to_owned(),
            members: group.members().iter().map(member).collect(),
            committed: committed(config, group.name(), places)?,
        });
    }
    groups.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(groups)
}

/// Commits are asked for in the group's name, without joining it.
fn committed(
    config: &KafkaConfig,
    group: &str,
    places: &[Place],
) -> anyhow::Result<BTreeMap<Place, i64>> {
    let mut asked = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        asked.add_partition(topic, *partition);
    }
    let answered = member_of(config, group)?
        .committed_offsets(asked, TIMEOUT)
        .with_context(|| format!("failed to ask for the commits of the group {group}"))?;
    let elements = answered.elements();
    let known = elements
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => {
                Some(((element.topic().to_owned(), element.partition()), offset))
            }
            _ => None,
        });
    Ok(known.collect())
}

fn member_of(config: &KafkaConfig, group: &str) -> anyhow::Result<BaseConsumer> {
    super::client_config(config, "edalab-groups")
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .create()
        .context("failed to create a Kafka client")
}

fn member(info: &GroupMemberInfo) -> Member {
    Member {
        id: info.id().to_owned(),
        client_id: info.client_id().to_owned(),
        host: info.client_host().trim_start_matches('/').to_owned(),
        partitions: info.assignment().and_then(assignment).unwrap_or_default(),
    }
}

/// Kafka's consumer protocol: a version, then per topic its name and partition numbers.
fn assignment(bytes: &[u8]) -> Option<Vec<Place>> {
    let mut rest = bytes;
    let mut places = Vec::new();
    take::<2>(&mut rest)?; // the version
    for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let name = rest.get(..length)?;
        rest = &rest[length..];
        let topic = std::str::from_utf8(name).ok()?;
        for _ in 0..i32::from_be_bytes(take(&mut rest)?) {
            places.push((topic.to_owned(), i32::from_be_bytes(take(&mut rest)?)));
        }
    }
    Some(places)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, others) = rest.split_first_chunk()?;
    *rest = others;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_a_broken_one_is_none() {
        let bytes = [
            0, 0, 0, 0, 0, 2, 0, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, b'b', 0, 0, 0,
            0, 255, 255, 255, 255,
        ];
        let expected = vec![("a".to_owned(), 0), ("a".to_owned(), 2)];
        assert_eq!(assignment(&bytes), Some(expected));
        for cut in 0..28 {
            assert_eq!(assignment(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(assignment(&[0, 0, 127, 255, 255, 255]), None);
    }
}
