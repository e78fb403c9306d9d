//! The queries of the HTTP API.

use bancaire::domain::outcome::NewCompte;
use bancaire::domain::{Devise, Etat};
use bancaire::store::write;
use reqwest::StatusCode;
use schemas::Event;
use serde_json::json;
use tests::events::{self, id};
use tests::until_async;

use super::bank::{self, Bank};
use super::log::Log;

/// Plan: TestHealthCheck_AllHealthy
#[tokio::test(flavor = "multi_thread")]
async fn health_check_all_healthy() {
    let bank = Bank::open("health").await;
    let (status, health) = bank.get("/api/v1/health").await;
    assert_eq!(status, StatusCode::OK);
    let expected = json!({
        "status": "healthy", "kafka": "connected", "postgres": "connected", "consuming": true,
    });
    assert_eq!(health, expected);
    assert_eq!(bank.get("/health/live").await.0, StatusCode::OK);
    bank.close().await;
}

/// What is away is named, and the process stays to say so.
#[tokio::test(flavor = "multi_thread")]
async fn health_says_what_is_away() {
    let mut config = bank::config("away").await;
    config.common.kafka.bootstrap_servers = "127.0.0.1:1".into();
    config.common.postgres.port = 1;
    let bank = Bank::start(config).await;
    let (status, health) = bank.get("/api/v1/health").await;
    assert_eq!(status, StatusCode::OK, "{health}");
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["kafka"], "disconnected", "{health}");
    assert_eq!(health["postgres"], "disconnected", "{health}");
    assert_eq!(bank.get("/health/live").await.0, StatusCode::OK);
    let (status, problem) = bank.get("/health/ready").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    let (status, problem) = bank.get("/api/v1/stats").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("PostgreSQL"),
        "{problem}"
    );
    bank.stop().await;
}

/// Plan: TestGetCompte_Found
#[tokio::test(flavor = "multi_thread")]
async fn get_compte_found() {
    let (log, bank) = (Log::open().await, Bank::open("compte").await);
    let account = id();
    let Event::CompteOuvert(ouverture) = events::compte_ouvert(&account, "1234.56") else {
        unreachable!()
    };
    bank.passes(log.send(&ouverture.clone().into()).await).await;
    let (status, compte) = bank.get(&format!("/api/v1/comptes/{account}")).await;
    assert_eq!(status, StatusCode::OK, "{compte}");
    for (field, value) in [
        ("id", account.as_str()),
        ("client_id", &ouverture.client_id),
        ("type_compte", "COURANT"),
        ("devise", "EUR"),
        ("solde", "1234.56"),
        ("statut", "ACTIF"),
    ] {
        assert_eq!(compte[field], value, "{field}");
    }
    assert!(compte["created_at"].is_string() && compte["updated_at"].is_string());
    bank.close().await;
}

