//! A bancaire in this process, with a database and a consumer group of its own.

use std::time::Duration;

use bancaire::Config;
use chassis::config::{CommonConfig, LogConfig, SchemaConfig, ServiceConfig};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use schemas::DeadLetter;
use serde_json::Value;
use sqlx::{PgPool, Row as _};
use tests::{http, until_async};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::log::{Place, dead_letters, lab};

pub struct Bank {
    pub config: Config,
    pub pool: PgPool,
    url: String,
    stop: CancellationToken,
    service: JoinHandle<anyhow::Result<()>>,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub compte_id: Option<String>,
    pub kind: String,
    pub montant: Decimal,
    pub motif_rejet: Option<String>,
    pub solde_apres: Option<Decimal>,
    pub rang: Option<i64>,
    pub cause_id: Option<String>,
}

/// What a bank without any data of its own would be started with.
pub async fn config(name: &str) -> Config {
    let lab = lab().await;
    let mut postgres = lab.fresh_database(name).await;
    // Three writers, the relay, and the API.
    postgres.max_connections = 6;
    Config {
        group: postgres.database.clone(),
        common: CommonConfig {
            kafka: lab.kafka(),
            schema: SchemaConfig {
                url: lab.registry_url(),
            },
            postgres,
            service: ServiceConfig {
                host: [127, 0, 0, 1].into(),
                port: 0,
            },
            log: LogConfig::default(),
        },
        parking_time: Duration::from_secs(60),
        batch_max: 5_000,
        writers: 3,
    }
}

impl Bank {
    /// A bank that consumes.
    pub async fn open(name: &str) -> Self {
        let bank = Self::start(config(name).await).await;
        bank.consumes().await;
        bank
    }

    /// A bank that was told to start, and may still be on its way.
    pub async fn start(config: Config) -> Self {
        let stop = CancellationToken::new();
        let started = bancaire::start(config.clone(), stop.clone()).await;
        let (address, service) = started.expect("it starts");
        Self {
            pool: chassis::postgres::connect(&config.common.postgres).expect("it is valid"),
            url: format!("http://{address}"),
            config,
            stop,
            service,
        }
    }

    /// Ends it as a signal would, and gives what it was started with.
    pub async fn stop(self) -> Config {
        self.stop.cancel();
        let ended = lab().await.deadline(self.service).await;
        ended.expect("it does not panic").expect("it ends well");
        self.pool.close().await;
        self.config
    }

