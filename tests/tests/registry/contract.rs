//! Ids, versions, compatibility and deletion, each test under subjects of its own.

use chassis::registry::{RegistryClient, RegistryError};
use reqwest::{Method, StatusCode, header};
use schemas::EventType;
use serde_json::{Value, json};
use tests::Lab;

use super::{Registry, code, named, record, subject};

#[tokio::test]
async fn the_same_schema_has_one_id_and_another_a_new_one() {
    let registry = Registry::shared().await;
    let (one, two) = (subject("one"), subject("two"));
    let schema = record(json!([{ "name": "a", "type": "int" }]));
    let id = registry.register(&one, &schema).await;
    assert_eq!(registry.register(&one, &schema).await, id);
    assert_eq!(registry.register(&two, &schema).await, id);
    // Written otherwise: another order, another way to give the namespace, white space.
    let name = schema["name"].as_str().unwrap();
    let text = format!(
        r#"{{ "fields": [ {{ "type": {{ "type": "int" }}, "name": "a" }} ],
              "name": "tests.{name}", "type": "record" }}"#
    );
    let body = Some(json!({ "schema": text, "schemaType": "AVRO" }));
    let path = format!("/subjects/{one}/versions");
    assert_eq!(
        registry.call(Method::POST, &path, body).await,
        (200, json!({ "id": id }))
    );
    assert_eq!(registry.get(&path).await, (200, json!([1])));
    // A doc makes another schema.
    let mut documented = schema.clone();
    documented["doc"] = json!("More words");
    assert!(registry.register(&one, &documented).await > id);
    assert_eq!(registry.get(&path).await, (200, json!([1, 2])));

    let usages = registry.get(&format!("/schemas/ids/{id}/versions")).await.1;
    let expected = json!([{ "subject": one, "version": 1 }, { "subject": two, "version": 1 }]);
    assert_eq!(usages, expected);
    let subjects = registry.get(&format!("/schemas/ids/{id}/subjects")).await;
    assert_eq!(subjects, (200, json!([one, two])));
}

