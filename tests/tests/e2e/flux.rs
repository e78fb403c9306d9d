//! From the simulator's API to an account in bancaire (the plan's phase 4.2.3).

use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tests::{Lab, http, until_async};

/// Produces through the simulator's API and gives the event ids.
async fn produce(lab: &Lab, body: Value) -> Vec<String> {
    let url = format!("{}/api/v1/events/produce", lab.simulator_url());
    let response = http()
        .post(url)
        .json(&body)
        .send()
        .await
        .expect("the simulator answers");
    let status = response.status();
    let answer: Value = response.json().await.expect("the answer is JSON");
    assert_eq!(status, StatusCode::OK, "{answer}");
    let ids = answer["event_ids"].as_array().expect("event_ids").iter();
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

async fn get(url: String) -> Option<Value> {
    let response = http().get(url).send().await.expect("the service answers");
    let ok = response.status() == StatusCode::OK;
    let body = response.json().await.expect("the answer is JSON");
    ok.then_some(body)
}

async fn compte(lab: &Lab, id: &str) -> Option<Value> {
    get(format!("{}/api/v1/comptes/{id}", lab.bancaire_url())).await
}

async fn transactions(lab: &Lab, id: &str) -> Vec<Value> {
    let url = format!(
        "{}/api/v1/comptes/{id}/transactions?limit=100",
        lab.bancaire_url()
    );
    let body = get(url).await.expect("the account is there");
    body["transactions"]
        .as_array()
        .expect("transactions")
        .clone()
}

fn solde(compte: &Value) -> Decimal {
    compte["solde"]
        .as_str()
        .expect("an amount is a string")
        .parse()
        .expect("an amount")
}

/// Opens an account and waits until bancaire knows it.
async fn open(lab: &Lab) -> (String, Value) {
    let id = tests::events::id();
    produce(
        lab,
        json!({"event_type": "CompteOuvert", "count": 1, "compte_id": id}),
    )
    .await;
    let compte = until_async("the account is there", async || compte(lab, &id).await).await;
    (id, compte)
}

/// Plan: TestFluxCompteOuvert_E2E
#[tokio::test(flavor = "multi_thread")]
async fn flux_compte_ouvert_e2e() {
    let lab = Lab::shared().await;
    let (id, compte) = open(lab).await;
    assert_eq!(compte["id"], id.as_str());
    assert_eq!(compte["devise"], "EUR");
    assert_eq!(compte["statut"], "ACTIF");
    assert!(solde(&compte) >= Decimal::ZERO);
    let rows = transactions(lab, &id).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["type"], "OUVERTURE");
    assert_eq!(rows[0]["montant"], compte["solde"]);
}

/// Plan: TestFluxDepot_E2E
#[tokio::test(flavor = "multi_thread")]
async fn flux_depot_e2e() {
    let lab = Lab::shared().await;
    let (id, before) = open(lab).await;
    let body = json!({"event_type": "DepotEffectue", "count": 1, "compte_id": id});
    let events = produce(lab, body).await;
    let after = until_async("the deposit is there", async || {
        compte(lab, &id)
            .await
            .filter(|now| now["solde"] != before["solde"])
    })
    .await;
    let rows = transactions(lab, &id).await;
    let depot = rows
        .iter()
        .find(|row| row["id"] == events[0].as_str())
        .expect("its row");
    assert_eq!(depot["type"], "DEPOT");
    let montant: Decimal = depot["montant"].as_str().unwrap().parse().unwrap();
    assert_eq!(solde(&after), solde(&before) + montant);
}

