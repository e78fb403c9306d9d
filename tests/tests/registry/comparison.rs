//! The same requests to this registry and to Apicurio's Confluent-compatible API. The differences
//! are those of the table in `docs/registry.md`, where each is judged; `UPDATE=1` rewrites the
//! table and keeps the judgements.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::{Method, header};
use serde_json::{Value, json};
use tests::{Lab, until_async};

use super::{CONTENT_TYPE, Own, tools};

const BEGIN: &str =
    "<!-- differences: UPDATE=1 cargo test -p tests --test registry comparison -->\n";
const END: &str = "<!-- end of differences -->\n";

/// One request. `{name}` in a path is an id that an earlier step of that name gave.
struct Step(&'static str, Method, &'static str, Option<Value>);

fn schema(value: Value) -> Option<Value> {
    Some(json!({ "schema": value.to_string() }))
}

fn record(fields: Value) -> Value {
    json!({ "type": "record", "name": "R", "fields": fields })
}

#[rustfmt::skip]
fn steps() -> Vec<Step> {
    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let step = |name, method: &Method, path, body| Step(name, method.clone(), path, body);
    let a = json!({ "name": "a", "type": "int" });
    let base = record(json!([a]));
    let optional = record(json!([a, { "name": "b", "type": "int", "default": 0 }]));
    let required = record(json!([a, { "name": "c", "type": "int" }]));
    let spaced = r#"{ "type":"record", "fields":[{"type":"int","name":"a"}], "name":"R" }"#;
    let money = json!({ "type": "record", "name": "Money", "namespace": "m", "fields": [{ "name": "n", "type": "long" }] });
    let order = json!({ "type": "record", "name": "Order", "fields": [{ "name": "total", "type": "m.Money" }] });
    let reference = json!([{ "name": "m.Money", "subject": "money", "version": 1 }]);
    let level = |level: &str| Some(json!({ "compatibility": level }));
    vec![
        step("the root", &get, "/", None),
        step("types", &get, "/schemas/types", None),
        step("contexts", &get, "/contexts", None),
        step("no subjects", &get, "/subjects", None),
        step("the default level", &get, "/config", None),
        step("the default mode", &get, "/mode", None),
        step("a global level is set", &put, "/config", level("BACKWARD")),
        step("register", &post, "/subjects/s/versions", schema(base.clone())),
        step("register again", &post, "/subjects/s/versions", schema(base.clone())),
        step("register again, written otherwise", &post, "/subjects/s/versions", Some(json!({ "schema": spaced }))),
        step("register under another subject", &post, "/subjects/t/versions", schema(base.clone())),
        step("subjects", &get, "/subjects", None),
        step("subjects by prefix", &get, "/subjects?subjectPrefix=t", None),
        step("versions", &get, "/subjects/s/versions", None),
        step("a version", &get, "/subjects/s/versions/1", None),
        step("the latest version", &get, "/subjects/s/versions/latest", None),
        step("version -1", &get, "/subjects/s/versions/-1", None),
        step("a version's text", &get, "/subjects/s/versions/1/schema", None),
        step("version 0", &get, "/subjects/s/versions/0", None),
        step("version x", &get, "/subjects/s/versions/x", None),
        step("an unknown version", &get, "/subjects/s/versions/9", None),
        step("an unknown subject's versions", &get, "/subjects/none/versions", None),
        step("an unknown subject's version", &get, "/subjects/none/versions/1", None),
        step("a schema by id", &get, "/schemas/ids/{register}", None),
        step("a schema's text by id", &get, "/schemas/ids/{register}/schema", None),
        step("an id's subjects", &get, "/schemas/ids/{register}/subjects", None),
        step("an id's versions", &get, "/schemas/ids/{register}/versions", None),
        step("an unknown id", &get, "/schemas/ids/987654", None),
        step("an id that is no number", &get, "/schemas/ids/x", None),
        step("schemas", &get, "/schemas?subjectPrefix=s", None),
        step("lookup", &post, "/subjects/s", schema(base.clone())),
        step("lookup of another schema", &post, "/subjects/s", schema(optional.clone())),
        step("lookup under an unknown subject", &post, "/subjects/none", schema(base.clone())),
        step("lookup of what is no schema", &post, "/subjects/s", Some(json!({ "schema": "{}" }))),
        step("check what is compatible", &post, "/compatibility/subjects/s/versions/latest", schema(optional.clone())),
        step("check what is not", &post, "/compatibility/subjects/s/versions/latest", schema(required.clone())),
        step("check what is not, with reasons", &post, "/compatibility/subjects/s/versions/latest?verbose=true", schema(required.clone())),
        step("check against all versions", &post, "/compatibility/subjects/s/versions", schema(required.clone())),
        step("check against an unknown version", &post, "/compatibility/subjects/s/versions/9", schema(base.clone())),
        step("check against an unknown subject", &post, "/compatibility/subjects/none/versions/latest", schema(base.clone())),
        step("register what is incompatible", &post, "/subjects/s/versions", schema(required.clone())),
        step("register what is compatible", &post, "/subjects/s/versions", schema(optional.clone())),
        step("register what is no Avro", &post, "/subjects/s/versions", Some(json!({ "schema": "{\"type\":\"strin\"}" }))),
        step("register an empty schema", &post, "/subjects/s/versions", Some(json!({ "schema": "" }))),
        step("register without a schema", &post, "/subjects/s/versions", Some(json!({}))),
        step("register a bad default", &post, "/subjects/u/versions", schema(record(json!([{ "name": "a", "type": "int", "default": "x" }])))),
        step("register JSON Schema", &post, "/subjects/j/versions", Some(json!({ "schema": "{\"type\":\"object\"}", "schemaType": "JSON" }))),
        step("register Protobuf", &post, "/subjects/p/versions", Some(json!({ "schema": "syntax = \"proto3\"; message M {}", "schemaType": "PROTOBUF" }))),
        step("register an unknown type", &post, "/subjects/x/versions", Some(json!({ "schema": "x", "schemaType": "XYZ" }))),
        step("register with an id", &post, "/subjects/s/versions", Some(json!({ "schema": "\"bytes\"", "id": 4242 }))),
        step("the level of a subject without one", &get, "/config/s", None),
        step("the level of a subject without one, by default", &get, "/config/s?defaultToGlobal=true", None),
        step("set a subject's level", &put, "/config/s", level("NONE")),
        step("a subject's level", &get, "/config/s", None),
        step("an unknown level", &put, "/config/s", level("SIDEWAYS")),
        step("register anything under NONE", &post, "/subjects/s/versions", schema(json!("string"))),
        step("delete a subject's level", &delete, "/config/s", None),
        step("delete it again", &delete, "/config/s", None),
        step("a subject's mode", &get, "/mode/s", None),
        step("set a subject's mode", &put, "/mode/s", Some(json!({ "mode": "READONLY" }))),
        step("register in READONLY", &post, "/subjects/s/versions", schema(json!("double"))),
        step("delete a subject's mode", &delete, "/mode/s", None),
        step("an unknown mode", &put, "/mode", Some(json!({ "mode": "SLOW" }))),
        step("register what others refer to", &post, "/subjects/money/versions", schema(money)),
        step("register with a reference", &post, "/subjects/order/versions", Some(json!({ "schema": order.to_string(), "references": reference }))),
        step("a version with a reference", &get, "/subjects/order/versions/1", None),
        step("an id with a reference", &get, "/schemas/ids/{register with a reference}", None),
        step("who refers", &get, "/subjects/money/versions/1/referencedby", None),
        step("delete what others refer to", &delete, "/subjects/money", None),
        step("register with a reference to nothing", &post, "/subjects/order/versions", Some(json!({ "schema": order.to_string(), "references": [{ "name": "m.Money", "subject": "none", "version": 1 }] }))),
        step("delete a version for good first", &delete, "/subjects/s/versions/1?permanent=true", None),
        step("delete a version", &delete, "/subjects/s/versions/1", None),
        step("delete it again softly", &delete, "/subjects/s/versions/1", None),
        step("versions that are left", &get, "/subjects/s/versions", None),
        step("versions with deleted ones", &get, "/subjects/s/versions?deleted=true", None),
        step("a deleted version", &get, "/subjects/s/versions/1", None),
        step("a deleted version, asked for", &get, "/subjects/s/versions/1?deleted=true", None),
        step("delete a version for good", &delete, "/subjects/s/versions/1?permanent=true", None),
        step("delete an unknown version", &delete, "/subjects/s/versions/9", None),
        step("delete a subject for good first", &delete, "/subjects/s?permanent=true", None),
        step("delete a subject", &delete, "/subjects/s", None),
        step("delete a subject again softly", &delete, "/subjects/s", None),
        step("a deleted subject's versions", &get, "/subjects/s/versions", None),
        step("subjects without the deleted one", &get, "/subjects", None),
        step("subjects with deleted ones", &get, "/subjects?deleted=true", None),
        step("delete a subject for good", &delete, "/subjects/s?permanent=true", None),
        step("delete an unknown subject", &delete, "/subjects/none", None),
        step("a body that is no JSON", &post, "/subjects/s/versions", Some(Value::String("{".into()))),
        step("an unknown route", &get, "/nowhere", None),
    ]
}

