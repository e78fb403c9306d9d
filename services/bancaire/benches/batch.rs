//! What one deposit costs on its way: encoding, decoding, collecting it into a batch of 10,000 on
//! 1,000 accounts, folding that, and writing it in PostgreSQL's COPY format.
//!
//! `cargo bench -p bancaire`

mod deposits;

use std::hint::black_box;

use bancaire::domain::{Input, Known, fold};
use bancaire::store::copy::CopyBuffer;
use bancaire::store::write::{LEDGER_COLUMNS, encode_ledger};
use load::bench::bench;
use schemas::evolution::WriterSchema;
use schemas::{EventType, wire};

const EVENTS: usize = 10_000;
const ACCOUNTS: usize = 1_000;

fn main() {
    let depot = EventType::DepotEffectue;
    let deposits = deposits::deposits(EVENTS, ACCOUNTS);
    let (event, value) = &deposits[0];
    let (_, body) = wire::parse(value).expect("it was framed");
    let current = WriterSchema::new(depot.schema_json()).expect("our own schema");
    // What a writer published that does not know the last, optional field: read by resolution.
    let (older, older_body) = (without_metadata(), &body[..body.len() - 1]);
    older.decode(depot, older_body).expect("it is compatible");

    bench("encode", 1, || wire::frame(1, black_box(event)));
    bench("decode", 1, || current.decode(depot, black_box(body)));
    bench("decode of an older schema", 1, || {
        older.decode(depot, black_box(older_body))
    });

    let batch = deposits::batch(&deposits);
    let comptes = deposits::comptes(ACCOUNTS);
    let known = Known::default();
    let input = Input {
        records: &batch.records,
        spans: &batch.spans,
        comptes: &comptes,
        parked: &[],
        known: &known,
    };
    let outcome = fold(&input);
    bench("collect into a batch", EVENTS, || {
        deposits::batch(black_box(&deposits))
    });
    bench("fold", EVENTS, || fold(black_box(&input)));
    bench("encode for COPY", EVENTS, || {
        let mut stream = CopyBuffer::new(LEDGER_COLUMNS, EVENTS);
        encode_ledger(&mut stream, black_box(&outcome.ledger));
        stream.finish()
    });
}

fn without_metadata() -> WriterSchema {
    let mut schema: serde_json::Value =
        serde_json::from_str(EventType::DepotEffectue.schema_json()).expect("our own schema");
    let fields = schema["fields"].as_array_mut().expect("a record's fields");
    let last = fields.pop().expect("it has fields");
    assert_eq!(last["name"], "metadata");
    WriterSchema::new(&schema.to_string()).expect("still a schema")
}
