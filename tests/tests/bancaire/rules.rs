//! What becomes of good events: one effect each, in order, refused with a reason, or waiting for
//! their account.

use std::time::Duration;

use schemas::{Event, EventType, VirementRecu};
use tests::events::{self, id};
use tests::until_async;

use super::bank::{self, Bank};
use super::log::Log;

/// Every event twice in a row, and all of them once more: whatever the batches, one effect each.
#[tokio::test(flavor = "multi_thread")]
async fn duplicates_have_no_effect_within_a_batch_or_across_batches() {
    let log = Log::open().await;
    let account = id();
    let mut good = vec![events::compte_ouvert(&account, "100.00")];
    good.extend((1..=20).map(|n| events::depot(&account, &format!("{n}.01"))));
    good.extend((1..=5).map(|n| events::retrait(&account, &format!("{n}.10"))));
    let twice = good.iter().flat_map(|event| [event.clone(), event.clone()]);
    let stream: Vec<Event> = twice.chain(good.iter().cloned()).collect();
    let places = log.send_at_once(&stream).await;
    for (batch_max, writers) in [(1, 3), (7, 2), (5_000, 1)] {
        let mut config = bank::config("duplicates").await;
        (config.batch_max, config.writers) = (batch_max, writers);
        let bank = Bank::start(config).await;
        bank.passes_all(places.iter().copied()).await;
        // 100 + (1 + … + 20) + 20 × 0.01 - (1 + … + 5) - 5 × 0.10
        assert_eq!(
            bank.solde(&account).await,
            "294.70",
            "batches of {batch_max}, {writers} writers"
        );
        assert_eq!(bank.rows(&account).await, good.len() as i64);
        bank.close().await;
    }
}

/// Enough rows for COPY, whose unique violations must lead to the slow path as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_of_large_batches_has_no_effect() {
    let log = Log::open().await;
    let account = id();
    let mut stream = vec![events::compte_ouvert(&account, "0.00")];
    stream.extend((0..1_500).map(|_| events::depot(&account, "1.00")));
    let mut places = log.send_at_once(&stream).await;
    let new = (0..700).map(|_| events::depot(&account, "1.00"));
    let replayed: Vec<Event> = stream[1..].iter().cloned().chain(new).collect();
    places.extend(log.send_at_once(&replayed).await);
    let mut config = bank::config("replay").await;
    config.batch_max = 800;
    let bank = Bank::start(config).await;
    bank.passes_all(places).await;
    assert_eq!(bank.solde(&account).await, "2200.00");
    assert_eq!(bank.rows(&account).await, 2_201);
    let duplicates: i64 = bank
        .count(
            "SELECT coalesce(sum(duplicates), 0)::bigint FROM bancaire.flux WHERE $1 <> ''",
            &account,
        )
        .await;
    assert!(duplicates >= 1_500, "{duplicates}");
    bank.close().await;
}

/// A deposit that is read before its account's opening waits for it, and its place in the order
/// is kept.
#[tokio::test(flavor = "multi_thread")]
async fn early_events_are_parked_and_applied_when_the_account_opens() {
    let (log, bank) = (Log::open().await, Bank::open("parking").await);
    let account = id();
    let early = [
        events::depot(&account, "10.00"),
        events::depot(&account, "5.00"),
        events::depot(&account, "0.50"),
    ];
    bank.passes(log.send_all(&early).await).await;
    for event in &early {
        assert!(bank.is_parked(event.event_id()).await);
    }
    // The same again is a duplicate while it waits, too.
    bank.passes(log.send(&early[0]).await).await;
    assert_eq!(bank.compte(&account).await, None);
    bank.check_books().await;
    let retrait = events::retrait(&account, "30.00");
    bank.passes(log.send(&retrait).await).await;
    bank.passes(log.send(&events::compte_ouvert(&account, "20.00")).await)
        .await;
    for event in &early {
        assert!(!bank.is_parked(event.event_id()).await);
    }
    assert_eq!(bank.solde(&account).await, "5.50");
    let balances = [("10.00", "30.00"), ("5.00", "35.00"), ("0.50", "35.50")];
    for ((event, (montant, after)), rang) in early.iter().zip(balances).zip(2..) {
        let row = bank.decides(event.event_id()).await;
        assert_eq!(row.montant.to_string(), montant);
        assert_eq!(
            row.solde_apres.map(|s| s.to_string()).as_deref(),
            Some(after)
        );
        assert_eq!(row.rang, Some(rang));
    }
    assert_eq!(bank.decides(retrait.event_id()).await.rang, Some(5));
    bank.close().await;
}

