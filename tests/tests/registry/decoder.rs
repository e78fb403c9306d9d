//! What consumers do with a record's value: whatever bytes come, they are decoded or refused, and
//! nothing panics. The schemas are the lab's and others that evolution could have made of them.

use chassis::registry::RegistryClient;
use proptest::prelude::*;
use schemas::evolution::WriterSchema;
use schemas::{EventType, wire};
use serde_json::{Value, json};
use tests::Lab;

/// The lab's schemas, and each with a field more and with fields turned around.
fn writers() -> Vec<(EventType, WriterSchema)> {
    let mut writers = Vec::new();
    for event_type in EventType::ALL {
        let current: Value = serde_json::from_str(event_type.schema_json()).expect("it is JSON");
        let mut wider = current.clone();
        let fields = wider["fields"].as_array_mut().expect("it is a record");
        fields.insert(
            1,
            json!({ "name": "extra", "type": { "type": "array", "items": "long" } }),
        );
        let mut turned = current.clone();
        turned["fields"]
            .as_array_mut()
            .expect("it is a record")
            .reverse();
        for schema in [current, wider, turned] {
            let schema = WriterSchema::new(&schema.to_string()).expect("it is a schema");
            writers.push((event_type, schema));
        }
    }
    writers
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_framed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok((id, body)) = wire::parse(&bytes) {
            prop_assert_eq!(&bytes[1..5], id.to_be_bytes());
            prop_assert_eq!(&bytes[5..], body);
        }
    }

    #[test]
    fn any_body_is_decoded_or_refused(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), 0u8..8], 0..300),
    ) {
        thread_local! { static WRITERS: Vec<(EventType, WriterSchema)> = writers(); }
        WRITERS.with(|writers| {
            for (event_type, schema) in writers {
                // Whether it can be read is the bytes' affair; that there is an answer, ours.
                let _ = schema.decode(*event_type, &bytes);
            }
        });
    }
}

/// Schemas of a running registry that are not events at all: refused, whatever the bytes.
#[tokio::test]
async fn a_schema_of_something_else_is_refused() {
    let registry = super::Registry::at(Lab::shared().await.registry_url());
    let client = RegistryClient::new(&registry.url);
    for schema in [
        json!("int"),
        json!(["null", "string"]),
        super::record(json!([])),
    ] {
        let id = registry.register(&super::subject("other"), &schema).await;
        let schema = client.schema(u32::try_from(id).unwrap()).await.unwrap();
        for bytes in [&b""[..], b"\x00", b"\x02\x02\x02"] {
            assert!(schema.decode(EventType::DepotEffectue, bytes).is_err());
        }
    }
}