/// Plan: TestGetCompte_NotFound
#[tokio::test(flavor = "multi_thread")]
async fn get_compte_not_found() {
    let bank = Bank::open("compte").await;
    let unknown = id();
    for path in ["", "/transactions"] {
        let (status, problem) = bank.get(&format!("/api/v1/comptes/{unknown}{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(&unknown),
            "{problem}"
        );
    }
    for path in ["comptes/1", "comptes/1/transactions", "clients/1/comptes"] {
        let (status, problem) = bank.get(&format!("/api/v1/{path}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {problem}");
    }
    bank.close().await;
}

/// Plan: TestGetTransactions_Success
#[tokio::test(flavor = "multi_thread")]
async fn get_transactions_success() {
    let (log, bank) = (Log::open().await, Bank::open("transactions").await);
    let account = id();
    let ouverture = events::compte_ouvert(&account, "100.00");
    bank.passes(log.send(&ouverture).await).await;
    let depot = events::depot(&account, "50.25");
    bank.passes(log.send(&depot).await).await;
    let retrait = events::retrait(&account, "1000.00");
    bank.passes(log.send(&retrait).await).await;
    let path = format!("/api/v1/comptes/{account}/transactions");
    let (status, body) = bank.get(&path).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let rows = body["transactions"].as_array().expect("a list");
    let column = |name: &str| -> Vec<&str> {
        rows.iter()
            .map(|row| row[name].as_str().unwrap_or_default())
            .collect()
    };
    let ids = [retrait.event_id(), depot.event_id(), ouverture.event_id()];
    assert_eq!(column("id"), ids, "newest first");
    assert_eq!(column("type"), ["RETRAIT", "DEPOT", "OUVERTURE"]);
    assert_eq!(column("montant"), ["1000.00", "50.25", "100.00"]);
    assert_eq!(column("solde_apres"), ["", "150.25", "100.00"]);
    assert_eq!(column("motif_rejet"), ["solde insuffisant", "", ""]);
    assert_eq!(column("reference"), ["RET-TEST", "DEP-TEST", ""]);
    let (_, body) = bank.get(&format!("{path}?limit=1")).await;
    assert_eq!(body["transactions"].as_array().unwrap().len(), 1);
    for limit in ["0", "1001", "-1", "x"] {
        let (status, problem) = bank.get(&format!("{path}?limit={limit}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{problem}");
    }
    bank.close().await;
}

/// An account that no event has moved yet; only a person can make one.
///
/// Plan: TestGetTransactions_EmptyList
#[tokio::test(flavor = "multi_thread")]
async fn get_transactions_empty_list() {
    let bank = Bank::open("empty").await;
    let (account, client) = (id(), id());
    let new = NewCompte {
        id: &account,
        client_id: &client,
        type_compte: "EPARGNE",
        etat: Etat::ouvert(0.into(), Devise::parse("EUR").unwrap()),
    };
    let mut conn = bank.pool.acquire().await.expect("PostgreSQL answers");
    write::insert_comptes(&mut conn, &[new])
        .await
        .expect("it is stored");
    drop(conn);
    let (status, body) = bank
        .get(&format!("/api/v1/comptes/{account}/transactions"))
        .await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({ "transactions": [] }))
    );
    bank.close().await;
}

/// Plan: TestGetComptesByClient_Success
#[tokio::test(flavor = "multi_thread")]
async fn get_comptes_by_client_success() {
    let (log, bank) = (Log::open().await, Bank::open("client").await);
    let (client, mut accounts) = (id(), [id(), id()]);
    for account in &accounts {
        let Event::CompteOuvert(mut ouverture) = events::compte_ouvert(account, "1.00") else {
            unreachable!()
        };
        ouverture.client_id = client.clone();
        bank.passes(log.send(&ouverture.into()).await).await;
    }
    let (status, body) = bank.get(&format!("/api/v1/clients/{client}/comptes")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let found = body["comptes"].as_array().expect("a list").iter();
    let found: Vec<&str> = found.map(|compte| compte["id"].as_str().unwrap()).collect();
    accounts.sort_unstable();
    assert_eq!(found, accounts);
    let (status, body) = bank.get(&format!("/api/v1/clients/{}/comptes", id())).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "comptes": [] })));
    bank.close().await;
}

/// Page after page, every account is shown once; its id need not be a UUID.
#[tokio::test(flavor = "multi_thread")]
async fn all_comptes_are_found_page_by_page() {
    let (log, bank) = (Log::open().await, Bank::open("pages").await);
    let accounts = ["a", "b", "c"].map(|end| format!("{}{end}", &id()[..8]));
    for account in &accounts {
        bank.passes(log.send(&events::compte_ouvert(account, "1.00")).await)
            .await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/comptes?limit=1".to_owned();
    loop {
        let (status, page) = bank.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for compte in page["comptes"].as_array().expect("a list") {
            seen.push(compte["id"].as_str().unwrap().to_owned());
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/comptes?limit=1&after={next}");
    }
    let once: std::collections::HashSet<&String> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "{seen:?}");
    assert!(
        accounts.iter().all(|account| seen.contains(account)),
        "{seen:?}"
    );
    for bad in [
        "after=%00",
        "after=0123456789012345678901234567890123456",
        "limit=501",
        "limit=0",
    ] {
        let (status, problem) = bank.get(&format!("/api/v1/comptes?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}: {problem}");
    }
    bank.close().await;
}

/// The books show what is on its way, and the OpenAPI document what there is to ask.
#[tokio::test(flavor = "multi_thread")]
async fn the_books_and_the_document_are_served() {
    let (log, bank) = (Log::open().await, Bank::open("books").await);
    bank.passes(log.send(&events::compte_ouvert(&id(), "7.00")).await)
        .await;
    let ledger = until_async("nothing is in flight", async || {
        let (status, ledger) = bank.get("/api/v1/ledger").await;
        (status == StatusCode::OK && ledger["totals"]["in_flight"] == 0).then_some(ledger)
    })
    .await;
    assert_eq!(ledger["partitions"].as_array().unwrap().len(), 21);
    assert_eq!(ledger["topics"].as_array().unwrap().len(), 7);
    assert!(ledger["cluster_id"].is_string());
    let (status, document) = bank.get("/api/v1/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/api/v1/comptes/{id}"]["get"].is_object());
    let (status, _) = bank.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    bank.close().await;
}
