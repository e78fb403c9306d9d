//! What the sink writes and the API reads, against PostgreSQL alone.

use bancaire::domain::outcome::{LedgerRow, NewCompte};
use bancaire::domain::{Devise, Etat, Origin, TypeTransaction, Verdict};
use bancaire::repository::{get_by_client_id, get_by_id, get_transactions};
use bancaire::store::{MIGRATIONS, write};
use chassis::postgres;
use chrono::{SubsecRound, Utc};
use rust_decimal::Decimal;
use schemas::EventType;
use sqlx::PgPool;
use tests::events::id;

use super::log::lab;

async fn database() -> PgPool {
    let lab = lab().await;
    let config = lab.fresh_database("repository").await;
    let pool = postgres::connect(&config).expect("it is valid");
    postgres::migrate(&pool, bancaire::SERVICE, MIGRATIONS)
        .await
        .expect("it migrates");
    pool
}

fn money(text: &str) -> Decimal {
    text.parse().expect("an amount")
}

fn etat(solde: &str) -> Etat {
    Etat::ouvert(money(solde), Devise::parse("EUR").expect("a currency"))
}

fn compte<'a>(id: &'a str, client_id: &'a str, solde: &str) -> NewCompte<'a> {
    NewCompte {
        id,
        client_id,
        type_compte: "COURANT",
        etat: etat(solde),
    }
}