/// Plan: TestFluxMultipleEvents_E2E
#[tokio::test(flavor = "multi_thread")]
async fn flux_multiple_events_e2e() {
    let lab = Lab::prepare("flux");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let simulated = lab
        .xtask(&["simulate", "--rate", "5", "--duration", "10", "--json"])
        .success()
        .json();
    let produced = simulated["events_produced"].as_u64().expect("a count");
    assert!((49..=51).contains(&produced), "{simulated}");
    let verdict = lab.xtask(&["verify", "--json"]).json();
    let checks = verdict["checks"].as_array().expect("checks");
    let broken: Vec<&Value> = checks.iter().filter(|c| c["verdict"] != "pass").collect();
    assert!(!checks.is_empty() && broken.is_empty(), "{broken:?}");
    assert_eq!(
        (&verdict["passed"], &verdict["quiet"]),
        (&json!(true), &json!(true))
    );
    let stats = get(format!("{}/api/v1/stats", lab.bancaire_url()))
        .await
        .expect("stats");
    let opened = simulated["by_type"]["CompteOuvert"]
        .as_u64()
        .expect("accounts were opened");
    assert_eq!(stats["comptes"].as_u64(), Some(opened), "{stats}");
    lab.xtask(&["down"]).success();
}

/// Plan: TestIdempotence_E2E
#[tokio::test(flavor = "multi_thread")]
async fn idempotence_e2e() {
    let lab = Lab::shared().await;
    let id = tests::events::id();
    let event = tests::events::compte_ouvert(&id, "100.00");
    let body = json!({"event_type": "CompteOuvert", "count": 1, "event": event});
    let first = produce(lab, body.clone()).await;
    let second = produce(lab, body).await;
    assert_eq!(first, second, "the same event twice");
    // The deposit comes after both on the account's own partition order only per topic, so the
    // duplicate counter tells when the second copy has been dealt with.
    until_async("the account is there", async || compte(lab, &id).await).await;
    until_async("the duplicate is counted", async || {
        let ledger = get(format!("{}/api/v1/ledger", lab.bancaire_url())).await?;
        let totals = &ledger["totals"];
        (totals["in_flight"] == 0 && totals["duplicates"].as_u64()? >= 1).then_some(())
    })
    .await;
    assert_eq!(solde(&compte(lab, &id).await.unwrap()), Decimal::from(100));
    assert_eq!(transactions(lab, &id).await.len(), 1);
}

/// Money that leaves one account arrives at the other, through the outbox.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_reaches_the_other_account() {
    let lab = Lab::shared().await;
    let (from, to) = (tests::events::id(), tests::events::id());
    for (id, solde) in [(&from, "100.00"), (&to, "0.00")] {
        let event = tests::events::compte_ouvert(id, solde);
        produce(
            lab,
            json!({"event_type": "CompteOuvert", "count": 1, "event": event}),
        )
        .await;
    }
    let virement = tests::events::virement(&from, &to, "40.25");
    produce(
        lab,
        json!({"event_type": "VirementEmis", "count": 1, "event": virement}),
    )
    .await;
    until_async("the money arrived", async || {
        let to = compte(lab, &to).await?;
        (to["solde"] == "40.25").then_some(())
    })
    .await;
    assert_eq!(compte(lab, &from).await.unwrap()["solde"], "59.75");
    let rows = transactions(lab, &to).await;
    assert_eq!(rows[0]["type"], "VIREMENT_ENTRANT");
}

/// A deposit that is read before its account's opening waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_before_its_opening_is_parked_then_applied() {
    let lab = Lab::shared().await;
    let id = tests::events::id();
    let depot = tests::events::depot(&id, "12.34");
    produce(
        lab,
        json!({"event_type": "DepotEffectue", "count": 1, "event": depot}),
    )
    .await;
    until_async("it is parked", async || {
        let ledger = get(format!("{}/api/v1/ledger", lab.bancaire_url())).await?;
        (ledger["totals"]["parked"].as_u64()? >= 1).then_some(())
    })
    .await;
    assert!(
        compte(lab, &id).await.is_none(),
        "the account is not there yet"
    );
    let ouverture = tests::events::compte_ouvert(&id, "10.00");
    produce(
        lab,
        json!({"event_type": "CompteOuvert", "count": 1, "event": ouverture}),
    )
    .await;
    until_async("the parked deposit is applied", async || {
        compte(lab, &id)
            .await
            .filter(|compte| compte["solde"] == "22.34")
    })
    .await;
    assert_eq!(transactions(lab, &id).await.len(), 2);
}