#[tokio::test]
async fn versions_and_schemas_are_read_back() {
    let registry = Registry::shared().await;
    let subject = subject("read");
    let schema = record(json!([{ "name": "a", "type": "int" }]));
    let next = {
        let mut next = schema.clone();
        next["fields"] =
            json!([{ "name": "a", "type": "int" }, { "name": "b", "type": "int", "default": 0 }]);
        next
    };
    let id = registry.register(&subject, &schema).await;
    let next_id = registry.register(&subject, &next).await;
    let path = format!("/subjects/{subject}/versions");
    let (status, version) = registry.get(&format!("{path}/1")).await;
    assert_eq!(status, 200);
    assert_eq!(
        (&version["subject"], &version["version"], &version["id"]),
        (&json!(subject), &json!(1), &json!(id))
    );
    let text: Value = serde_json::from_str(version["schema"].as_str().unwrap()).unwrap();
    assert_eq!(text, schema);
    for latest in ["latest", "-1", "2"] {
        let (_, version) = registry.get(&format!("{path}/{latest}")).await;
        assert_eq!(version["id"], next_id, "{latest}");
    }
    assert_eq!(registry.get(&format!("{path}/2/schema")).await, (200, next));
    let (_, by_id) = registry.get(&format!("/schemas/ids/{id}")).await;
    assert_eq!(by_id["schema"], version["schema"]);
    assert_eq!(
        registry.get(&format!("/schemas/ids/{id}/schema")).await,
        (200, schema.clone())
    );
    let (_, found) = registry
        .post(&format!("/subjects/{subject}"), &schema)
        .await;
    assert_eq!(found, version);
    let (_, subjects) = registry
        .get(&format!("/subjects?subjectPrefix={subject}"))
        .await;
    assert_eq!(subjects, json!([subject]));

    // What never changes may be kept.
    let url = format!("{}/schemas/ids/{id}", registry.url);
    let response = registry.http.get(&url).send().await.unwrap();
    let tag = response.headers()[header::ETAG].clone();
    assert!(
        response.headers()[header::CACHE_CONTROL]
            .to_str()
            .unwrap()
            .contains("immutable")
    );
    let again = registry
        .http
        .get(&url)
        .header(header::IF_NONE_MATCH, tag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn what_is_not_there_has_its_code() {
    let registry = Registry::shared().await;
    let (known, unknown) = (subject("known"), subject("unknown"));
    let schema = record(json!([]));
    registry.register(&known, &schema).await;
    for (path, expected, message) in [
        (
            format!("/subjects/{unknown}/versions"),
            40401,
            format!("Subject '{unknown}' not found."),
        ),
        (
            format!("/subjects/{unknown}/versions/1"),
            40401,
            format!("Subject '{unknown}' not found."),
        ),
        (
            format!("/subjects/{known}/versions/9"),
            40402,
            "Version 9 not found.".into(),
        ),
        (
            "/schemas/ids/2147483647".into(),
            40403,
            "Schema 2147483647 not found".into(),
        ),
    ] {
        let (status, body) = registry.get(&path).await;
        assert_eq!(status, 404, "{path}");
        assert_eq!(
            body,
            json!({ "error_code": expected, "message": message }),
            "{path}"
        );
    }
    let other = record(json!([]));
    let (_, body) = registry.post(&format!("/subjects/{known}"), &other).await;
    assert_eq!(
        body,
        json!({ "error_code": 40403, "message": "Schema not found" })
    );
    let unknown_lookup = registry
        .post(&format!("/subjects/{unknown}"), &schema)
        .await;
    assert_eq!(code(unknown_lookup), (404, 40401));
    assert_eq!(
        code(registry.get(&format!("/config/{known}")).await),
        (404, 40408)
    );
    assert_eq!(
        code(registry.get(&format!("/mode/{known}")).await),
        (404, 40409)
    );
    assert_eq!(
        code(registry.delete(&format!("/subjects/{unknown}")).await),
        (404, 40401)
    );
    // A subject's name may hold anything printable.
    let odd = format!("a%2Fb%20%C3%A9-{unknown}");
    registry.register(&odd, &schema).await;
    let (_, version) = registry
        .get(&format!("/subjects/{odd}/versions/latest"))
        .await;
    assert_eq!(version["subject"], format!("a/b é-{unknown}"));
}

#[tokio::test]
async fn an_incompatible_schema_is_refused_with_the_reason() {
    let registry = Registry::shared().await;
    let subject = subject("compatibility");
    let name = format!("R{}", tests::events::id().replace('-', ""));
    let base = named(&name, json!([{ "name": "a", "type": "int" }]));
    let required = named(
        &name,
        json!([{ "name": "a", "type": "int" }, { "name": "b", "type": "int" }]),
    );
    let versions = format!("/subjects/{subject}/versions");
    let check = format!("/compatibility/subjects/{subject}/versions");
    // Nothing is there yet: everything is compatible.
    let fine = json!({ "is_compatible": true });
    assert_eq!(
        registry.post(&format!("{check}/latest"), &base).await,
        (200, fine.clone())
    );
    assert_eq!(registry.post(&check, &base).await, (200, fine.clone()));
    registry.register(&subject, &base).await;

    let (status, body) = registry.post(&versions, &required).await;
    assert_eq!((status, &body["error_code"]), (409, &json!(409)));
    let message = body["message"].as_str().unwrap();
    for part in [
        "Schema being registered is incompatible with an earlier schema for subject",
        "READER_FIELD_MISSING_DEFAULT_VALUE",
        "The field 'b' at path '/fields/1'",
        "{oldSchemaVersion: 1}",
        "compatibility: 'BACKWARD'",
    ] {
        assert!(message.contains(part), "{message}");
    }
    let (_, body) = registry
        .post(&format!("{check}/1?verbose=true"), &required)
        .await;
    assert_eq!(body["is_compatible"], false);
    assert!(
        body["messages"][0].as_str().unwrap().contains("'b'"),
        "{body}"
    );
    let (_, body) = registry.post(&format!("{check}?verbose=true"), &base).await;
    assert_eq!(body, json!({ "is_compatible": true, "messages": [] }));
    assert_eq!(
        registry.post(&format!("{check}/1"), &base).await,
        (200, fine)
    );
    assert_eq!(
        code(registry.post(&format!("{check}/7"), &base).await),
        (404, 40402)
    );

    // The subject's own level decides.
    let config = format!("/config/{subject}");
    let forward = json!({ "compatibility": "FORWARD" });
    assert_eq!(registry.put(&config, forward.clone()).await, (200, forward));
    assert_eq!(
        registry.get(&config).await,
        (200, json!({ "compatibilityLevel": "FORWARD" }))
    );
    registry.register(&subject, &required).await;
    assert_eq!(
        code(registry.post(&versions, &base).await),
        (200, 0),
        "it is there already"
    );
    let removed = registry.delete(&config).await;
    assert_eq!(removed, (200, json!({ "compatibilityLevel": "FORWARD" })));
    let (_, level) = registry
        .get(&format!("{config}?defaultToGlobal=true"))
        .await;
    assert_eq!(level, json!({ "compatibilityLevel": "BACKWARD" }));
    let unknown = registry
        .put(&config, json!({ "compatibility": "SIDEWAYS" }))
        .await;
    assert_eq!(code(unknown), (422, 42203));
}

#[tokio::test]
async fn deletion_is_soft_first_and_then_for_good() {
    let registry = Registry::shared().await;
    let subject = subject("delete");
    let name = format!("R{}", tests::events::id().replace('-', ""));
    let schema = |doc: &str| {
        let mut schema = named(&name, json!([]));
        schema["doc"] = json!(doc);
        schema
    };
    let first = registry.register(&subject, &schema("1")).await;
    registry.register(&subject, &schema("2")).await;
    let path = format!("/subjects/{subject}");
    let versions = format!("{path}/versions");
    let permanent = format!("{versions}/1?permanent=true");

    assert_eq!(code(registry.delete(&permanent).await), (404, 40407));
    assert_eq!(
        registry.delete(&format!("{versions}/1")).await,
        (200, json!(1))
    );
    assert_eq!(
        code(registry.delete(&format!("{versions}/1")).await),
        (404, 40406)
    );
    assert_eq!(registry.get(&versions).await, (200, json!([2])));
    assert_eq!(
        registry.get(&format!("{versions}?deleted=true")).await,
        (200, json!([1, 2]))
    );
    assert_eq!(
        code(registry.get(&format!("{versions}/1")).await),
        (404, 40402)
    );
    let (_, deleted) = registry.get(&format!("{versions}/1?deleted=true")).await;
    assert_eq!(deleted["id"], first);
    assert_eq!(code(registry.post(&path, &schema("1")).await), (404, 40403));
    let lookup = registry
        .post(&format!("{path}?deleted=true"), &schema("1"))
        .await;
    assert_eq!(lookup.1["version"], 1);
    // Records that carry the id can still be read.
    assert_eq!(registry.get(&format!("/schemas/ids/{first}")).await.0, 200);
    assert_eq!(registry.delete(&permanent).await, (200, json!(1)));
    assert_eq!(
        code(registry.get(&format!("/schemas/ids/{first}")).await),
        (404, 40403)
    );
    // The same schema again: a new version, and an id that never was.
    let again = registry.register(&subject, &schema("1")).await;
    assert!(again > first);
    assert_eq!(registry.get(&versions).await, (200, json!([2, 3])));

    assert_eq!(
        code(registry.delete(&format!("{path}?permanent=true")).await),
        (404, 40405)
    );
    registry
        .put(
            &format!("/config/{subject}"),
            json!({ "compatibility": "NONE" }),
        )
        .await;
    assert_eq!(registry.delete(&path).await, (200, json!([2, 3])));
    assert_eq!(
        code(registry.get(&format!("/config/{subject}")).await),
        (404, 40408)
    );
    assert_eq!(code(registry.delete(&path).await), (404, 40404));
    let list = format!("/subjects?subjectPrefix={subject}");
    assert_eq!(registry.get(&list).await, (200, json!([])));
    assert_eq!(
        registry.get(&format!("{list}&deleted=true")).await,
        (200, json!([subject]))
    );
    // A soft-deleted version that comes back keeps its id and gets a new number.
    assert_eq!(registry.register(&subject, &schema("1")).await, again);
    assert_eq!(registry.get(&versions).await, (200, json!([4])));
    registry.delete(&path).await;
    // Under the old number it is gone, as in Confluent's registry.
    let gone = registry.delete(&format!("{path}?permanent=true")).await;
    assert_eq!(gone, (200, json!([2, 4])));
    assert_eq!(code(registry.delete(&path).await), (404, 40401));
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_and_one_below_is_not() {
    let registry = Registry::shared().await;
    let path = format!("/subjects/{}/versions", subject("large"));
    let mut schema = record(json!([]));
    schema["doc"] = json!("x".repeat(900_000));
    assert_eq!(registry.post(&path, &schema).await.0, 200);
    schema["doc"] = json!("x".repeat(1_100_000));
    assert_eq!(code(registry.post(&path, &schema).await), (413, 413));
}

#[tokio::test]
async fn schemas_are_listed_by_page() {
    let registry = Registry::shared().await;
    let prefix = subject("list");
    let (one, two) = (format!("{prefix}-1"), format!("{prefix}-2"));
    let schema = record(json!([]));
    let mut next = schema.clone();
    next["doc"] = json!("next");
    for schema in [&schema, &next] {
        registry.register(&one, schema).await;
        registry.register(&two, schema).await;
    }
    registry
        .delete(&format!("/subjects/{two}/versions/1"))
        .await;
    let list = async |query: &str| {
        let path = format!("/schemas?subjectPrefix={prefix}{query}");
        let (status, list) = registry.get(&path).await;
        assert_eq!(status, 200, "{list}");
        let list = list.as_array().unwrap().iter();
        let list = list.map(|v| (v["subject"] == *one, v["version"].as_i64().unwrap()));
        list.collect::<Vec<_>>()
    };
    assert_eq!(list("").await, [(true, 1), (true, 2), (false, 2)]);
    let all = [(true, 1), (true, 2), (false, 1), (false, 2)];
    assert_eq!(list("&deleted=true").await, all);
    assert_eq!(list("&deletedOnly=true").await, [(false, 1)]);
    assert_eq!(list("&latestOnly=true").await, [(true, 2), (false, 2)]);
    assert_eq!(list("&offset=1&limit=1").await, [(true, 2)]);
    assert!(list("&offset=9").await.is_empty());
    let other = registry.get("/schemas?subjectPrefix=:.other:").await;
    assert_eq!(other, (200, json!([])));
    assert_eq!(registry.get("/contexts").await, (200, json!(["."])));
    // The default context's prefix means nothing; another context cannot be written to.
    let (_, version) = registry
        .get(&format!("/subjects/:.:{one}/versions/1"))
        .await;
    assert_eq!(version["subject"], *one);
    let refused = registry.post("/subjects/:.other:s/versions", &schema).await;
    assert_eq!(code(refused), (422, 42208));
}

#[tokio::test]
async fn a_normal_form_is_kept_where_it_is_asked_for() {
    let registry = Registry::shared().await;
    let subject = subject("normal");
    let mut schema = record(json!([]));
    schema["aliases"] = json!(["B", "A"]);
    let mut sorted = schema.clone();
    sorted["aliases"] = json!(["A", "B"]);
    let path = format!("/subjects/{subject}/versions");
    let id = registry.register(&subject, &sorted).await;
    let (_, found) = registry
        .post(&format!("{path}?normalize=true"), &schema)
        .await;
    assert_eq!(found, json!({ "id": id }));
    let lookup = format!("/subjects/{subject}");
    assert_eq!(code(registry.post(&lookup, &schema).await), (404, 40403));
    let config = format!("/config/{subject}");
    let normalize = json!({ "normalize": true });
    assert_eq!(
        registry.put(&config, normalize.clone()).await,
        (200, normalize)
    );
    let expected = json!({ "compatibilityLevel": "BACKWARD", "normalize": true });
    assert_eq!(registry.get(&config).await, (200, expected));
    assert_eq!(registry.post(&lookup, &schema).await.1["id"], id);
    assert_eq!(registry.register(&subject, &schema).await, id);
}

/// The client that the services use, with the schemas that they use.
#[tokio::test]
async fn the_labs_schemas_are_registered_and_read_back() {
    let lab = Lab::shared().await;
    let client = RegistryClient::new(&lab.registry_url());
    for event_type in EventType::ALL {
        let (subject, json) = (event_type.subject(), event_type.schema_json());
        let id = client.register(&subject, json).await.unwrap();
        assert_eq!(client.lookup(&subject, json).await.unwrap(), id);
        let schema = client.schema(id).await.unwrap();
        assert!(schema.is_current(event_type), "{subject}");
    }
    let error = client
        .schema(i32::MAX as u32)
        .await
        .expect_err("there is no such id");
    assert!(matches!(error, RegistryError::NotFound(_)), "{error}");
    let refused = client
        .register("bancaire.compte.ouvert-value", "\"int\"")
        .await;
    assert!(
        matches!(refused, Err(RegistryError::Incompatible(_))),
        "{refused:?}"
    );
}