/// Nobody opens the account: the deposit is refused, and transferred money goes back.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_parking_time_an_event_is_refused_and_money_returns() {
    let log = Log::open().await;
    let mut config = bank::config("expiry").await;
    // Longer than any account's opening is behind what refers to it in the other tests.
    config.parking_time = Duration::from_secs(5);
    let bank = Bank::start(config).await;
    bank.consumes().await;
    let (source, nobody) = (id(), id());
    bank.passes(log.send(&events::compte_ouvert(&source, "100.00")).await)
        .await;
    let depot = events::depot(&nobody, "10.00");
    let virement = events::virement(&source, &nobody, "40.00");
    bank.passes_all([log.send(&depot).await, log.send(&virement).await])
        .await;
    assert!(bank.is_parked(depot.event_id()).await);
    assert_eq!(bank.solde(&source).await, "60.00");

    let row = bank.decides(depot.event_id()).await;
    assert_eq!((row.compte_id, row.solde_apres), (None, None));
    assert_eq!(row.motif_rejet.as_deref(), Some("compte inconnu"));
    assert!(!bank.is_parked(depot.event_id()).await);
    let recu = bank
        .decides(&bancaire::domain::virement::recu_id(virement.event_id()))
        .await;
    assert_eq!(recu.motif_rejet.as_deref(), Some("compte inconnu"));
    let retour = bank
        .decides(&bancaire::domain::virement::retour_id(virement.event_id()))
        .await;
    assert_eq!(
        (retour.compte_id.as_deref(), retour.motif_rejet),
        (Some(source.as_str()), None)
    );
    assert_eq!(bank.solde(&source).await, "100.00");
    // The account comes too late, and the refused event again is a duplicate.
    bank.passes(log.send(&events::compte_ouvert(&nobody, "1.00")).await)
        .await;
    bank.passes(log.send(&depot).await).await;
    assert_eq!(bank.solde(&nobody).await, "1.00");
    bank.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_does_not_allow_is_refused_with_the_reason() {
    let (log, bank) = (Log::open().await, Bank::open("refusals").await);
    let (account, other) = (id(), id());
    bank.passes(log.send(&events::compte_ouvert(&account, "100.00")).await)
        .await;
    bank.passes(log.send(&events::compte_ouvert(&other, "0.00")).await)
        .await;
    let refused = async |event: &Event, motif: &str| {
        bank.passes(log.send(event).await).await;
        assert_eq!(bank.motif(event.event_id()).await.as_deref(), Some(motif));
    };
    refused(&events::retrait(&account, "100.01"), "solde insuffisant").await;
    refused(&events::prime(&account, "100.01"), "solde insuffisant").await;
    let virement = events::virement(&account, &other, "100.01");
    refused(&virement, "solde insuffisant").await;
    refused(&events::compte_ferme(&account), "solde non nul").await;
    refused(
        &events::compte_ouvert(&account, "1.00"),
        "compte existe déjà",
    )
    .await;
    let Event::DepotEffectue(mut dollars) = events::depot(&account, "1.00") else {
        unreachable!()
    };
    dollars.devise = "USD".into();
    refused(&dollars.into(), "devise différente de celle du compte").await;
    assert_eq!(bank.solde(&account).await, "100.00");

    bank.passes(log.send(&events::retrait(&account, "100.00")).await)
        .await;
    bank.passes(log.send(&events::compte_ferme(&account)).await)
        .await;
    assert_eq!(
        bank.compte(&account).await,
        Some(("0.00".into(), "FERME".into()))
    );
    refused(&events::depot(&account, "1.00"), "compte fermé").await;
    refused(&events::retrait(&account, "1.00"), "compte fermé").await;
    assert_eq!(bank.solde(&account).await, "0.00");
    // A refused transfer causes nothing.
    let recu = bancaire::domain::virement::recu_id(virement.event_id());
    assert_eq!(bank.row(&recu).await, None);
    assert_eq!(bank.solde(&other).await, "0.00");
    bank.close().await;
}

