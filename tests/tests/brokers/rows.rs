//! The rows: a sentence, what each broker does, and how it is asked. `Ok(true)` means that it does;
//! an error means that it could not be found out.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rdkafka::admin::{AlterConfig, NewPartitions, ResourceSpecifier};
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::bench::{Bench, TIMEOUT, assigned, code, next, next_within, poll_until};

pub struct Row {
    pub what: &'static str,
    pub kafka: bool,
    pub light: bool,
    pub ask: fn(&Bench) -> anyhow::Result<bool>,
}

const fn both(what: &'static str, ask: fn(&Bench) -> anyhow::Result<bool>) -> Row {
    Row {
        what,
        kafka: true,
        light: true,
        ask,
    }
}

const fn kafka_only(what: &'static str, ask: fn(&Bench) -> anyhow::Result<bool>) -> Row {
    Row {
        what,
        kafka: true,
        light: false,
        ask,
    }
}

pub const ROWS: &[Row] = &[
    both(
        "records come back with key, value, headers and time, in order",
        records_come_back,
    ),
    both("batches compressed with gzip, snappy or lz4", compression),
    both("idempotent producers, `acks=all`", idempotence),
    both("a topic that nobody created is refused", unknown_topics),
    both("a waiting fetch is woken by a produce", waking),
    both("offsets by time", offsets_by_time),
    both(
        "an offset that is gone or not there yet is reported",
        out_of_range,
    ),
    both("a group shares partitions and remembers offsets", groups),
    both(
        "a dead member's partitions move after its session timeout",
        dead_member,
    ),
    kafka_only("members of a group are listed with their hosts", hosts),
    both(
        "settings given with a new topic are kept and told",
        told_settings,
    ),
    kafka_only(
        "settings are replaced as a whole (AlterConfigs)",
        alter_configs,
    ),
    kafka_only(
        "partitions are added to a topic (CreatePartitions)",
        create_partitions,
    ),
    both(
        "records are deleted up to an offset (DeleteRecords)",
        delete_records,
    ),
    both("a topic is deleted, and created anew empty", delete_topic),
    both("a batch above `max.message.bytes` is refused", too_large),
    kafka_only("transactions", transactions),
    both(
        "kill -9 loses nothing acknowledged; the cluster keeps its id",
        survives_a_kill,
    ),
];

fn records_come_back(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let producer = bench.producer(&[]);
    let time = 1_700_000_000_123;
    for number in 0..20 {
        let headers = (0..number % 4).fold(OwnedHeaders::new(), |headers, n| {
            let value = (n != 2).then(|| format!("v{n}"));
            let key = format!("k{n}");
            headers.insert(Header {
                key: &key,
                value: value.as_deref(),
            })
        });
        let (key, value) = (format!("key {number}"), format!("value {number}"));
        let record = FutureRecord::to(&topic).key(&key).payload(&value);
        let record = record.headers(headers).timestamp(time + i64::from(number));
        bench
            .wait(producer.send(record, TIMEOUT))
            .map_err(|(e, _)| e)?;
    }
    // Neither key nor value nor headers.
    let bare = FutureRecord::<(), ()>::to(&topic);
    bench
        .wait(producer.send(bare, TIMEOUT))
        .map_err(|(e, _)| e)?;
    let reader = bench.reader(&topic, 0, Offset::Beginning)?;
    for number in 0..20_i32 {
        let record = next(&reader)?;
        let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
        let (key, value) = (format!("key {number}"), format!("value {number}"));
        ensure!(record.offset() == i64::from(number), "its place");
        ensure!(text(record.key()) == Some(key) && text(record.payload()) == Some(value));
        ensure!(
            record.timestamp().to_millis() == Some(time + i64::from(number)),
            "its time"
        );
        let count = record.headers().map_or(0, Headers::count);
        ensure!(
            count == number as usize % 4,
            "{count} headers of record {number}"
        );
        for (n, header) in record.headers().iter().flat_map(|h| h.iter()).enumerate() {
            let expected = (format!("k{n}"), (n != 2).then(|| format!("v{n}")));
            ensure!((header.key.to_owned(), text(header.value)) == expected);
        }
    }
    let bare = next(&reader)?;
    ensure!(
        bare.key().is_none() && bare.payload().is_none(),
        "nothing is nothing"
    );
    Ok(true)
}

