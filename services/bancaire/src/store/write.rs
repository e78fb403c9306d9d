//! Stores an outcome: accounts first (the ledger refers to them), then the ledger, then the rest.

use chassis::telemetry::sql;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use tracing::Instrument;

use super::cents;
use super::copy::CopyBuffer;
use crate::domain::outcome::{LedgerRow, NewCompte, Outcome, Verdict};
use crate::domain::{Etat, Record};
use crate::outbox::OutboxRow;

/// Below this many rows one statement with arrays is quicker than a COPY with its two round trips.
const COPY_FROM_ROWS: usize = 500;
/// So many rows of a COPY are sent at once, about 100 kB.
const COPY_PIECE: usize = 500;
/// Those that are written; `created_at` has its default.
pub const LEDGER_COLUMNS: i16 = 13;

/// Stores everything of an outcome except its flows, which [`super::flux::advance`] moves.
pub async fn outcome(
    conn: &mut PgConnection,
    outcome: &Outcome<'_>,
    outbox: &[OutboxRow],
) -> sqlx::Result<()> {
    insert_comptes(conn, &outcome.opened).await?;
    let ledger = insert_ledger(conn, &outcome.ledger);
    ledger
        .instrument(sql("INSERT", "bancaire.transactions"))
        .await?;
    let update = update_comptes(conn, &outcome.updated);
    update.instrument(sql("UPDATE", "bancaire.comptes")).await?;
    delete_parked(conn, &outcome.unparked).await?;
    insert_parked(conn, &outcome.parked).await?;
    if outbox.is_empty() {
        return Ok(());
    }
    insert_outbox(conn, outbox)
        .instrument(sql("INSERT", "bancaire.outbox"))
        .await
}

