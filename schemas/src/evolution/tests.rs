use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::samples::{self, any_event, encoded, one_of_each};
use crate::wire;

const DEPOT: EventType = EventType::DepotEffectue;

/// The schema of a deposit, changed.
fn changed(change: impl FnOnce(&mut Vec<Json>)) -> WriterSchema {
    WriterSchema::new(&changed_json(change)).expect("a valid schema")
}

fn changed_json(change: impl FnOnce(&mut Vec<Json>)) -> String {
    let mut schema: Json = serde_json::from_str(DEPOT.schema_json()).unwrap();
    change(schema["fields"].as_array_mut().unwrap());
    schema.to_string()
}

fn field<'a>(fields: &'a mut [Json], name: &str) -> &'a mut Json {
    fields
        .iter_mut()
        .find(|field| field["name"] == name)
        .expect("a field of this name")
}

/// The body that a writer with this schema writes, with more or other values than ours.
fn written(schema: &WriterSchema, change: impl FnOnce(&mut Vec<(String, Value)>)) -> Vec<u8> {
    let Value::Record(mut fields) = samples::to_value(&samples::depot_effectue().into()) else {
        unreachable!("an event is a record");
    };
    change(&mut fields);
    apache_avro::to_avro_datum(&schema.schema, Value::Record(fields)).expect("writable")
}

fn refused(schema: &WriterSchema, body: &[u8]) -> String {
    schema
        .decode(DEPOT, body)
        .expect_err("not an event")
        .to_string()
}

#[test]
fn our_own_schema_is_read_directly() {
    for event in one_of_each() {
        let event_type = event.event_type();
        let schema = WriterSchema::new(event_type.schema_json()).unwrap();
        for other in EventType::ALL {
            assert_eq!(schema.is_current(other), other == event_type);
        }
        assert_eq!(schema.full_name(), Some(event_type.full_name()));
        let value = wire::frame(7, &event);
        let (_, body) = wire::parse(&value).unwrap();
        assert_eq!(schema.decode(event_type, body), Ok(event));
    }
}

#[test]
fn docs_and_defaults_do_not_make_another_schema() {
    let schema = changed(|fields| {
        field(fields, "reference")["doc"] = "Autre".into();
        field(fields, "devise")
            .as_object_mut()
            .unwrap()
            .remove("default");
    });
    assert!(schema.is_current(DEPOT));
}

#[test]
fn a_field_that_we_do_not_know_is_dropped() {
    let agence = json!({"name": "agence", "type": "string", "default": "?"});
    let schema = changed(|fields| fields.insert(3, agence));
    assert!(!schema.is_current(DEPOT));
    let body = written(&schema, |fields| {
        fields.insert(3, ("agence".into(), Value::String("Tours".into())));
    });
    assert_eq!(
        schema.decode(DEPOT, &body),
        Ok(samples::depot_effectue().into())
    );
}

#[test]
fn a_field_that_the_writer_did_not_know_gets_its_default() {
    let schema = changed(|fields| {
        fields.retain(|field| field["name"] != "devise" && field["name"] != "metadata");
    });
    let body = written(&schema, |fields| {
        fields.retain(|(name, _)| name != "devise" && name != "metadata");
    });
    let want = crate::DepotEffectue {
        metadata: None,
        ..samples::depot_effectue()
    };
    assert_eq!(schema.decode(DEPOT, &body), Ok(want.into()));
}

#[test]
fn fields_in_another_order_are_found_by_name() {
    let schema = changed(|fields| fields.reverse());
    assert!(!schema.is_current(DEPOT));
    let body = written(&schema, |fields| fields.reverse());
    assert_eq!(
        schema.decode(DEPOT, &body),
        Ok(samples::depot_effectue().into())
    );
}

#[test]
fn a_field_without_default_that_is_missing_is_refused() {
    let schema = changed(|fields| fields.retain(|field| field["name"] != "reference"));
    let body = written(&schema, |fields| {
        fields.retain(|(name, _)| name != "reference")
    });
    assert!(refused(&schema, &body).contains("reference"));
}

