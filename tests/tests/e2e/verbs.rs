//! The verbs that look at one thing and change one thing, on a lab that runs.

use serde_json::{Value, json};
use tests::{Lab, http, until};

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_listed_created_and_described() {
    let lab = Lab::shared().await;
    let topics = lab.xtask(&["topics", "list", "--json"]).success().json();
    let topics = topics.as_array().expect("a list");
    for wanted in schemas::catalogue() {
        let found = topics.iter().find(|topic| topic["name"] == wanted.name);
        let found = found.unwrap_or_else(|| panic!("{} is not listed", wanted.name));
        assert_eq!(found["partitions"].as_array().map(Vec::len), Some(3));
    }
    let name = format!("test.verbs.{}", tests::events::id());
    let create = [
        "topics",
        "create",
        &name,
        "--partitions",
        "2",
        "--retention-ms",
        "60000",
    ];
    lab.xtask(&create).success();
    let again = lab.xtask(&create);
    assert!(
        !again.ok && again.text().contains("exists"),
        "{}",
        again.text()
    );
    let described = lab
        .xtask(&["topics", "describe", &name, "--json"])
        .success()
        .json();
    let partitions = described["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.len(), 2);
    assert_eq!(
        (&partitions[0]["low"], &partitions[0]["high"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(partitions[0]["leader"], partitions[0]["replicas"][0]);
    let unknown = lab.xtask(&["topics", "describe", "nope"]);
    assert!(
        !unknown.ok && unknown.text().contains("nope"),
        "{}",
        unknown.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_checked_listed_and_compared() {
    let lab = Lab::shared().await;
    lab.xtask(&["schemas", "check"]).success();
    let registered = lab
        .xtask(&["schemas", "register", "--json"])
        .success()
        .json();
    let news: Vec<&Value> = registered
        .as_array()
        .expect("a list")
        .iter()
        .filter(|r| r["new"] == true)
        .collect();
    assert!(news.is_empty(), "`up` has registered them: {news:?}");
    // Subjects of other clients are listed too, whatever their names are made of.
    let odd = "team/a b?c#d%2e-value";
    let path: String = odd.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let response = http()
        .post(format!("{}/subjects/{path}/versions", lab.registry_url()))
        .json(&json!({ "schema": "\"string\"" }))
        .send()
        .await
        .expect("the registry answers");
    assert_eq!(response.status(), 200);
    let listed = lab.xtask(&["schemas", "list", "--json"]).success().json();
    let found = listed
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["subject"] == odd);
    assert_eq!(found.expect("the odd subject")["versions"], json!([1]));
    let depot = "bancaire.depot.effectue-value";
    let found = listed
        .as_array()
        .expect("a list")
        .iter()
        .find(|row| row["subject"] == depot);
    assert_eq!(found.expect("the subject")["compatibility"], "BACKWARD");
    let diff = lab
        .xtask(&["schemas", "diff", depot, "--json"])
        .success()
        .json();
    assert_eq!(diff[0]["version"], 1);
    assert_eq!(diff[0]["changes"], json!([]));
    let unknown = lab.xtask(&["schemas", "diff", "nope"]);
    assert!(
        !unknown.ok && unknown.text().contains("nope"),
        "{}",
        unknown.text()
    );
}

/// A later version in the registry: what differs from this tree is named, field by field.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_version_in_the_registry_is_compared_field_by_field() {
    let lab = Lab::prepare("schemas");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let subject = "bancaire.compte.ferme-value";
    let mut schema: Value =
        serde_json::from_str(schemas::EventType::CompteFerme.schema_json()).unwrap();
    let added = json!({"name": "agence", "type": "string", "default": "?"});
    schema["fields"].as_array_mut().unwrap().push(added);
    let url = format!("{}/subjects/{subject}/versions", lab.registry_url());
    let body = json!({ "schema": schema.to_string() });
    let response = http()
        .post(url)
        .json(&body)
        .send()
        .await
        .expect("the registry answers");
    assert_eq!(response.status(), 200);
    let diff = lab
        .xtask(&["schemas", "diff", "CompteFerme"])
        .success()
        .stdout;
    for words in ["version 2", "agence is gone"] {
        assert!(diff.contains(words), "{words:?} is not in:\n{diff}");
    }
    let check = lab.xtask(&["schemas", "check"]).success().stdout;
    assert!(check.contains("may follow version 2"), "{check}");
    lab.xtask(&["down"]).success();
}

/// Paused parts keep their connections and answer nothing; resumed, everything goes on.
#[test]
fn a_paused_part_is_shown_and_goes_on_when_resumed() {
    let lab = Lab::prepare("pause");
    lab.xtask(&["up", "--detach", "--no-build"]).success();
    let state_of = |name: &str| {
        let status = lab.xtask(&["status", "--json"]).json();
        let components = status["components"].as_array().expect("components").clone();
        let found = components
            .into_iter()
            .find(|component| component["name"] == name);
        found.expect("the part")["state"]
            .as_str()
            .expect("a state")
            .to_owned()
    };
    for name in ["bancaire", "postgres"] {
        lab.xtask(&["services", "pause", name]).success();
        assert_eq!(state_of(name), "paused");
        assert!(!lab.xtask(&["status"]).ok, "a paused part is not healthy");
        lab.xtask(&["services", "resume", name]).success();
        assert_eq!(state_of(name), "running");
    }
    until("everything is healthy again", || {
        lab.xtask(&["status"]).ok.then_some(())
    });
    lab.xtask(&["simulate", "--rate", "50", "--duration", "2"])
        .success();
    lab.xtask(&["services", "pause", "bancaire"]).success();
    lab.xtask(&["simulate", "--rate", "50", "--duration", "2"])
        .success();
    lab.xtask(&["services", "resume", "bancaire"]).success();
    let verdict = lab.xtask(&["verify"]);
    assert!(verdict.ok, "{}", verdict.text());
    // Down ends what is paused, too.
    lab.xtask(&["services", "pause", "postgres", "simulator"])
        .success();
    lab.xtask(&["down"]).success();
}