pub async fn insert_comptes(conn: &mut PgConnection, new: &[NewCompte<'_>]) -> sqlx::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO bancaire.comptes (id, client_id, type_compte, devise, solde, statut, rang)
         SELECT id, client_id, type_compte, devise, cents * 0.01, statut, rang
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[],
                     $7::bigint[]) AS n (id, client_id, type_compte, devise, cents, statut, rang)",
    )
    .bind(new.iter().map(|c| c.id).collect::<Vec<_>>())
    .bind(new.iter().map(|c| c.client_id).collect::<Vec<_>>())
    .bind(new.iter().map(|c| c.type_compte).collect::<Vec<_>>())
    .bind(
        new.iter()
            .map(|c| c.etat.devise.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(new.iter().map(|c| cents(c.etat.solde)).collect::<Vec<_>>())
    .bind(
        new.iter()
            .map(|c| c.etat.statut.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(new.iter().map(|c| c.etat.rang).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// One row per account: a repeated id would silently lose all changes but one.
pub async fn update_comptes(conn: &mut PgConnection, rows: &[(&str, Etat)]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE bancaire.comptes c
         SET solde = u.cents * 0.01, statut = u.statut, rang = u.rang, updated_at = now()
         FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[])
              AS u (id, cents, statut, rang)
         WHERE c.id = u.id",
    )
    .bind(rows.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(
        rows.iter()
            .map(|(_, etat)| cents(etat.solde))
            .collect::<Vec<_>>(),
    )
    .bind(
        rows.iter()
            .map(|(_, etat)| etat.statut.as_str())
            .collect::<Vec<_>>(),
    )
    .bind(rows.iter().map(|(_, etat)| etat.rang).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// A ledger row's columns that its verdict decides: reason, balance after, rank.
fn verdict(row: &LedgerRow<'_>) -> (Option<&'static str>, Option<Decimal>, Option<i64>) {
    match row.verdict {
        Verdict::Accepted { solde_apres, rang } => (None, Some(solde_apres), Some(rang)),
        Verdict::Rejected(motif) => (Some(motif.as_str()), None, None),
    }
}

pub async fn insert_ledger(conn: &mut PgConnection, rows: &[LedgerRow<'_>]) -> sqlx::Result<()> {
    if rows.is_empty() {
        Ok(())
    } else if rows.len() < COPY_FROM_ROWS {
        unnest_ledger(conn, rows).await
    } else {
        copy_ledger(conn, rows).await
    }
}

async fn unnest_ledger(conn: &mut PgConnection, rows: &[LedgerRow<'_>]) -> sqlx::Result<()> {
    let verdicts: Vec<_> = rows.iter().map(verdict).collect();
    sqlx::query(
        "INSERT INTO bancaire.transactions (id, compte_id, type, montant, reference, motif_rejet,
             solde_apres, rang, cause_id, partition, \"offset\", empreinte, evenement_le)
         SELECT id, compte_id, type, cents * 0.01, reference, motif, apres * 0.01, rang, cause,
             partition, \"offset\", empreinte, le
         FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
             $7::bigint[], $8::bigint[], $9::text[], $10::int[], $11::bigint[], $12::bigint[],
             $13::timestamptz[])
             AS n (id, compte_id, type, cents, reference, motif, apres, rang, cause, partition,
                   \"offset\", empreinte, le)",
    )
    .bind(rows.iter().map(|r| r.event_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.compte_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.kind.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| cents(r.montant)).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.reference).collect::<Vec<_>>())
    .bind(verdicts.iter().map(|v| v.0).collect::<Vec<_>>())
    .bind(verdicts.iter().map(|v| v.1.map(cents)).collect::<Vec<_>>())
    .bind(verdicts.iter().map(|v| v.2).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.cause_id).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.origin.partition).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.origin.offset).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.empreinte).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.evenement_le).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Rows of PostgreSQL's COPY format, added to a stream.
pub fn encode_ledger(stream: &mut CopyBuffer, rows: &[LedgerRow<'_>]) {
    for row in rows {
        let (motif, solde_apres, rang) = verdict(row);
        stream
            .row()
            .text(row.event_id)
            .optional_text(row.compte_id)
            .text(row.kind.as_str())
            .money(row.montant)
            .optional_text(row.reference)
            .optional_text(motif)
            .optional_money(solde_apres)
            .optional_int8(rang)
            .optional_text(row.cause_id)
            .int4(row.origin.partition)
            .int8(row.origin.offset)
            .int8(row.empreinte)
            .timestamptz(row.evenement_le);
    }
}

async fn copy_ledger(conn: &mut PgConnection, rows: &[LedgerRow<'_>]) -> sqlx::Result<()> {
    let mut copy = conn
        .copy_in_raw(
            "COPY bancaire.transactions (id, compte_id, type, montant, reference, motif_rejet, \
             solde_apres, rang, cause_id, partition, \"offset\", empreinte, evenement_le) \
             FROM STDIN WITH (FORMAT binary)",
        )
        .await?;
    let mut stream = CopyBuffer::new(LEDGER_COLUMNS, COPY_PIECE);
    // In pieces: PostgreSQL writes one while we encode the next.
    for piece in rows.chunks(COPY_PIECE) {
        encode_ledger(&mut stream, piece);
        copy.send(stream.take()).await?;
    }
    copy.send(stream.finish()).await?;
    copy.finish().await?;
    Ok(())
}

async fn delete_parked(conn: &mut PgConnection, event_ids: &[&str]) -> sqlx::Result<()> {
    if event_ids.is_empty() {
        return Ok(());
    }
    sqlx::query("DELETE FROM bancaire.parques WHERE event_id = ANY($1)")
        .bind(event_ids)
        .execute(conn)
        .await?;
    Ok(())
}

async fn insert_parked(conn: &mut PgConnection, records: &[&Record]) -> sqlx::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let events: Vec<_> = records
        .iter()
        .filter_map(|record| record.event().map(|event| (*record, event)))
        .collect();
    // The identity column numbers the rows as the arrays have them.
    sqlx::query(
        "INSERT INTO bancaire.parques
             (event_id, compte_id, topic, partition, \"offset\", empreinte, cle, valeur)
         SELECT event_id, compte_id, topic, partition, \"offset\", empreinte, cle, valeur
         FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[],
                     $7::bytea[], $8::bytea[]) WITH ORDINALITY
              AS n (event_id, compte_id, topic, partition, \"offset\", empreinte, cle, valeur,
                    place)
         ORDER BY place",
    )
    .bind(events.iter().map(|(_, e)| e.event_id()).collect::<Vec<_>>())
    .bind(events.iter().map(|(_, e)| e.key()).collect::<Vec<_>>())
    .bind(
        events
            .iter()
            .map(|(r, _)| r.origin.topic.topic())
            .collect::<Vec<_>>(),
    )
    .bind(
        events
            .iter()
            .map(|(r, _)| r.origin.partition)
            .collect::<Vec<_>>(),
    )
    .bind(
        events
            .iter()
            .map(|(r, _)| r.origin.offset)
            .collect::<Vec<_>>(),
    )
    .bind(events.iter().map(|(r, _)| r.empreinte).collect::<Vec<_>>())
    .bind(
        events
            .iter()
            .map(|(r, _)| r.key.as_deref())
            .collect::<Vec<_>>(),
    )
    .bind(
        events
            .iter()
            .map(|(r, _)| r.value.as_deref().unwrap_or_default())
            .collect::<Vec<_>>(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn insert_outbox(conn: &mut PgConnection, rows: &[OutboxRow]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO bancaire.outbox (topic, cle, valeur, headers)
         SELECT topic, cle, valeur, headers
         FROM unnest($1::text[], $2::bytea[], $3::bytea[], $4::jsonb[]) WITH ORDINALITY
              AS n (topic, cle, valeur, headers, place)
         ORDER BY place",
    )
    .bind(rows.iter().map(|r| r.topic.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.cle.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.valeur.as_slice()).collect::<Vec<_>>())
    .bind(rows.iter().map(|r| r.headers.clone()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