#[test]
fn a_renamed_field_is_not_the_same_schema() {
    // Both are strings, so that the bytes would fit.
    let schema = changed(|fields| field(fields, "devise")["name"] = "monnaie".into());
    assert!(!schema.is_current(DEPOT));
    let body = written(&schema, |fields| fields[4].0 = "monnaie".into());
    let mut want = samples::depot_effectue();
    want.devise = "EUR".into(); // the default, not what the writer said of something else
    assert_eq!(schema.decode(DEPOT, &body), Ok(want.into()));
}

#[test]
fn an_amount_of_another_scale_is_refused() {
    let schema = changed(|fields| field(fields, "montant")["type"]["scale"] = 4.into());
    assert!(!schema.is_current(DEPOT));
    let body = written(&schema, |_| ());
    assert!(refused(&schema, &body).contains("montant: not a decimal of scale 2"));
    let schema = changed(|fields| field(fields, "montant")["type"] = "bytes".into());
    let body = written(&schema, |fields| fields[3].1 = Value::Bytes(vec![1]));
    assert!(refused(&schema, &body).contains("montant: not a decimal of scale 2"));
}

#[test]
fn a_larger_precision_is_read_as_far_as_the_value_fits() {
    let schema = changed(|fields| field(fields, "montant")["type"]["precision"] = 30.into());
    assert!(!schema.is_current(DEPOT));
    let amount = |bytes: &[u8]| Value::Decimal(bytes.to_vec().into());
    let body = written(&schema, |fields| fields[3].1 = amount(&[0xff]));
    let read = schema.decode(DEPOT, &body).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap()["montant"], "-0.01");
    let body = written(&schema, |fields| fields[3].1 = amount(&[1; 12]));
    assert!(refused(&schema, &body).contains("montant"));
}

#[test]
fn a_time_of_another_unit_is_refused() {
    let schema = changed(|fields| {
        field(fields, "timestamp")["type"]["logicalType"] = "timestamp-micros".into();
    });
    assert!(!schema.is_current(DEPOT));
    let body = written(&schema, |fields| fields[1].1 = Value::TimestampMicros(1));
    refused(&schema, &body);
}

#[test]
fn a_symbol_that_we_do_not_know_is_refused() {
    let schema = changed(|fields| {
        field(fields, "canal")["type"]["symbols"] = json!(["MOBILE", "CARTE", "CHEQUE"]);
    });
    // A known symbol with another number is found by its name.
    let body = written(&schema, |fields| {
        fields[6].1 = Value::Enum(2, "CHEQUE".into())
    });
    assert_eq!(
        schema.decode(DEPOT, &body),
        Ok(samples::depot_effectue().into())
    );
    let body = written(&schema, |fields| {
        fields[6].1 = Value::Enum(0, "MOBILE".into())
    });
    assert!(refused(&schema, &body).contains("MOBILE"));
}

#[test]
fn another_events_schema_is_refused() {
    let body = encoded(&samples::virement_emis().into());
    let schema = WriterSchema::new(EventType::VirementEmis.schema_json()).unwrap();
    let error = schema.decode(DEPOT, &body).unwrap_err();
    assert!(matches!(error, DecodeError::WrongSchema { .. }), "{error}");
    let schema = WriterSchema::new("\"string\"").unwrap();
    assert_eq!(schema.full_name(), None);
    assert!(refused(&schema, b"\x02a").contains("not a record"));
    let unnamed = changed_json(|_| ()).replace("com.edalab.bancaire.events", "com.example");
    let schema = WriterSchema::new(&unnamed).unwrap();
    assert!(refused(&schema, &body).contains("com.example.DepotEffectue"));
}

#[test]
fn what_is_not_a_schema_is_an_error() {
    for text in [
        "",
        "{",
        "{}",
        "\"texte\"",
        r#"{"type": "record", "name": "A"}"#,
    ] {
        let error = WriterSchema::new(text).unwrap_err();
        assert!(
            error.to_string().starts_with("not an Avro schema: "),
            "{error}"
        );
    }
}

/// A deposit's schema with a field of this type in front, and a body that starts with `start`.
fn hostile(extra: Json, start: &[u8]) -> String {
    let schema = changed(|fields| fields.insert(0, json!({"name": "extra", "type": extra})));
    let body = [start, &encoded(&samples::depot_effectue().into())].concat();
    refused(&schema, &body)
}