    /// Checks what must hold at any moment when nothing is left to do, and ends it.
    pub async fn close(self) {
        self.check_books().await;
        self.stop().await;
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        let response = http().get(format!("{}{path}", self.url)).send().await;
        let response = response.expect("it answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Waits until it reads its partitions.
    pub async fn consumes(&self) {
        until_async("the bank consumes", async || {
            (self.get("/health/ready").await.0 == StatusCode::OK).then_some(())
        })
        .await;
    }

    /// Waits until a record has been dealt with, whatever became of it.
    pub async fn passes(&self, place: Place) {
        until_async("a record is consumed", async || {
            (self.next_offset(place).await? > place.offset).then_some(())
        })
        .await;
    }

    /// Waits for a number of records.
    pub async fn passes_all(&self, places: impl IntoIterator<Item = Place>) {
        for place in places {
            self.passes(place).await;
        }
    }

    pub async fn next_offset(&self, place: Place) -> Option<i64> {
        sqlx::query_scalar(
            "SELECT next_offset FROM bancaire.flux WHERE topic = $1 AND partition = $2",
        )
        .bind(place.topic.topic())
        .bind(place.partition)
        .fetch_optional(&self.pool)
        .await
        .ok()?
    }

    /// An account's balance and state.
    pub async fn compte(&self, id: &str) -> Option<(String, String)> {
        let compte = bancaire::repository::get_by_id(&self.pool, id).await;
        let compte = compte.expect("PostgreSQL answers")?;
        Some((compte.solde.to_string(), compte.statut))
    }

    pub async fn solde(&self, id: &str) -> String {
        self.compte(id).await.expect("the account is there").0
    }

    /// The verdict on an event, when there is one.
    pub async fn row(&self, event_id: &str) -> Option<Row> {
        let row = sqlx::query(
            "SELECT compte_id, type, montant, motif_rejet, solde_apres, rang, cause_id
             FROM bancaire.transactions WHERE id = $1",
        )
        .bind(event_id)
        .fetch_optional(&self.pool)
        .await
        .expect("PostgreSQL answers")?;
        Some(Row {
            compte_id: row.get("compte_id"),
            kind: row.get("type"),
            montant: row.get("montant"),
            motif_rejet: row.get("motif_rejet"),
            solde_apres: row.get("solde_apres"),
            rang: row.get("rang"),
            cause_id: row.get("cause_id"),
        })
    }

    /// Waits for the verdict on an event.
    pub async fn decides(&self, event_id: &str) -> Row {
        until_async("an event is decided", async || self.row(event_id).await).await
    }

    pub async fn motif(&self, event_id: &str) -> Option<String> {
        self.row(event_id).await.expect("it is decided").motif_rejet
    }

    pub async fn count(&self, sql: &'static str, id: &str) -> i64 {
        let query = sqlx::query_scalar(sql).bind(id);
        query
            .fetch_one(&self.pool)
            .await
            .expect("PostgreSQL answers")
    }

    /// Rows of the ledger of one account.
    pub async fn rows(&self, compte_id: &str) -> i64 {
        let sql = "SELECT count(*) FROM bancaire.transactions WHERE compte_id = $1";
        self.count(sql, compte_id).await
    }

    /// True while an event waits for its account.
    pub async fn is_parked(&self, event_id: &str) -> bool {
        let sql = "SELECT count(*) FROM bancaire.parques WHERE event_id = $1";
        self.count(sql, event_id).await == 1
    }

    /// Waits until nothing is left to be published.
    pub async fn has_published(&self) {
        until_async("the outbox is empty", async || {
            let count: i64 = sqlx::query_scalar("SELECT count(*) FROM bancaire.outbox")
                .fetch_one(&self.pool)
                .await
                .ok()?;
            (count == 0).then_some(())
        })
        .await;
    }

    /// Its dead letters of these records, in their order; fails unless there is exactly one each.
    pub async fn dead_letters(&self, places: &[Place]) -> Vec<DeadLetter> {
        self.passes_all(places.iter().copied()).await;
        self.has_published().await;
        let letters = dead_letters(&self.config.group).await;
        let of = |place: &Place| {
            let is_its = |letter: &&DeadLetter| {
                letter.original_topic == place.topic.topic()
                    && (letter.partition, letter.offset) == (place.partition, place.offset)
            };
            let found: Vec<&DeadLetter> = letters.iter().filter(is_its).collect();
            assert_eq!(found.len(), 1, "{place:?}: {found:?}");
            found[0].clone()
        };
        places.iter().map(of).collect()
    }

    /// Every record is accounted for, every chain of balances is whole, no money was made or lost.
    pub async fn check_books(&self) {
        let unbalanced: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM bancaire.flux WHERE next_offset - first_offset
                 <> applied + rejected + parked + dead_lettered + duplicates + absent",
        )
        .fetch_one(&self.pool)
        .await
        .expect("PostgreSQL answers");
        assert_eq!(unbalanced, 0, "partitions do not balance");
        let broken: Vec<(String, i64)> = sqlx::query_as(
            "SELECT compte_id, rang FROM (
                 SELECT compte_id, rang, solde_apres,
                     lag(solde_apres, 1, 0) OVER chain + CASE type
                         WHEN 'OUVERTURE' THEN montant WHEN 'DEPOT' THEN montant
                         WHEN 'VIREMENT_ENTRANT' THEN montant WHEN 'CLOTURE' THEN 0
                         ELSE -montant END AS expected,
                     row_number() OVER chain AS place
                 FROM bancaire.transactions WHERE motif_rejet IS NULL
                 WINDOW chain AS (PARTITION BY compte_id ORDER BY rang)) AS rows
             WHERE solde_apres <> expected OR rang <> place LIMIT 5",
        )
        .fetch_all(&self.pool)
        .await
        .expect("PostgreSQL answers");
        assert!(broken.is_empty(), "chains are broken: {broken:?}");
        let (status, stats) = self.get("/api/v1/stats").await;
        assert_eq!(status, StatusCode::OK, "{stats}");
        assert_eq!(stats["conserved"], true, "{stats}");
        let (_, ledger) = self.get("/api/v1/ledger").await;
        assert_eq!(ledger["balanced"], true, "{ledger}");
    }
}