/// One server, and the ids that it gave.
struct Server {
    url: String,
    http: reqwest::Client,
    ids: BTreeMap<String, i64>,
}

impl Server {
    fn at(url: String) -> Self {
        let http = tests::http();
        let ids = BTreeMap::new();
        Self { url, http, ids }
    }

    /// What it answers, in one line.
    async fn answer(&mut self, Step(name, method, path, body): &Step) -> String {
        let mut path = (*path).to_owned();
        for (step, id) in &self.ids {
            path = path.replace(&format!("{{{step}}}"), &id.to_string());
        }
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.url));
        if let Some(body) = body {
            let text = match body {
                Value::String(text) => text.clone(),
                json => json.to_string(),
            };
            request = request
                .header(header::CONTENT_TYPE, CONTENT_TYPE)
                .body(text);
        }
        let response = request.send().await.expect("it answers");
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap_or(Value::Null);
        if let Some(id) = body["id"].as_i64() {
            self.ids.insert((*name).to_owned(), id);
        }
        if status >= 400 {
            return match body["error_code"].as_i64() {
                Some(code) => format!("{status}, {code}"),
                None => format!("{status}, no error code"),
            };
        }
        let text = self
            .plain(body, path.ends_with("/referencedby"))
            .to_string();
        let shown: String = text.chars().take(160).collect();
        let rest = if shown.len() < text.len() { "…" } else { "" };
        format!("{status}, `{shown}{rest}`")
    }

    /// Without what differs everywhere: ids are called after the first step that gave them, schemas
    /// are what their texts say, names are in order, and empty references are left out. `is_id`:
    /// numbers are ids.
    fn plain(&self, body: Value, is_id: bool) -> Value {
        match body {
            Value::Array(mut values) => {
                // Apicurio lists in no order.
                if values.iter().all(Value::is_string) {
                    values.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                }
                values.into_iter().map(|v| self.plain(v, is_id)).collect()
            }
            Value::Object(object) => {
                let members = object.into_iter().filter(|(key, value)| {
                    key != "references" || value.as_array().is_none_or(|list| !list.is_empty())
                });
                let members = members.map(|(key, value)| {
                    let parsed = value
                        .as_str()
                        .and_then(|text| serde_json::from_str(text).ok());
                    let value = match parsed.filter(|_| key == "schema") {
                        Some(schema) => schema,
                        None => self.plain(value, key == "id"),
                    };
                    (key, value)
                });
                Value::Object(members.collect())
            }
            Value::Number(number) if is_id => {
                let mut names = steps().into_iter().map(|step| step.0);
                let first = names.find(|name| self.ids.get(*name).copied() == number.as_i64());
                json!(format!("id of: {}", first.unwrap_or("another")))
            }
            other => other,
        }
    }
}

