//! Where a bank begins to read, and what happens when the stored offsets are not what it expects:
//! several workers, a worker that lost its partitions, a log that was cut.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use reqwest::StatusCode;
use schemas::Event;
use serde_json::Value;
use tests::events::{self, id};
use tests::until_async;

use super::bank::Bank;
use super::log::{CUT_SHORT, Log, Place, lab};

async fn client(group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", lab().await.kafka_bootstrap());
    config.set("group.id", group).create().expect("a client")
}

/// Waits until a group has this many members, all with partitions.
async fn members(group: &str, count: usize) {
    let client = client(group).await;
    until_async("the group has settled", async || {
        let ask = || client.fetch_group_list(Some(group), Duration::from_secs(5));
        let list = tokio::task::block_in_place(ask).ok()?;
        let group = list.groups().iter().find(|found| found.name() == group)?;
        // An assignment without any partition is ten bytes of zeros.
        let has_some = |bytes: Option<&[u8]>| bytes.is_some_and(|bytes| bytes.len() > 10);
        let settled = group.state() == "Stable"
            && group.members().len() == count
            && group
                .members()
                .iter()
                .all(|member| has_some(member.assignment()));
        settled.then_some(())
    })
    .await;
}

/// One worker, then two, then the other one: all of it once, every account in order.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_partitions_and_nothing_doubles() {
    let log = Log::open().await;
    let accounts: Vec<String> = (0..30).map(|_| id()).collect();
    let opened: Vec<Event> = accounts
        .iter()
        .map(|id| events::compte_ouvert(id, "1000.00"))
        .collect();
    // Everybody gets 10 × 2.00 and sends 1.00 to the next one ten times.
    let round = || -> Vec<Event> {
        let neighbours = accounts.iter().zip(accounts.iter().cycle().skip(1));
        neighbours
            .flat_map(|(account, next)| {
                [
                    events::depot(account, "2.00"),
                    events::virement(account, next, "1.00"),
                ]
            })
            .collect()
    };
    let first = Bank::open("workers").await;
    let config = first.config.clone();
    let mut places = log.send_at_once(&opened).await;
    for _ in 0..3 {
        places.extend(log.send_at_once(&round()).await);
    }
    let second = Bank::start(config).await;
    for _ in 0..3 {
        places.extend(log.send_at_once(&round()).await);
    }
    second.consumes().await;
    members(&first.config.group, 2).await;
    first.consumes().await;
    for _ in 0..2 {
        places.extend(log.send_at_once(&round()).await);
    }
    let last_of_two = places.clone();
    first.passes_all(last_of_two).await;
    for bank in [&first, &second] {
        let (_, health) = bank.get("/api/v1/health").await;
        assert_eq!(health["status"], "healthy", "{health}");
    }
    let leaving = tokio::spawn(first.stop());
    for _ in 0..2 {
        places.extend(log.send_at_once(&round()).await);
    }
    leaving.await.expect("it ends well");
    members(&second.config.group, 1).await;
    second.passes_all(places).await;
    for account in &accounts {
        until_async("all transfers have arrived", async || {
            (second.rows(account).await == 31).then_some(())
        })
        .await;
        assert_eq!(second.solde(account).await, "1020.00");
    }
    second.has_published().await;
    second.close().await;
}

async fn health(bank: &Bank) -> (StatusCode, Value) {
    bank.get("/api/v1/health").await
}

/// Changes a stored offset behind the bank's back, as another worker that owns the partition would.
async fn move_stored_offset(bank: &Bank, place: Place, sql: &'static str) {
    let moved = sqlx::query(sql)
        .bind(place.topic.topic())
        .bind(place.partition)
        .execute(&bank.pool)
        .await
        .expect("PostgreSQL answers");
    assert_eq!(moved.rows_affected(), 1);
}

/// The batch that follows another offset than the stored one is given up as a whole, and reading
/// goes on where PostgreSQL says. No other test writes to this partition.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_offset_aborts_the_batch_and_is_where_reading_goes_on() {
    const PARTITION: i32 = 1;
    let (log, bank) = (Log::open().await, Bank::open("fenced").await);
    let account = id();
    bank.passes(log.send(&events::compte_ouvert(&account, "100.00")).await)
        .await;
    let before = events::prime(&account, "10.00");
    let place = log.send_to(PARTITION, &before).await;
    bank.passes(place).await;
    assert_eq!(bank.solde(&account).await, "90.00");

    let ahead = "UPDATE bancaire.flux SET next_offset = next_offset + 1, absent = absent + 1
                 WHERE topic = $1 AND partition = $2";
    move_stored_offset(&bank, place, ahead).await;
    let skipped = events::prime(&account, "20.00");
    log.send_to(PARTITION, &skipped).await;
    let after = events::prime(&account, "30.00");
    bank.passes(log.send_to(PARTITION, &after).await).await;
    assert_eq!(
        bank.row(skipped.event_id()).await,
        None,
        "it was the other worker's"
    );
    assert_eq!(bank.solde(&account).await, "60.00");

    let behind = "UPDATE bancaire.flux SET next_offset = next_offset - 1, applied = applied - 1
                  WHERE topic = $1 AND partition = $2";
    move_stored_offset(&bank, place, behind).await;
    let last = events::prime(&account, "40.00");
    bank.passes(log.send_to(PARTITION, &last).await).await;
    assert_eq!(bank.solde(&account).await, "20.00");
    let duplicates: i64 = sqlx::query_scalar(
        "SELECT duplicates FROM bancaire.flux WHERE topic = $1 AND partition = $2",
    )
    .bind(place.topic.topic())
    .bind(PARTITION)
    .fetch_one(&bank.pool)
    .await
    .expect("PostgreSQL answers");
    assert_eq!(
        duplicates, 1,
        "what the stored offset lies before was read again"
    );
    let (status, health) = health(&bank).await;
    assert_eq!(
        (status, &health["status"]),
        (StatusCode::OK, &"healthy".into()),
        "{health}"
    );
    bank.close().await;
}

