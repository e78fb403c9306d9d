use std::path::Path;

use super::*;

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/asyncapi.json");
    let generated = serde_json::to_string_pretty(&asyncapi()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "docs/asyncapi.json differs from the schemas: UPDATE=1 cargo test -p schemas"
    );
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(root: &Value, value: &Value) {
        match value {
            Value::Object(map) => {
                if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                    let pointer = target.strip_prefix('#').expect("a local reference");
                    assert!(root.pointer(pointer).is_some(), "{target}");
                }
                map.values().for_each(|v| check(root, v));
            }
            Value::Array(list) => list.iter().for_each(|v| check(root, v)),
            _ => {}
        }
    }
    let document = asyncapi();
    check(&document, &document);
}

#[test]
fn every_topic_and_schema_is_there() {
    let document = asyncapi();
    assert_eq!(document["channels"].as_object().unwrap().len(), 8);
    assert_eq!(document["operations"].as_object().unwrap().len(), 16);
    let retention = document["channels"]["system.dlq"]
        .pointer("/bindings/kafka/topicConfiguration/retention.ms");
    assert_eq!(retention, Some(&json!(604_800_000)));
    for event_type in EventType::ALL {
        let schema = &document["components"]["messages"][event_type.name()]["payload"]["schema"];
        assert_eq!(schema["name"], event_type.name());
    }
}