/// Apicurio on a free port, with everything in memory.
async fn apicurio(dir: &Path) -> (Server, tools::Process) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("it has an address").port();
    drop(free);
    let jar = std::fs::read_dir(dir)
        .expect("the folder is readable")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.to_string_lossy().ends_with("-runner.jar"))
        .expect("it has its jar");
    let child = Command::new("java")
        .args([
            "-XX:TieredStopAtLevel=1",
            "-Xmx256m",
            "-Dquarkus.http.host=127.0.0.1",
        ])
        .arg(format!("-Dquarkus.http.port={port}"))
        .arg("-jar")
        .arg(jar)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("java can be run");
    let process = tools::Process(child);
    let server = Server::at(format!("http://127.0.0.1:{port}/apis/ccompat/v7"));
    until_async("Apicurio answers", async || {
        let response = server
            .http
            .get(format!("{}/subjects", server.url))
            .send()
            .await
            .ok()?;
        response.status().is_success().then_some(())
    })
    .await;
    (server, process)
}

fn document() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("it is in the workspace");
    root.join("docs/registry.md")
}

/// The rows of the document's table: request, here, there, judgement.
fn rows(text: &str) -> Vec<[String; 4]> {
    let (_, rest) = text.split_once(BEGIN).expect("the document has the table");
    let (table, _) = rest.split_once(END).expect("the table has an end");
    let rows = table.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|line| {
        let line = line.trim_matches('|').replace("\\|", "\u{0}");
        let cells: Vec<String> = line
            .split('|')
            .map(|cell| cell.trim().replace('\u{0}', "\\|"))
            .collect();
        cells
            .try_into()
            .unwrap_or_else(|cells| panic!("not four cells: {cells:?}"))
    })
    .collect()
}

