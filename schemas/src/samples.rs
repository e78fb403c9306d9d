//! Events for this crate's tests: one of each with plain values, and any that proptest finds.

use std::collections::BTreeMap;

use apache_avro::types::Value;
use chrono::{DateTime, Utc};
use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::amount::{MAX_CENTS, cents};
use crate::*;

pub const EVENT_ID: &str = "0198c5a0-7e1b-7c44-9d1a-3f5b8e2d6a01";

/// The first of March 2026, 12:34:56.789.
pub fn timestamp() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_772_368_496_789).unwrap()
}

pub fn compte_ouvert() -> CompteOuvert {
    CompteOuvert {
        event_id: EVENT_ID.into(),
        timestamp: timestamp(),
        compte_id: "compte-1".into(),
        client_id: "client-1".into(),
        type_compte: TypeCompte::Epargne,
        devise: "EUR".into(),
        solde_initial: Decimal::new(123_456, 2),
        metadata: None,
    }
}

pub fn depot_effectue() -> DepotEffectue {
    DepotEffectue {
        event_id: EVENT_ID.into(),
        timestamp: timestamp(),
        compte_id: "compte-1".into(),
        montant: Decimal::new(25_000, 2),
        devise: "EUR".into(),
        reference: "DEP-2026-000001".into(),
        canal: Canal::Cheque,
        metadata: Some(BTreeMap::from([("agence".into(), "Orléans".into())])),
    }
}

pub fn virement_emis() -> VirementEmis {
    VirementEmis {
        event_id: EVENT_ID.into(),
        timestamp: timestamp(),
        compte_source_id: "compte-1".into(),
        compte_destination_id: "compte-2".into(),
        montant: Decimal::new(99_999, 2),
        devise: "EUR".into(),
        motif: "Loyer de février".into(),
        reference: "VIR-2026-000001".into(),
        statut: StatutVirement::EnCours,
        metadata: Some(BTreeMap::new()),
    }
}

/// One of each type, in the order of [`EventType::ALL`].
pub fn one_of_each() -> [Event; 7] {
    let depot = depot_effectue();
    let virement = virement_emis();
    [
        compte_ouvert().into(),
        CompteFerme {
            event_id: EVENT_ID.into(),
            timestamp: timestamp(),
            compte_id: "compte-1".into(),
            client_id: "client-1".into(),
            motif: "Demande du client".into(),
            metadata: None,
        }
        .into(),
        depot.clone().into(),
        RetraitEffectue {
            event_id: EVENT_ID.into(),
            timestamp: timestamp(),
            compte_id: "compte-1".into(),
            montant: Decimal::new(-1, 2),
            devise: "EUR".into(),
            reference: "RET-2026-000001".into(),
            canal: CanalRetrait::Distributeur,
            metadata: depot.metadata.clone(),
        }
        .into(),
        virement.clone().into(),
        VirementRecu {
            event_id: EVENT_ID.into(),
            timestamp: timestamp(),
            compte_source_id: virement.compte_source_id,
            compte_destination_id: virement.compte_destination_id,
            montant: virement.montant,
            devise: virement.devise,
            motif: virement.motif,
            reference: virement.reference,
            virement_emis_id: Some(virement.event_id),
            metadata: None,
        }
        .into(),
        PaiementPrimeEffectue {
            event_id: EVENT_ID.into(),
            timestamp: timestamp(),
            compte_id: "compte-1".into(),
            montant: Decimal::ZERO,
            devise: "EUR".into(),
            reference: "PRI-2026-000001".into(),
            police_id: "POL-42".into(),
            metadata: depot.metadata,
        }
        .into(),
    ]
}

pub fn encoded(event: &Event) -> Vec<u8> {
    let mut body = Vec::new();
    event.encode(&mut body);
    body
}

/// Any event of any type.
pub fn any_event() -> impl Strategy<Value = Event> {
    (0..EventType::ALL.len()).prop_flat_map(|index| event_of(EventType::ALL[index]))
}

