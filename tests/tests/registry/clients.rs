//! Clients and testers that others wrote, against the running registry: nobody told them that it
//! is not Confluent's.

use std::path::Path;
use std::process::Command;

use schemas::{Event, EventType, wire};
use serde_json::Value;
use tests::Lab;

use super::{Own, Registry, tools};

/// The lab's own schema of one event, as a file.
fn schema_file() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("it is in the workspace");
    root.join("schemas/avro/compte-ferme.avsc")
        .display()
        .to_string()
}

/// Runs a script to its end; its last line is JSON.
async fn script(mut command: Command) -> Value {
    let printed = tokio::task::spawn_blocking(move || tools::output(&mut command));
    let printed = printed
        .await
        .expect("it does not panic")
        .unwrap_or_else(|e| panic!("{e:#}"));
    let line = printed.trim().lines().last().expect("it printed something");
    serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {printed}"))
}

/// What the lab's own code reads from a record's value.
async fn read(registry: &Registry, hex: &str) -> Event {
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("it is hex"))
        .collect();
    let (id, body) = wire::parse(&bytes).expect("it is framed");
    let client = chassis::registry::RegistryClient::new(&registry.url);
    let schema = client.schema(id).await.expect("the id is registered");
    schema
        .decode(EventType::CompteFerme, body)
        .expect("it is the lab's event")
}

fn motif(event: Event) -> String {
    match event {
        Event::CompteFerme(event) => event.motif,
        other => panic!("{other:?}"),
    }
}

/// Python and Node register, evolve, refer, delete and are refused; what each writes, the others
/// and the lab's services read.
#[tokio::test]
async fn pythons_and_nodes_clients_cannot_tell() {
    let ready = tokio::task::spawn_blocking(|| {
        let python = tools::required("confluent-kafka", tools::python());
        python.zip(tools::required(
            "kafkajs' registry client",
            tools::node_modules(),
        ))
    });
    let Some((python, modules)) = ready.await.expect("it does not panic") else {
        return;
    };
    let registry = Registry::at(Lab::shared().await.registry_url());
    let in_python = |args: &[&str]| {
        let mut command = Command::new(python.join("python"));
        command
            .arg(tools::sources().join("client.py"))
            .arg(&registry.url)
            .args(args);
        command
    };
    let schema = schema_file();
    let printed = {
        let mut command = Command::new(python.join("python"));
        command
            .arg(tools::sources().join("client.py"))
            .args([&registry.url, &schema]);
        script(command).await
    };
    let from_python = printed["data"].as_str().expect("it wrote a record");
    assert_eq!(
        motif(read(&registry, from_python).await),
        "Demande du client"
    );

    let mut node = Command::new("node");
    node.env("NODE_PATH", modules)
        .arg(tools::sources().join("client.cjs"));
    node.args([&registry.url, &schema, from_python]);
    let printed = script(node).await;
    assert_eq!(printed["motif"], "Demande du client");
    let from_node = printed["data"].as_str().expect("it wrote a record");
    assert_eq!(motif(read(&registry, from_node).await), "Écrit par Node");
    let back = script(in_python(&["read", from_node])).await;
    assert_eq!(back["motif"], "Écrit par Node");
}

/// Requests made from the OpenAPI document, valid and not: the registry answers all of them.
#[tokio::test]
async fn schemathesis_finds_no_500() {
    let python = tokio::task::spawn_blocking(tools::python)
        .await
        .expect("it does not panic");
    let Some(python) = tools::required("schemathesis", python) else {
        return;
    };
    let lab = Lab::shared().await;
    let own = Own::start(lab.fresh_database("schemathesis").await).await;
    let url = own.registry.url.clone();
    let reports = tempfile::tempdir().expect("a folder can be made");
    let folder = reports.path().to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(python.join("schemathesis"));
        command.args(["run", &format!("{url}/api/v1/openapi.json"), "--url", &url]);
        command.args(["--checks", "not_a_server_error", "--max-examples", "25"]);
        command.args(["--phases", "examples,coverage,fuzzing", "--workers", "1"]);
        command.args(["--seed", "1", "--generation-database", "none", "--no-color"]);
        command.args(["--max-time", "60", "--suppress-health-check", "all"]);
        tools::output(command.current_dir(folder))
    });
    let printed = ran.await.expect("it does not panic");
    printed.unwrap_or_else(|e| panic!("schemathesis found something: {e:#}"));
    // It is still there, and works.
    own.wait_ready().await;
}