async fn create(pool: &PgPool, comptes: &[NewCompte<'_>]) -> sqlx::Result<()> {
    postgres::with_transaction(pool, async |tx| write::insert_comptes(tx, comptes).await).await
}

fn depot<'a>(event_id: &'a str, compte_id: &'a str, rang: i64) -> LedgerRow<'a> {
    LedgerRow {
        event_id,
        compte_id: Some(compte_id),
        kind: TypeTransaction::Depot,
        montant: money("1.25"),
        reference: Some("REF123"),
        verdict: Verdict::Accepted {
            solde_apres: Decimal::new(125, 2) * Decimal::from(rang),
            rang,
        },
        cause_id: None,
        origin: Origin {
            topic: EventType::DepotEffectue,
            partition: 2,
            offset: 1000 + rang,
        },
        empreinte: -7,
        evenement_le: Utc::now().trunc_subsecs(3),
    }
}

async fn add(pool: &PgPool, rows: &[LedgerRow<'_>]) -> sqlx::Result<()> {
    postgres::with_transaction(pool, async |tx| write::insert_ledger(tx, rows).await).await
}

/// Plan: TestCreate_Success
#[tokio::test]
async fn create_success() {
    let pool = database().await;
    let (account, client) = (id(), id());
    create(&pool, &[compte(&account, &client, "1234.56")])
        .await
        .expect("it is stored");
    let stored = get_by_id(&pool, &account)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!((stored.id, stored.client_id), (account, client));
    assert_eq!(
        (stored.type_compte.as_str(), stored.devise.as_str()),
        ("COURANT", "EUR")
    );
    assert_eq!(stored.solde.to_string(), "1234.56");
    assert_eq!((stored.statut.as_str(), stored.rang), ("ACTIF", 1));
    assert_eq!(stored.created_at, stored.updated_at);
    pool.close().await;
}

/// Plan: TestCreate_DuplicateID
#[tokio::test]
async fn create_duplicate_id() {
    let pool = database().await;
    let (account, client, other) = (id(), id(), id());
    create(&pool, &[compte(&account, &client, "10.00")])
        .await
        .expect("it is stored");
    let again = [
        compte(&other, &client, "1.00"),
        compte(&account, &client, "20.00"),
    ];
    let error = create(&pool, &again).await.expect_err("the id is taken");
    assert!(postgres::is_unique_violation(&error), "{error:?}");
    // All or nothing, and the first one stays what it was.
    assert_eq!(get_by_id(&pool, &other).await.unwrap(), None);
    let stored = get_by_id(&pool, &account).await.unwrap().unwrap();
    assert_eq!(stored.solde.to_string(), "10.00");
    pool.close().await;
}

/// Plan: TestGetByID_Found
#[tokio::test]
async fn get_by_id_found() {
    let pool = database().await;
    let (account, other, client) = (id(), id(), id());
    let comptes = [
        compte(&account, &client, "0.00"),
        compte(&other, &client, "5.00"),
    ];
    create(&pool, &comptes).await.expect("they are stored");
    let stored = get_by_id(&pool, &account)
        .await
        .unwrap()
        .expect("it is there");
    assert_eq!(stored.id, account);
    // Zero has its decimal places, too.
    assert_eq!(stored.solde.to_string(), "0.00");
    let both = get_by_client_id(&pool, &client).await.unwrap();
    assert_eq!(both.len(), 2);
    assert!(both.contains(&stored));
    pool.close().await;
}

/// Plan: TestGetByID_NotFound
#[tokio::test]
async fn get_by_id_not_found() {
    let pool = database().await;
    assert_eq!(get_by_id(&pool, &id()).await.unwrap(), None);
    assert_eq!(get_by_client_id(&pool, &id()).await.unwrap(), []);
    pool.close().await;
}

/// A batch brings an account to its state at the batch's end, with one row per account.
///
/// Plan: TestUpdateSolde_Success
#[tokio::test]
async fn update_solde_success() {
    let pool = database().await;
    let (account, other, client) = (id(), id(), id());
    let comptes = [
        compte(&account, &client, "10.00"),
        compte(&other, &client, "5.00"),
    ];
    create(&pool, &comptes).await.expect("they are stored");
    let next = Etat {
        rang: 3,
        ..etat("9999999999999999.99")
    };
    postgres::with_transaction(&pool, async |tx| {
        write::update_comptes(tx, &[(&account, next)]).await
    })
    .await
    .expect("it is stored");
    let stored = get_by_id(&pool, &account).await.unwrap().unwrap();
    assert_eq!(stored.solde.to_string(), "9999999999999999.99");
    assert_eq!(stored.rang, 3);
    assert!(stored.updated_at > stored.created_at);
    let untouched = get_by_id(&pool, &other).await.unwrap().unwrap();
    assert_eq!(
        (untouched.solde.to_string().as_str(), untouched.rang),
        ("5.00", 1)
    );
    pool.close().await;
}

/// A few rows go in by one statement, many by COPY: both store the same.
///
/// Plan: TestAddTransaction_Success
#[tokio::test]
async fn add_transaction_success() {
    let pool = database().await;
    let (few, many, client) = (id(), id(), id());
    let comptes = [
        compte(&few, &client, "0.00"),
        compte(&many, &client, "0.00"),
    ];
    create(&pool, &comptes).await.expect("they are stored");
    let ids: Vec<String> = (0..601).map(|_| id()).collect();
    let first = depot(&ids[0], &few, 1);
    add(&pool, &[first]).await.expect("it is stored");
    let rows: Vec<LedgerRow<'_>> = ids[1..]
        .iter()
        .zip(1..)
        .map(|(id, n)| depot(id, &many, n))
        .collect();
    add(&pool, &rows).await.expect("they are stored");

    let of_few = get_transactions(&pool, &few, 10).await.unwrap();
    assert_eq!(of_few.len(), 1);
    let of_many = get_transactions(&pool, &many, 1000).await.unwrap();
    assert_eq!(of_many.len(), 600);
    for (stored, row) in [
        (&of_few[0], first),
        (&of_many[599], rows[0]),
        (&of_many[0], rows[599]),
    ] {
        assert_eq!(stored.id, row.event_id);
        assert_eq!(
            (stored.kind.as_str(), stored.montant.to_string().as_str()),
            ("DEPOT", "1.25")
        );
        assert_eq!(stored.reference.as_deref(), Some("REF123"));
        let Verdict::Accepted { solde_apres, rang } = row.verdict else {
            unreachable!()
        };
        assert_eq!(
            (stored.solde_apres, stored.rang),
            (Some(solde_apres), Some(rang))
        );
        assert_eq!((stored.partition, stored.offset), (2, 1000 + rang));
        assert_eq!(stored.evenement_le, row.evenement_le);
        assert_eq!((&stored.motif_rejet, &stored.cause_id), (&None, &None));
    }
    // The same event again is refused as a whole, by both ways.
    for rows in [&rows[..1], &rows[..]] {
        let error = add(&pool, rows)
            .await
            .expect_err("the event is stored already");
        assert!(postgres::is_unique_violation(&error), "{error:?}");
    }
    pool.close().await;
}

/// Plan: TestAddTransaction_CompteNotFound
#[tokio::test]
async fn add_transaction_compte_not_found() {
    let pool = database().await;
    let (event, unknown) = (id(), id());
    let error = add(&pool, &[depot(&event, &unknown, 1)])
        .await
        .expect_err("no such account");
    let sqlx::Error::Database(error) = error else {
        panic!("{error:?}")
    };
    assert!(error.is_foreign_key_violation(), "{error:?}");
    assert_eq!(get_transactions(&pool, &unknown, 10).await.unwrap(), []);
    pool.close().await;
}

/// What a foreign key would do: of thousands of rows one with an unknown account is refused, an
/// account of the ledger stays, and one that rows are being added for cannot go meanwhile.
#[tokio::test]
async fn the_ledger_refers_to_accounts_that_exist() {
    let pool = database().await;
    let (account, unused, unknown, client) = (id(), id(), id(), id());
    let comptes = [
        compte(&account, &client, "0.00"),
        compte(&unused, &client, "0.00"),
    ];
    create(&pool, &comptes).await.expect("they are stored");
    let is_refused = |outcome: sqlx::Result<()>| {
        let Err(sqlx::Error::Database(error)) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(error.is_foreign_key_violation(), "{error:?}");
    };
    // Enough for a COPY.
    let ids: Vec<String> = (0..1000).map(|_| id()).collect();
    let mut rows: Vec<LedgerRow<'_>> = ids
        .iter()
        .zip(1..)
        .map(|(event, rang)| depot(event, &account, rang))
        .collect();
    rows[500].compte_id = Some(&unknown);
    is_refused(add(&pool, &rows).await);
    rows[500].compte_id = Some(&account);
    add(&pool, &rows).await.expect("they are stored");
    let run = async |sql: &'static str, bind: &str| {
        let done = sqlx::query(sql).bind(bind.to_owned()).execute(&pool).await;
        done.map(drop)
    };
    let delete = "DELETE FROM bancaire.comptes WHERE id = $1";
    is_refused(run(delete, &account).await);
    is_refused(
        run(
            "UPDATE bancaire.comptes SET id = 'x' WHERE id = $1",
            &account,
        )
        .await,
    );
    let sql = "UPDATE bancaire.transactions SET compte_id = 'x' WHERE id = $1";
    is_refused(run(sql, &ids[0]).await);
    let truncated = sqlx::query("TRUNCATE bancaire.comptes")
        .execute(&pool)
        .await;
    is_refused(truncated.map(drop));

    let event = id();
    let mut adding = pool.begin().await.expect("it begins");
    write::insert_ledger(&mut adding, &[depot(&event, &unused, 1)])
        .await
        .expect("the account is there");
    let (removed, committed) = tokio::join!(run(delete, &unused), async {
        // Until the other one waits for our lock.
        tests::until_async("the removal waits", async || {
            let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
                       AND datname = current_database()";
            let waiting: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.ok()?;
            (waiting > 0).then_some(())
        })
        .await;
        adding.commit().await
    });
    committed.expect("it is stored");
    is_refused(removed);
    pool.close().await;
}

/// Plan: TestGetTransactions_WithLimit
#[tokio::test]
async fn get_transactions_with_limit() {
    let pool = database().await;
    let (account, client) = (id(), id());
    create(&pool, &[compte(&account, &client, "0.00")])
        .await
        .expect("it is stored");
    let ids: Vec<String> = (0..25).map(|_| id()).collect();
    let rows: Vec<LedgerRow<'_>> = ids
        .iter()
        .zip(1..)
        .map(|(id, n)| depot(id, &account, n))
        .collect();
    // In two transactions: the newer one's rows come first, and within one the newest.
    add(&pool, &rows[..20]).await.expect("they are stored");
    add(&pool, &rows[20..]).await.expect("they are stored");
    for (limit, expected) in [(10, 10), (25, 25), (1000, 25)] {
        let newest = get_transactions(&pool, &account, limit).await.unwrap();
        let got: Vec<&str> = newest.iter().map(|t| t.id.as_str()).collect();
        let want: Vec<&str> = ids
            .iter()
            .rev()
            .take(expected)
            .map(String::as_str)
            .collect();
        assert_eq!(got, want, "limit {limit}");
    }
    pool.close().await;
}
