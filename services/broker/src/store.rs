//! The storage as the services see it: nisshi's, with one writer at a time, and with [`Stages`]
//! kept equal to the file.
//!
//! SQLite has one writer. Whoever waits for its turn in SQLite blocks a thread and sleeps in
//! growing steps, so the turn is taken here, where waiting costs nothing. Readers need none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use nisshi_sans_io::create_topics_request::CreatableTopic;
use nisshi_sans_io::delete_groups_response::DeletableGroupResult;
use nisshi_sans_io::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use nisshi_sans_io::delete_records_response::DeleteRecordsTopicResult;
use nisshi_sans_io::describe_cluster_response::DescribeClusterBroker;
use nisshi_sans_io::describe_configs_response::DescribeConfigsResult;
use nisshi_sans_io::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic;
use nisshi_sans_io::fetch_response::AbortedTransaction;
use nisshi_sans_io::incremental_alter_configs_request::AlterConfigsResource;
use nisshi_sans_io::incremental_alter_configs_response::AlterConfigsResourceResponse;
use nisshi_sans_io::record::deflated::Batch;
use nisshi_sans_io::txn_offset_commit_response::TxnOffsetCommitResponseTopic;
use nisshi_sans_io::{ConfigResource, ErrorCode, IsolationLevel, ListOffset, ScramMechanism};
use nisshi_storage::{
    ArcDynStorage, BrokerRegistrationRequest, Error, GroupDetail, ListOffsetResponse,
    MetadataResponse, NamedGroupDetail, OffsetCommitRequest, OffsetStage, ProducerIdResponse,
    Result, ScramCredential, Storage, TopicId, Topition, TxnAddPartitionsRequest,
    TxnAddPartitionsResponse, TxnOffsetCommitRequest, UpdateError, Version,
};
use tokio::sync::{Mutex, watch};
use tracing::warn;
use url::Url;
use uuid::Uuid;

use crate::headers::{pack, unpack};
use crate::stages::{Stages, Topic};

/// Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Store {
    inner: ArcDynStorage,
    /// Held while something is written.
    turn: Arc<Mutex<()>>,
    stages: Arc<Stages>,
}

impl Store {
    pub fn new(inner: ArcDynStorage) -> Self {
        Self {
            inner,
            turn: Arc::default(),
            stages: Arc::new(Stages::new()),
        }
    }

