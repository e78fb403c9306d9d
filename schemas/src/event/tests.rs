use apache_avro::Schema;
use proptest::prelude::*;

use super::*;
use crate::samples::{self, any_event, encoded, one_of_each};

fn their_schema(event_type: EventType) -> Schema {
    Schema::parse_str(event_type.schema_json()).expect("a valid schema")
}

/// Encodes and decodes with this crate and with apache-avro, crosswise.
fn round_trip(event: &Event) {
    let event_type = event.event_type();
    let schema = their_schema(event_type);
    let ours = encoded(event);
    assert_eq!(
        Event::decode(event_type, &ours).as_ref(),
        Ok(event),
        "ours to ours"
    );
    let value = samples::to_value(event);
    let read = apache_avro::from_avro_datum(&schema, &mut ours.as_slice(), None);
    assert_eq!(read.expect("readable"), value, "ours to theirs");
    let theirs = apache_avro::to_avro_datum(&schema, value).expect("writable");
    assert_eq!(
        Event::decode(event_type, &theirs).as_ref(),
        Ok(event),
        "theirs to ours"
    );
    // Their map has no order, so that only a short one has the same bytes every time.
    if event.metadata().is_none_or(|map| map.len() < 2) {
        assert_eq!(theirs, ours);
    }
}

/// Plan: TestCompteOuvert_Serialization_Avro
#[test]
fn compte_ouvert_serialization_avro() {
    let mut body = Vec::new();
    samples::compte_ouvert().encode(&mut body);
    let mut want = vec![72];
    want.extend_from_slice(samples::EVENT_ID.as_bytes());
    want.extend_from_slice(&[0xaa, 0xa2, 0xa8, 0x96, 0x95, 0x67]); // 1 772 368 496 789 ms
    want.extend_from_slice(b"\x10compte-1\x10client-1");
    want.push(2); // EPARGNE, the symbol of index 1
    want.extend_from_slice(b"\x06EUR");
    want.extend_from_slice(&[6, 0x01, 0xe2, 0x40]); // 1 234.56: 123 456 cents in three bytes
    want.push(0); // no metadata
    assert_eq!(body, want);
    round_trip(&samples::compte_ouvert().into());
}

/// Plan: TestCompteOuvert_Deserialization_Avro
#[test]
fn compte_ouvert_deserialization_avro() {
    let value = samples::to_value(&samples::compte_ouvert().into());
    let body = apache_avro::to_avro_datum(&their_schema(EventType::CompteOuvert), value).unwrap();
    let read = CompteOuvert::decode(&body).unwrap();
    assert_eq!(read.event_id, samples::EVENT_ID);
    assert_eq!(read.timestamp.to_rfc3339(), "2026-03-01T12:34:56.789+00:00");
    assert_eq!(read.compte_id, "compte-1");
    assert_eq!(read.client_id, "client-1");
    assert_eq!(read.type_compte, TypeCompte::Epargne);
    assert_eq!(read.devise, "EUR");
    assert_eq!(read.solde_initial.to_string(), "1234.56");
    assert_eq!(read.metadata, None);
}

/// Plan: TestDepotEffectue_RoundTrip
#[test]
fn depot_effectue_round_trip() {
    for canal in Canal::ALL {
        let depot = DepotEffectue {
            canal,
            ..samples::depot_effectue()
        };
        assert_eq!(Canal::from_symbol(canal.as_str()), Some(canal));
        round_trip(&depot.into());
    }
}

/// Plan: TestVirementEmis_RoundTrip
#[test]
fn virement_emis_round_trip() {
    for statut in StatutVirement::ALL {
        let virement = VirementEmis {
            statut,
            ..samples::virement_emis()
        };
        round_trip(&virement.into());
    }
}

#[test]
fn each_of_the_seven_round_trips() {
    for (event, event_type) in one_of_each().iter().zip(EventType::ALL) {
        assert_eq!(event.event_type(), event_type);
        round_trip(event);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_event_round_trips(event in any_event()) {
        round_trip(&event);
        prop_assert_eq!(event.check(), Ok(()));
        let json = serde_json::to_value(&event).unwrap();
        let read = Event::from_json(event.event_type(), json).unwrap();
        prop_assert_eq!(read, event);
    }
}

#[test]
fn the_catalogue_is_complete() {
    for (index, event_type) in EventType::ALL.into_iter().enumerate() {
        assert_eq!(event_type.index(), index);
        assert_eq!(EventType::from_topic(event_type.topic()), Some(event_type));
        assert_eq!(EventType::from_name(event_type.name()), Some(event_type));
        assert_eq!(
            event_type.subject(),
            format!("{}-value", event_type.topic())
        );
        let Schema::Record(record) = their_schema(event_type) else {
            panic!("not a record")
        };
        assert_eq!(record.name.fullname(None), event_type.full_name());
        assert_eq!(record.name.name, event_type.name());
        assert_eq!(
            event_type.full_name(),
            format!("com.edalab.bancaire.events.{event_type}")
        );
    }
    assert_eq!(EventType::from_topic(crate::DLQ_TOPIC), None);
    assert_eq!(EventType::from_name("depotEffectue"), None);
}

#[test]
fn the_key_is_the_account_concerned() {
    let keys = one_of_each().map(|event| event.key().to_owned());
    // A received transfer concerns the account that it arrives at, the fifth one its source.
    assert_eq!(
        keys,
        [
            "compte-1", "compte-1", "compte-1", "compte-1", "compte-1", "compte-2", "compte-1"
        ]
    );
}

#[test]
fn json_has_plain_fields_and_amounts_as_strings() {
    let json = serde_json::to_value(Event::from(samples::depot_effectue())).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "event_id": samples::EVENT_ID,
            "timestamp": "2026-03-01T12:34:56.789Z",
            "compte_id": "compte-1",
            "montant": "250.00",
            "devise": "EUR",
            "reference": "DEP-2026-000001",
            "canal": "CHEQUE",
            "metadata": { "agence": "Orléans" }
        })
    );
    assert_eq!(
        serde_json::to_value(EventType::VirementEmis).unwrap(),
        "VirementEmis"
    );
}

#[test]
fn an_amount_of_three_decimals_is_refused_in_json_and_by_check() {
    let mut depot = samples::depot_effectue();
    let mut json = serde_json::to_value(&depot).unwrap();
    json["montant"] = "1.005".into();
    let error = Event::from_json(EventType::DepotEffectue, json).unwrap_err();
    assert!(
        error.to_string().contains("1.005 has more than 2 decimals"),
        "{error}"
    );
    depot.montant = Decimal::new(1005, 3);
    let error = Event::from(depot.clone()).check().unwrap_err();
    assert_eq!(error.to_string(), "montant: 1.005 has more than 2 decimals");
    // Unchecked, it is rounded on the wire; what is too large is refused by the reader.
    let read = Event::decode(EventType::DepotEffectue, &encoded(&depot.clone().into())).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap()["montant"], "1.01");
    depot.montant = Decimal::MAX;
    assert!(depot.check().is_err());
    let read = Event::decode(EventType::DepotEffectue, &encoded(&depot.into()));
    assert_eq!(read, Err(DecodeError::AmountRange { field: "montant" }));
}