fn long(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    crate::avro::put_long(&mut out, value);
    out
}

#[test]
fn huge_lengths_are_refused_before_apache_avro_sees_them() {
    for extra in [
        json!("bytes"),
        json!("string"),
        json!({"type": "map", "values": "long"}),
        json!({"type": "fixed", "name": "Bloc", "size": 1_u64 << 40}),
    ] {
        let error = hostile(extra, &long(1 << 40));
        assert!(error.contains("too early"), "{error}");
    }
    // An item may take no byte at all, so that the body's length does not bound their number.
    for count in [1 << 40, i64::MIN] {
        let start = [long(count), long(0)].concat();
        let error = hostile(json!({"type": "array", "items": "null"}), &start);
        assert!(error.contains("more than 16384 items"), "{error}");
    }
}

#[test]
fn endless_nesting_is_refused() {
    let list = json!({"type": "record", "name": "Liste", "fields": [
        {"name": "suite", "type": ["null", "Liste"]}
    ]});
    let error = hostile(list, &[2; 100_000]);
    assert!(error.contains("nested deeper than 32 levels"), "{error}");
}

#[test]
fn every_type_that_avro_has_can_be_passed_over() {
    let extra = json!({"type": "record", "name": "Extra", "fields": [
        {"name": "a", "type": "boolean"},
        {"name": "b", "type": "int"},
        {"name": "c", "type": "float"},
        {"name": "d", "type": "double"},
        {"name": "e", "type": "bytes"},
        {"name": "f", "type": {"type": "fixed", "name": "Deux", "size": 2}},
        {"name": "g", "type": {"type": "array", "items": "Deux"}},
        {"name": "h", "type": {"type": "map", "values": ["null", "string"]}},
        {"name": "i", "type": {"type": "enum", "name": "Couleur", "symbols": ["R", "V"]}},
        {"name": "j", "type": {"type": "int", "logicalType": "date"}},
        {"name": "k", "type": {"type": "string", "logicalType": "uuid"}}
    ]});
    let schema = changed(|fields| fields.insert(0, json!({"name": "extra", "type": extra})));
    let deux = || Value::Fixed(2, vec![1, 2]);
    let text = Value::Union(1, Box::new(Value::String("x".into())));
    let values = [
        ("a", Value::Boolean(true)),
        ("b", Value::Int(-7)),
        ("c", Value::Float(1.5)),
        ("d", Value::Double(2.5)),
        ("e", Value::Bytes(vec![9; 3])),
        ("f", deux()),
        ("g", Value::Array(vec![deux(), deux()])),
        ("h", Value::Map(HashMap::from([("k".into(), text)]))),
        ("i", Value::Enum(1, "V".into())),
        ("j", Value::Date(20_000)),
        ("k", Value::Uuid(uuid::Uuid::nil())),
    ];
    let extra = Value::Record(values.map(|(name, value)| (name.to_owned(), value)).into());
    let body = written(&schema, |fields| fields.insert(0, ("extra".into(), extra)));
    assert_eq!(
        schema.decode(DEPOT, &body),
        Ok(samples::depot_effectue().into())
    );
    for length in 0..body.len() {
        assert!(
            schema.decode(DEPOT, &body[..length]).is_err(),
            "cut at {length}"
        );
    }
}

/// A writer of each type with one more field at the end.
fn newer(event_type: EventType) -> WriterSchema {
    let mut schema: Json = serde_json::from_str(event_type.schema_json()).unwrap();
    let version = json!({"name": "version", "type": "int", "default": 2});
    schema["fields"].as_array_mut().unwrap().push(version);
    WriterSchema::new(&schema.to_string()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_event_of_a_newer_writer_is_read(event in any_event()) {
        let body = [encoded(&event), long(2)].concat();
        let event_type = event.event_type();
        prop_assert_eq!(newer(event_type).decode(event_type, &body), Ok(event));
    }

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for event_type in EventType::ALL {
            let _ = newer(event_type).decode(event_type, &body);
        }
    }
}