/// Records that were not read yet are gone: the bank stops, says how to go on without them, and
/// that works.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_offset_below_the_log_stops_loudly_and_says_the_way_out() {
    let (log, bank) = (Log::open().await, Bank::open("retention").await);
    let account = id();
    bank.passes(log.send(&events::compte_ouvert(&account, "100.00")).await)
        .await;
    // A new bank begins where the log does. Now let it be one that had read less of it.
    let (topic, partition) = (CUT_SHORT.topic.topic(), CUT_SHORT.partition);
    assert_eq!(bank.next_offset(CUT_SHORT).await, Some(CUT_SHORT.offset));
    sqlx::query(
        "UPDATE bancaire.flux SET first_offset = 0, next_offset = 1, absent = 1
         WHERE topic = $1 AND partition = $2",
    )
    .bind(topic)
    .bind(partition)
    .execute(&bank.pool)
    .await
    .expect("PostgreSQL answers");
    let config = bank.stop().await;
    let kept = events::prime(&account, "5.00");
    let kept_at = log.send_to(partition, &kept).await;

    let bank = Bank::start(config).await;
    let report = until_async("it stops", async || {
        let (status, report) = health(&bank).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(report)
    })
    .await;
    assert_eq!(report["status"], "unhealthy", "{report}");
    assert_eq!(report["consuming"], false, "{report}");
    let reason = report["reason"].as_str().expect("a reason");
    assert!(
        reason.contains(&format!("{topic} [{partition}]")),
        "{reason}"
    );
    assert!(reason.contains("1 records were deleted unread"), "{reason}");
    assert_eq!(
        bank.get("/health/ready").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(bank.get("/health/live").await.0, StatusCode::OK);
    assert_eq!(
        bank.row(kept.event_id()).await,
        None,
        "it does not go on by itself"
    );
    assert_eq!(bank.solde(&account).await, "100.00");

    let (_, way_out) = reason.split_once("without them: ").expect("the way out");
    let (sql, _) = way_out.split_once(';').expect("one statement");
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    let done = sqlx::query(sql)
        .execute(&bank.pool)
        .await
        .expect("it is valid SQL");
    assert_eq!(done.rows_affected(), 1);
    let bank = Bank::start(bank.stop().await).await;
    bank.passes(kept_at).await;
    assert_eq!(bank.solde(&account).await, "95.00");
    bank.close().await;
}

/// A database that belongs to another cluster's logs is not mixed up with this one's.
#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_stops_loudly() {
    let bank = Bank::open("cluster").await;
    sqlx::query("UPDATE bancaire.flux SET cluster_id = 'another'")
        .execute(&bank.pool)
        .await
        .expect("PostgreSQL answers");
    let bank = Bank::start(bank.stop().await).await;
    let report = until_async("it stops", async || {
        let (status, report) = health(&bank).await;
        (status == StatusCode::SERVICE_UNAVAILABLE).then_some(report)
    })
    .await;
    let reason = report["reason"].as_str().expect("a reason");
    assert!(reason.contains("the Kafka cluster another"), "{reason}");
    assert!(reason.contains("cargo xtask clean"), "{reason}");
    bank.stop().await;
}

/// The group is told how far PostgreSQL is, for tools that show lag.
#[tokio::test(flavor = "multi_thread")]
async fn kafka_is_told_what_is_stored() {
    let (log, bank) = (Log::open().await, Bank::open("hints").await);
    let place = log.send(&events::compte_ouvert(&id(), "1.00")).await;
    bank.passes(place).await;
    let client = client(&bank.config.group).await;
    until_async("the group's offset follows", async || {
        let mut asked = TopicPartitionList::new();
        asked.add_partition(place.topic.topic(), place.partition);
        let ask = || client.committed_offsets(asked, Duration::from_secs(5));
        let committed = tokio::task::block_in_place(ask).ok()?;
        match committed.elements()[0].offset() {
            Offset::Offset(next) if next > place.offset => Some(()),
            _ => None,
        }
    })
    .await;
    bank.close().await;
}