fn compression(bench: &Bench) -> anyhow::Result<bool> {
    for codec in ["gzip", "snappy", "lz4"] {
        let topic = bench.topic(1)?;
        let producer = bench.producer(&[("compression.codec", codec), ("linger.ms", "50")]);
        let payload = "compressible ".repeat(50);
        let sends: Vec<_> = (0..50)
            .map(|_| {
                let headers = OwnedHeaders::new()
                    .insert(Header {
                        key: "a",
                        value: Some("1"),
                    })
                    .insert(Header {
                        key: "b",
                        value: Some("2"),
                    });
                let record = FutureRecord::<(), _>::to(&topic)
                    .payload(&payload)
                    .headers(headers);
                producer.send_result(record).map_err(|(e, _)| e)
            })
            .collect::<Result<_, _>>()?;
        for sent in sends {
            bench.wait(sent)?.map_err(|(e, _)| e)?;
        }
        let reader = bench.reader(&topic, 0, Offset::Beginning)?;
        for _ in 0..50 {
            let record = next(&reader).with_context(|| codec.to_owned())?;
            ensure!(
                record.payload() == Some(payload.as_bytes()),
                "{codec} changed a record"
            );
            ensure!(
                record.headers().map(Headers::count) == Some(2),
                "{codec} lost headers"
            );
        }
    }
    Ok(true)
}

fn idempotence(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let producer = bench.producer(&[("enable.idempotence", "true"), ("acks", "all")]);
    for number in 0..50 {
        let value = number.to_string();
        let record = FutureRecord::<(), _>::to(&topic).payload(&value);
        let at = bench
            .wait(producer.send(record, TIMEOUT))
            .map_err(|(e, _)| e)?;
        ensure!(at.offset == number, "{} for record {number}", at.offset);
    }
    Ok(true)
}

fn unknown_topics(bench: &Bench) -> anyhow::Result<bool> {
    let name = bench.name();
    let producer = bench.producer(&[("message.timeout.ms", "3000")]);
    let record = FutureRecord::<(), _>::to(&name).payload("lost");
    let refused = bench.wait(producer.send(record, TIMEOUT)).is_err();
    let consumer = bench.consumer("unknown", &[]);
    let metadata = consumer.fetch_metadata(None, TIMEOUT)?;
    Ok(refused && metadata.topics().iter().all(|topic| topic.name() != name))
}