    /// Wakes when a record was written, a topic came or went, or records were removed.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.stages.changes()
    }

    /// The topic that a request names, if there is one.
    pub async fn topic(&self, id: &TopicId) -> Result<Option<Topic>> {
        if let Some(topic) = self.stages.topic(id) {
            return Ok(Some(topic));
        }
        let since = self.stages.generation();
        let metadata = self.inner.metadata(Some(std::slice::from_ref(id))).await?;
        let Some(found) = metadata.topics().first() else {
            return Ok(None);
        };
        let (Some(name), true) = (&found.name, found.error_code == i16::from(ErrorCode::None))
        else {
            return Ok(None);
        };
        let topic = Topic {
            name: name.clone(),
            partitions: found.partitions.as_ref().map_or(0, Vec::len) as i32,
        };
        self.stages.put_topic(since, id.clone(), topic.clone());
        Ok(Some(topic))
    }

    /// Asks the file where a partition begins and ends, and remembers it.
    async fn read_stage(&self, topition: &Topition) -> Result<OffsetStage> {
        loop {
            let since = self.stages.generation();
            let read = self.inner.offset_stage(topition).await?;
            if self.stages.put(since, topition, read) {
                return Ok(read);
            }
        }
    }

    /// After a write that is done, whatever comes of this. A partition that cannot be read is
    /// forgotten, so that the next fetch asks again.
    async fn note_written(&self, topition: &Topition) {
        if let Err(error) = self.read_stage(topition).await {
            warn!(kafka.topic = topition.topic(), kafka.partition = topition.partition(), %error,
                "Could not read where a partition ends");
            self.stages.forget(topition);
        }
    }

    /// nisshi's retention removes records and leaves the partition's start where it was: a reader
    /// at an offset that is gone would not be told. Moves the starts to the first record kept.
    async fn move_starts(&self) -> Result<()> {
        let topics = self.inner.metadata(None).await?;
        let mut all = Vec::new();
        for topic in topics.topics() {
            let name = topic.name.as_deref().unwrap_or_default();
            for partition in topic.partitions.as_deref().unwrap_or_default() {
                all.push(Topition::new(name, partition.partition_index));
            }
        }
        for topition in all {
            let asked = [(topition.clone(), ListOffset::Earliest)];
            let answers = self
                .inner
                .list_offsets(IsolationLevel::ReadUncommitted, &asked)
                .await?;
            let first = answers.first().and_then(|(_, answer)| answer.offset);
            let start = self.offset_stage(&topition).await?.log_start;
            if let Some(first) = first.filter(|first| *first > start) {
                let partition = DeleteRecordsPartition::default()
                    .partition_index(topition.partition())
                    .offset(first);
                let topic = DeleteRecordsTopic::default()
                    .name(topition.topic().into())
                    .partitions(Some(vec![partition]));
                self.inner.delete_records(&[topic]).await?;
                self.note_written(&topition).await;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Storage for Store {
    async fn register_broker(&self, request: BrokerRegistrationRequest) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.inner.register_broker(request).await
    }

    async fn create_topic(&self, topic: CreatableTopic, validate_only: bool) -> Result<Uuid> {
        let _turn = self.turn.lock().await;
        // nisshi would log an error for what every `up` asks for.
        if self
            .topic(&TopicId::from(topic.name.as_str()))
            .await?
            .is_some()
        {
            return Err(Error::Api(ErrorCode::TopicAlreadyExists));
        }
        let created = self.inner.create_topic(topic, validate_only).await;
        self.stages.clear();
        created
    }

    async fn incremental_alter_resource(
        &self,
        resource: AlterConfigsResource,
    ) -> Result<AlterConfigsResourceResponse> {
        let _turn = self.turn.lock().await;
        self.inner.incremental_alter_resource(resource).await
    }

    async fn delete_records(
        &self,
        topics: &[DeleteRecordsTopic],
    ) -> Result<Vec<DeleteRecordsTopicResult>> {
        let _turn = self.turn.lock().await;
        let results = self.inner.delete_records(topics).await;
        self.stages.clear();
        results
    }

    async fn delete_topic(&self, topic: &TopicId) -> Result<ErrorCode> {
        let _turn = self.turn.lock().await;
        let result = self.inner.delete_topic(topic).await;
        self.stages.clear();
        result
    }

    async fn brokers(&self) -> Result<Vec<DescribeClusterBroker>> {
        self.inner.brokers().await
    }

    async fn produce(
        &self,
        transaction_id: Option<&str>,
        topition: &Topition,
        batch: Batch,
    ) -> Result<i64> {
        let batch = pack(batch);
        let offset = {
            let _turn = self.turn.lock().await;
            self.inner.produce(transaction_id, topition, batch).await?
        };
        self.note_written(topition).await;
        Ok(offset)
    }

    async fn fetch(
        &self,
        topition: &'_ Topition,
        offset: i64,
        min_bytes: u32,
        max_bytes: u32,
        isolation: IsolationLevel,
        max_wait: Duration,
    ) -> Result<Vec<Batch>> {
        let batches = self
            .inner
            .fetch(topition, offset, min_bytes, max_bytes, isolation, max_wait)
            .await?;
        Ok(batches.into_iter().map(unpack).collect())
    }

    async fn offset_stage(&self, topition: &Topition) -> Result<OffsetStage> {
        match self.stages.get(topition) {
            Some(stage) => Ok(stage),
            None => self.read_stage(topition).await,
        }
    }

    async fn list_offsets(
        &self,
        isolation: IsolationLevel,
        offsets: &[(Topition, ListOffset)],
    ) -> Result<Vec<(Topition, ListOffsetResponse)>> {
        self.inner.list_offsets(isolation, offsets).await
    }

    async fn offset_commit(
        &self,
        group: &str,
        retention: Option<Duration>,
        offsets: &[(Topition, OffsetCommitRequest)],
    ) -> Result<Vec<(Topition, ErrorCode)>> {
        let _turn = self.turn.lock().await;
        self.inner.offset_commit(group, retention, offsets).await
    }

    async fn offset_fetch(
        &self,
        group: Option<&str>,
        topics: &[Topition],
        require_stable: Option<bool>,
    ) -> Result<BTreeMap<Topition, i64>> {
        self.inner.offset_fetch(group, topics, require_stable).await
    }

    async fn committed_offset_topitions(&self, group: &str) -> Result<BTreeMap<Topition, i64>> {
        self.inner.committed_offset_topitions(group).await
    }

    async fn metadata(&self, topics: Option<&[TopicId]>) -> Result<MetadataResponse> {
        self.inner.metadata(topics).await
    }

    async fn upsert_user_scram_credential(
        &self,
        user: &str,
        mechanism: ScramMechanism,
        credential: ScramCredential,
    ) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.inner
            .upsert_user_scram_credential(user, mechanism, credential)
            .await
    }

    async fn delete_user_scram_credential(
        &self,
        user: &str,
        mechanism: ScramMechanism,
    ) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.inner
            .delete_user_scram_credential(user, mechanism)
            .await
    }

    async fn user_scram_credential(
        &self,
        user: &str,
        mechanism: ScramMechanism,
    ) -> Result<Option<ScramCredential>> {
        self.inner.user_scram_credential(user, mechanism).await
    }

    async fn describe_config(
        &self,
        name: &str,
        resource: ConfigResource,
        keys: Option<&[String]>,
    ) -> Result<DescribeConfigsResult> {
        self.inner.describe_config(name, resource, keys).await
    }

    async fn list_groups(&self) -> Result<Vec<NamedGroupDetail>> {
        self.inner.list_groups().await
    }

    async fn delete_groups(&self, groups: Option<&[String]>) -> Result<Vec<DeletableGroupResult>> {
        let _turn = self.turn.lock().await;
        self.inner.delete_groups(groups).await
    }

    async fn describe_groups(
        &self,
        groups: Option<&[String]>,
        authorized_operations: bool,
    ) -> Result<Vec<NamedGroupDetail>> {
        self.inner
            .describe_groups(groups, authorized_operations)
            .await
    }

    async fn describe_topic_partitions(
        &self,
        topics: Option<&[TopicId]>,
        limit: i32,
        cursor: Option<Topition>,
    ) -> Result<Vec<DescribeTopicPartitionsResponseTopic>> {
        self.inner
            .describe_topic_partitions(topics, limit, cursor)
            .await
    }

    async fn group_with_version(&self, group: &str) -> Result<Option<(GroupDetail, Version)>> {
        self.inner.group_with_version(group).await
    }

    async fn update_group(
        &self,
        group: &str,
        detail: GroupDetail,
        version: Option<Version>,
    ) -> Result<Version, UpdateError<GroupDetail>> {
        let _turn = self.turn.lock().await;
        self.inner.update_group(group, detail, version).await
    }

    async fn init_producer(
        &self,
        transaction_id: Option<&str>,
        timeout_ms: i32,
        producer_id: Option<i64>,
        producer_epoch: Option<i16>,
    ) -> Result<ProducerIdResponse> {
        let _turn = self.turn.lock().await;
        self.inner
            .init_producer(transaction_id, timeout_ms, producer_id, producer_epoch)
            .await
    }

    // The broker offers no transactions: no route leads to the next four.

    async fn txn_add_offsets(
        &self,
        transaction_id: &str,
        producer_id: i64,
        producer_epoch: i16,
        group: &str,
    ) -> Result<ErrorCode> {
        let _turn = self.turn.lock().await;
        self.inner
            .txn_add_offsets(transaction_id, producer_id, producer_epoch, group)
            .await
    }

    async fn txn_add_partitions(
        &self,
        partitions: TxnAddPartitionsRequest,
    ) -> Result<TxnAddPartitionsResponse> {
        let _turn = self.turn.lock().await;
        self.inner.txn_add_partitions(partitions).await
    }

    async fn txn_offset_commit(
        &self,
        offsets: TxnOffsetCommitRequest,
    ) -> Result<Vec<TxnOffsetCommitResponseTopic>> {
        let _turn = self.turn.lock().await;
        self.inner.txn_offset_commit(offsets).await
    }

    async fn txn_end(
        &self,
        transaction_id: &str,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
    ) -> Result<ErrorCode> {
        let _turn = self.turn.lock().await;
        let ended = self
            .inner
            .txn_end(transaction_id, producer_id, producer_epoch, committed)
            .await;
        self.stages.clear();
        ended
    }

    async fn maintain(&self, now: SystemTime) -> Result<()> {
        let _turn = self.turn.lock().await;
        self.inner.maintain(now).await?;
        self.move_starts().await
    }

    async fn maintain_transactions(&self, now: SystemTime) -> Result<()> {
        self.inner.maintain_transactions(now).await
    }

    async fn aborted_transactions(
        &self,
        topition: &Topition,
        offset: i64,
        last_stable_offset: i64,
    ) -> Result<Vec<AbortedTransaction>> {
        self.inner
            .aborted_transactions(topition, offset, last_stable_offset)
            .await
    }

    async fn cluster_id(&self) -> Result<String> {
        self.inner.cluster_id().await
    }

    async fn node(&self) -> Result<i32> {
        self.inner.node().await
    }

    async fn advertised_listener(&self) -> Result<Url> {
        self.inner.advertised_listener().await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}