#[tokio::test]
async fn differences_from_apicurio_are_the_documented_ones() {
    let ready = tokio::task::spawn_blocking(|| {
        tools::run(Command::new("java").arg("-version")).and_then(|()| tools::apicurio())
    });
    let ready = ready.await.expect("it does not panic");
    let Some(dir) = tools::required("Apicurio", ready) else {
        return;
    };
    let lab = Lab::shared().await;
    let own = Own::start(lab.fresh_database("comparison").await).await;
    let mut here = Server::at(own.registry.url.clone());
    let (mut there, _process) = apicurio(&dir).await;

    let path = document();
    let text = std::fs::read_to_string(&path).expect("the document is readable");
    let documented = rows(&text);
    let judgement = |name: &str| {
        let row = documented.iter().find(|row| row[0] == name);
        row.map_or_else(|| "?".to_owned(), |row| row[3].clone())
    };
    let (mut found, mut count) = (Vec::new(), 0);
    for step in steps() {
        let (ours, theirs) = (here.answer(&step).await, there.answer(&step).await);
        count += 1;
        if ours != theirs {
            let cells = [step.0.to_owned(), ours, theirs];
            let [name, ours, theirs] = cells.map(|cell| cell.replace('|', "\\|"));
            let judgement = judgement(&name);
            found.push([name, ours, theirs, judgement]);
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        let mut table =
            String::from("| request | here | Apicurio 2.6.13 | judgement |\n|---|---|---|---|\n");
        for row in &found {
            table += &format!("| {} |\n", row.join(" | "));
        }
        let (before, rest) = text.split_once(BEGIN).expect("the document has the table");
        let (_, after) = rest.split_once(END).expect("the table has an end");
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))
            .expect("it is writable");
    }
    let documented = rows(&std::fs::read_to_string(&path).expect("the document is readable"));
    assert_eq!(
        found, documented,
        "of {count} requests, others than documented differ"
    );
    let unjudged: Vec<_> = documented.iter().filter(|row| row[3] == "?").collect();
    assert!(unjudged.is_empty(), "not judged: {unjudged:?}");
}