/// The fields are drawn by name and put together through JSON, so that a field which is added to
/// a schema is an error here until it is drawn too.
fn event_of(event_type: EventType) -> impl Strategy<Value = Event> {
    let text = || ".{0,16}";
    (
        proptest::array::uniform10(text()),
        -62_135_596_800_000_i64..253_402_300_800_000,
        -MAX_CENTS..=MAX_CENTS,
        any::<prop::sample::Index>(),
        option::of(text()),
        option::of(btree_map(text(), text(), 0..4)),
    )
        .prop_map(move |(texts, millis, cents, symbol, cause, metadata)| {
            let mut json = serde_json::Map::new();
            let schema: serde_json::Value =
                serde_json::from_str(event_type.schema_json()).expect("JSON");
            for (index, field) in schema["fields"]
                .as_array()
                .expect("fields")
                .iter()
                .enumerate()
            {
                let name = field["name"].as_str().expect("a name");
                let value = match name {
                    "timestamp" => serde_json::json!(DateTime::from_timestamp_millis(millis)),
                    "montant" | "solde_initial" => {
                        Decimal::from_i128_with_scale(cents, 2).to_string().into()
                    }
                    "virement_emis_id" => serde_json::json!(cause),
                    "metadata" => serde_json::json!(metadata),
                    _ => match field["type"]["symbols"].as_array() {
                        Some(symbols) => symbol.get(symbols).clone(),
                        None => texts[index].clone().into(),
                    },
                };
                json.insert(name.to_owned(), value);
            }
            Event::from_json(event_type, json.into()).expect("every field was drawn")
        })
}

/// The event as apache-avro's own encoder takes it.
pub fn to_value(event: &Event) -> Value {
    let event_type = event.event_type();
    let schema = apache_avro::Schema::parse_str(event_type.schema_json()).expect("a schema");
    let apache_avro::Schema::Record(record) = schema else {
        panic!("not a record")
    };
    let json = serde_json::to_value(event).expect("JSON");
    let text = |v: &serde_json::Value| v.as_str().expect("a string").to_owned();
    let optional = |v: Option<Value>| match v {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(v) => Value::Union(1, Box::new(v)),
    };
    let fields = record.fields.iter().map(|field| {
        let json = &json[&field.name];
        let value = match &field.schema {
            apache_avro::Schema::String => Value::String(text(json)),
            apache_avro::Schema::TimestampMillis => {
                Value::TimestampMillis(event.timestamp().timestamp_millis())
            }
            apache_avro::Schema::Decimal(_) => {
                let cents = cents(text(json).parse().expect("an amount"));
                Value::Decimal(shortest(i64::try_from(cents).expect("18 digits")).into())
            }
            apache_avro::Schema::Enum(symbols) => {
                let index = symbols.symbols.iter().position(|s| *s == text(json));
                Value::Enum(index.expect("a symbol") as u32, text(json))
            }
            apache_avro::Schema::Union(_) if field.name == "metadata" => {
                let entries = json.as_object().map(|map| {
                    map.iter()
                        .map(|(k, v)| (k.clone(), Value::String(text(v))))
                        .collect()
                });
                optional(entries.map(Value::Map))
            }
            apache_avro::Schema::Union(_) => {
                optional(json.as_str().map(|s| Value::String(s.to_owned())))
            }
            other => panic!("{}: {other}", field.name),
        };
        (field.name.clone(), value)
    });
    Value::Record(fields.collect())
}

/// The shortest two's complement, found the simple way.
fn shortest(value: i64) -> Vec<u8> {
    let mut bytes = value.to_be_bytes().to_vec();
    while bytes.len() > 1 && matches!((bytes[0], bytes[1] >> 7), (0, 0) | (0xff, 1)) {
        bytes.remove(0);
    }
    bytes
}
