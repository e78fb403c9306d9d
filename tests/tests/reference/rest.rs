//! Every call over HTTP, from the services' OpenAPI documents.

use std::fmt::Write as _;

use serde_json::Value;

use crate::reference::{check, code, columns, head, row};

#[test]
fn the_page_of_calls_is_current() {
    let mut page = head(
        "REST",
        "The gateway is the lab's one door; the other services' addresses are in `cargo xtask status`. \
         Errors are\n`application/problem+json` (RFC 9457); the registry's are those of Confluent's \
         API. Bodies are in the OpenAPI\ndocuments; the gateway serves its own at \
         `/api/v1/openapi.json`.",
    );
    let documents = [
        ("gateway", gateway::api::openapi()),
        ("simulator", simulator::api::openapi()),
        ("bancaire", bancaire::api::openapi()),
        ("registry", registry::api::openapi()),
    ];
    for (service, document) in documents {
        let document = serde_json::to_value(document).expect("it is JSON");
        let link = format!("[`{service}.json`](../openapi/{service}.json)");
        write!(page, "\n## {service}\n\nOpenAPI: {link}\n").unwrap();
        page += &columns(["call", "parameters", "answers", "what"]);
        for (path, calls) in document["paths"].as_object().expect("paths") {
            for (method, call) in calls.as_object().expect("calls") {
                let name = format!("{} {path}", method.to_uppercase());
                page += &described(&name, call);
            }
        }
    }
    check("rest.md", &page);
}

fn described(name: &str, call: &Value) -> String {
    let parameters = call["parameters"].as_array().into_iter().flatten();
    // Those of the path are in its name.
    let parameters = parameters.filter(|parameter| parameter["in"] != "path");
    let parameters = parameters.map(|parameter| code(parameter["name"].as_str().expect("a name")));
    let body = call.get("requestBody").map(|_| "a body".to_owned());
    let answers = call["responses"].as_object().expect("responses");
    let answers: Vec<&str> = answers.keys().map(String::as_str).collect();
    row([
        code(name).as_str(),
        &parameters.chain(body).collect::<Vec<_>>().join(", "),
        &answers.join(", "),
        call["summary"].as_str().expect("it says what it does"),
    ])
}