/// A fetch that slept would need a quarter of a second on average.
fn waking(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(3)?;
    let consumer = bench.consumer("waking", &[("fetch.wait.max.ms", "500")]);
    let mut all = TopicPartitionList::new();
    for partition in 0..3 {
        all.add_partition_offset(&topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&all)?;
    let producer = bench.producer(&[]);
    let mut took = Vec::new();
    for number in 0..21 {
        let record = FutureRecord::<(), _>::to(&topic)
            .partition(number % 3)
            .payload("now");
        let began = Instant::now();
        let sent = producer.send_result(record).map_err(|(e, _)| e)?;
        next(&consumer)?;
        took.push(began.elapsed());
        bench.wait(sent)?.map_err(|(e, _)| e)?;
    }
    took.sort();
    println!("  from produce to consume {:?} in the median", took[10]);
    Ok(took[10] < Duration::from_millis(100))
}

fn offsets_by_time(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let producer = bench.producer(&[]);
    for number in 1..=5 {
        let record = FutureRecord::<(), _>::to(&topic)
            .payload("x")
            .timestamp(number * 1000);
        bench
            .wait(producer.send(record, TIMEOUT))
            .map_err(|(e, _)| e)?;
    }
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(&topic, 0, Offset::Offset(2500))?;
    let found = bench
        .consumer("times", &[])
        .offsets_for_times(asked, TIMEOUT)?;
    let found = found.find_partition(&topic, 0).context("one answer")?;
    Ok(found.offset() == Offset::Offset(2))
}

fn out_of_range(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    bench.send(&topic, 0, &["a", "b", "c"])?;
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset(&topic, 0, Offset::Offset(2))?;
    bench.wait(bench.admin().delete_records(&upto, &bench.options()))?;
    for offset in [0, 100] {
        let reader = bench.reader(&topic, 0, Offset::Offset(offset))?;
        match next_within(&reader, TIMEOUT) {
            Err(e) => ensure!(
                code(&e) == Some(RDKafkaErrorCode::AutoOffsetReset)
                    || code(&e) == Some(RDKafkaErrorCode::OffsetOutOfRange),
                "{e:#}"
            ),
            Ok(_) => return Ok(false),
        }
    }
    Ok(true)
}

fn groups(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(4)?;
    let group = bench.name();
    let (one, two) = (bench.consumer(&group, &[]), bench.consumer(&group, &[]));
    one.subscribe(&[&topic])?;
    two.subscribe(&[&topic])?;
    poll_until(&[&one, &two], "the partitions are shared", || {
        Ok(assigned(&one)? == 2 && assigned(&two)? == 2)
    })?;
    let mut read = TopicPartitionList::new();
    read.add_partition_offset(
        &topic,
        one.assignment()?.elements()[0].partition(),
        Offset::Offset(7),
    )?;
    one.commit(&read, CommitMode::Sync)?;
    drop((one, two));
    let later = bench.consumer(&group, &[]);
    let committed = later.committed_offsets(read.clone(), TIMEOUT)?;
    Ok(committed.elements()[0].offset() == Offset::Offset(7))
}

/// A static member that is closed says nothing to the broker, as one that was killed.
fn dead_member(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(2)?;
    let group = bench.name();
    let timeout = [
        ("session.timeout.ms", "6000"),
        ("heartbeat.interval.ms", "1000"),
    ];
    let with_id = [timeout[0], timeout[1], ("group.instance.id", "mortal")];
    let (stays, dies) = (
        bench.consumer(&group, &timeout),
        bench.consumer(&group, &with_id),
    );
    stays.subscribe(&[&topic])?;
    dies.subscribe(&[&topic])?;
    poll_until(&[&stays, &dies], "the partitions are shared", || {
        Ok(assigned(&stays)? == 1 && assigned(&dies)? == 1)
    })?;
    drop(dies);
    let died = Instant::now();
    poll_until(&[&stays], "the partitions move", || {
        Ok(assigned(&stays)? == 2)
    })?;
    Ok(died.elapsed() > Duration::from_secs(2) && died.elapsed() < Duration::from_secs(30))
}

fn hosts(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let group = bench.name();
    let member = bench.consumer(&group, &[]);
    member.subscribe(&[&topic])?;
    poll_until(&[&member], "the member has its partition", || {
        Ok(assigned(&member)? == 1)
    })?;
    let groups = member.fetch_group_list(Some(&group), TIMEOUT)?;
    let found = groups.groups().iter().find(|found| found.name() == group);
    let members = found.context("the group is listed")?.members();
    ensure!(members.len() == 1, "it has one member");
    Ok(!members[0].client_host().is_empty())
}

fn setting(bench: &Bench, topic: &str, name: &str) -> anyhow::Result<Option<String>> {
    let asked = [ResourceSpecifier::Topic(topic)];
    let told = bench.wait(bench.admin().describe_configs(&asked, &bench.options()))?;
    let resource = told.into_iter().next().context("one answer")??;
    Ok(resource.get(name).and_then(|entry| entry.value.clone()))
}

fn told_settings(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic_with(1, &[("retention.ms", "86400000")])?;
    Ok(setting(bench, &topic, "retention.ms")?.as_deref() == Some("86400000"))
}

fn alter_configs(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let change = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set("retention.ms", "3600000");
    let Ok(done) = bench.wait(bench.admin().alter_configs(&[change], &bench.options())) else {
        return Ok(false);
    };
    if done.iter().any(Result::is_err) {
        return Ok(false);
    }
    Ok(setting(bench, &topic, "retention.ms")?.as_deref() == Some("3600000"))
}

fn create_partitions(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let more = [NewPartitions::new(&topic, 3)];
    match bench.wait(bench.admin().create_partitions(&more, &bench.options())) {
        Ok(done) => Ok(done.iter().all(Result::is_ok)),
        Err(_) => Ok(false),
    }
}

fn delete_records(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    bench.send(&topic, 0, &["a", "b", "c", "d"])?;
    let mut upto = TopicPartitionList::new();
    upto.add_partition_offset(&topic, 0, Offset::Offset(3))?;
    bench.wait(bench.admin().delete_records(&upto, &bench.options()))?;
    let reader = bench.reader(&topic, 0, Offset::Beginning)?;
    let first = next(&reader)?;
    let kept = reader.fetch_watermarks(&topic, 0, TIMEOUT)?;
    Ok(first.offset() == 3 && kept == (3, 4))
}

fn delete_topic(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    bench.send(&topic, 0, &["a", "b"])?;
    let deleted = bench.wait(bench.admin().delete_topics(&[&topic], &bench.options()))?;
    ensure!(deleted.iter().all(Result::is_ok), "it is deleted");
    let started = Instant::now();
    // Kafka deletes in its own time.
    while let Err(e) = bench.create(&topic, 1, &[]) {
        ensure!(started.elapsed() < TIMEOUT, "{e:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
    bench.send(&topic, 0, &["new"])?;
    let reader = bench.reader(&topic, 0, Offset::Beginning)?;
    let first = next(&reader)?;
    Ok((first.offset(), first.payload()) == (0, Some(b"new".as_slice())))
}

fn too_large(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic_with(1, &[("max.message.bytes", "1000")])?;
    bench.send(&topic, 0, &["small"])?;
    let large = "x".repeat(5000);
    match bench.send(&topic, 0, &[&large]) {
        Ok(()) => Ok(false),
        Err(e) => {
            ensure!(
                code(&e) == Some(RDKafkaErrorCode::MessageSizeTooLarge),
                "{e:#}"
            );
            Ok(true)
        }
    }
}

fn transactions(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let id = bench.name();
    let producer = bench.producer(&[
        ("transactional.id", &id),
        ("transaction.timeout.ms", "10000"),
    ]);
    if producer.init_transactions(TIMEOUT).is_err() {
        return Ok(false);
    }
    producer.begin_transaction()?;
    let record = FutureRecord::<(), _>::to(&topic).payload("aborted");
    bench
        .wait(producer.send(record, TIMEOUT))
        .map_err(|(e, _)| e)?;
    producer.abort_transaction(TIMEOUT)?;
    producer.begin_transaction()?;
    let record = FutureRecord::<(), _>::to(&topic).payload("committed");
    bench
        .wait(producer.send(record, TIMEOUT))
        .map_err(|(e, _)| e)?;
    producer.commit_transaction(TIMEOUT)?;
    let reader = bench.reader(&topic, 0, Offset::Beginning)?;
    Ok(next(&reader)?.payload() == Some(b"committed".as_slice()))
}

fn survives_a_kill(bench: &Bench) -> anyhow::Result<bool> {
    let topic = bench.topic(1)?;
    let id = bench.consumer("id", &[]).client().fetch_cluster_id(TIMEOUT);
    ensure!(id.is_some(), "the cluster has an id");
    let values: Vec<String> = (0..100).map(|number| number.to_string()).collect();
    bench.send(
        &topic,
        0,
        &values.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    bench.lab.xtask(&["services", "kill", "kafka"]).success();
    bench.lab.xtask(&["infra", "up", "kafka"]).success();
    let reader = bench.reader(&topic, 0, Offset::Beginning)?;
    for value in &values {
        ensure!(
            next(&reader)?.payload() == Some(value.as_bytes()),
            "{value} is lost"
        );
    }
    Ok(bench.consumer("id", &[]).client().fetch_cluster_id(TIMEOUT) == id)
}