/// Money leaves one account, and arrives at the other by way of the outbox and the topic.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_arrives_through_the_outbox() {
    let (log, bank) = (Log::open().await, Bank::open("transfer").await);
    let (source, destination) = (id(), id());
    bank.passes(log.send(&events::compte_ouvert(&source, "100.00")).await)
        .await;
    bank.passes(log.send(&events::compte_ouvert(&destination, "1.00")).await)
        .await;
    let virement = events::virement(&source, &destination, "40.25");
    log.send(&virement).await;
    let recu = bancaire::domain::virement::recu_id(virement.event_id());
    let row = bank.decides(&recu).await;
    assert_eq!(row.compte_id.as_deref(), Some(destination.as_str()));
    assert_eq!(
        (row.kind.as_str(), row.motif_rejet),
        ("VIREMENT_ENTRANT", None)
    );
    assert_eq!(row.cause_id.as_deref(), Some(virement.event_id()));
    assert_eq!(bank.solde(&destination).await, "41.25");
    assert_eq!(bank.solde(&source).await, "59.75");
    bank.has_published().await;

    // Another bank reads the same log from its beginning and comes to the same; what it publishes
    // itself is to both of them what they have seen before.
    let second = Bank::open("transfer").await;
    assert_eq!(second.decides(&recu).await.cause_id, row.cause_id);
    second.has_published().await;
    let mut ends = log.ends(EventType::VirementRecu).await;
    ends.push(log.send(&events::depot(&destination, "0.01")).await);
    for bank in [&bank, &second] {
        bank.passes_all(ends.iter().copied()).await;
        bank.has_published().await;
        assert_eq!(bank.solde(&destination).await, "41.26");
        assert_eq!(bank.solde(&source).await, "59.75");
        assert_eq!(bank.rows(&destination).await, 3);
        let conflicts = super::log::dead_letters(&bank.config.group).await;
        let conflicts = conflicts
            .iter()
            .filter(|l| l.original_topic == "bancaire.virement.recu");
        assert_eq!(conflicts.count(), 0);
    }
    bank.close().await;
    second.close().await;
}

/// Money that nobody sent is not returned by a bank that refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_credit_without_a_transfer_is_not_returned() {
    let (log, bank) = (Log::open().await, Bank::open("stray").await);
    let (account, closed) = (id(), id());
    bank.passes(log.send(&events::compte_ouvert(&account, "0.00")).await)
        .await;
    bank.passes(log.send(&events::compte_ouvert(&closed, "0.00")).await)
        .await;
    bank.passes(log.send(&events::compte_ferme(&closed)).await)
        .await;
    let Event::VirementEmis(emis) = events::virement(&account, &closed, "9.00") else {
        unreachable!()
    };
    let stray = VirementRecu {
        event_id: id(),
        virement_emis_id: Some(id()),
        ..bancaire::domain::virement::recu(&emis)
    };
    let cause = stray.virement_emis_id.clone().unwrap();
    let stray = Event::from(stray);
    bank.passes(log.send(&stray).await).await;
    assert_eq!(
        bank.motif(stray.event_id()).await.as_deref(),
        Some("compte fermé")
    );
    bank.has_published().await;
    let retour = bancaire::domain::virement::retour_id(&cause);
    bank.passes_all(log.ends(EventType::VirementRecu).await)
        .await;
    assert_eq!(bank.row(&retour).await, None);
    bank.close().await;
}

/// SQL, quotes and every script are just text.
#[tokio::test(flavor = "multi_thread")]
async fn text_is_stored_literally() {
    let (log, bank) = (Log::open().await, Bank::open("text").await);
    let account = id();
    bank.passes(log.send(&events::compte_ouvert(&account, "0.00")).await)
        .await;
    let texts = [
        "'; DROP TABLE bancaire.comptes; --",
        "\\.\n\\N\t\"{}\"",
        "é€漢字🦀 \u{202e}",
    ];
    for text in texts {
        let Event::DepotEffectue(mut depot) = events::depot(&account, "1.00") else {
            unreachable!()
        };
        depot.reference = text.into();
        bank.passes(log.send(&depot.clone().into()).await).await;
        let stored: Option<String> =
            sqlx::query_scalar("SELECT reference FROM bancaire.transactions WHERE id = $1")
                .bind(&depot.event_id)
                .fetch_one(&bank.pool)
                .await
                .expect("it is stored");
        assert_eq!(stored.as_deref(), Some(text));
    }
    until_async("all are applied", async || {
        (bank.solde(&account).await == "3.00").then_some(())
    })
    .await;
    bank.close().await;
}
