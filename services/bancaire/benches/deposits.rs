//! A batch of deposits as the consumer makes it, for measurements.

use bancaire::consumer::batch::BatchBuilder;
use bancaire::domain::record::Content;
use bancaire::domain::{Batch, Devise, Etat, Origin};
use rust_decimal::Decimal;
use schemas::{Canal, DepotEffectue, Event, EventType, wire};

/// Deposits on accounts, each with its record's value.
pub fn deposits(count: usize, accounts: usize) -> Vec<(Event, Vec<u8>)> {
    (0..count)
        .map(|i| {
            let event = Event::DepotEffectue(DepotEffectue {
                event_id: format!("0198c5a0-7e1b-7c44-9d1a-{i:012x}"),
                timestamp: chrono::DateTime::from_timestamp_millis(1_772_368_496_789 + i as i64)
                    .expect("a moment"),
                compte_id: account(i * 7919 % accounts),
                montant: Decimal::new(i as i64 % 100_000 + 1, 2),
                devise: "EUR".into(),
                reference: format!("DEP-{i:08}"),
                canal: Canal::Virement,
                metadata: None,
            });
            let value = wire::frame(1, &event);
            (event, value)
        })
        .collect()
}

fn account(number: usize) -> String {
    format!("5f0c7a52-6a0e-4a53-8f0e-{number:012x}")
}

/// The accounts' states before the batch.
pub fn comptes(accounts: usize) -> Vec<(String, Etat)> {
    let devise = Devise::parse("EUR").expect("a currency");
    (0..accounts)
        .map(|i| (account(i), Etat::ouvert(Decimal::new(10_000, 2), devise)))
        .collect()
}

/// What the consumer hands to the writer.
pub fn batch(deposits: &[(Event, Vec<u8>)]) -> Batch {
    let mut builder = BatchBuilder::new(deposits.len());
    for ((event, value), offset) in deposits.iter().zip(0..) {
        let origin = Origin {
            topic: EventType::DepotEffectue,
            partition: 0,
            offset,
        };
        let key = event.key().as_bytes().to_vec();
        let content = Content::Event(event.clone());
        builder.push(origin, offset, content, Some(&key), Some(value));
    }
    builder.take(1)
}
