//! Every topic and what travels on it, from the AsyncAPI document.

use std::fmt::Write as _;

use serde_json::Value;

use crate::reference::{check, code, columns, head, row};

#[test]
fn the_page_of_events_is_current() {
    let document = schemas::asyncapi();
    let mut page = head(
        "Topics and events",
        "The same for tools: [AsyncAPI](../asyncapi.json); the Avro schemas: \
         [`schemas/avro/`](../../schemas/avro). The value of an\nevent is a zero byte, the schema's id \
         (4 bytes, big-endian) and the Avro body; its subject is `<topic>-value`.",
    );
    page += "\n## Topics\n";
    page += &columns(["topic", "partitions", "set", "what", "key", "from, to"]);
    let mut bodies = String::new();
    for topic in schemas::catalogue() {
        let channel = &document["channels"][topic.name];
        let name = channel["messages"].as_object().expect("messages").keys();
        let [name] = name.collect::<Vec<_>>()[..] else {
            panic!("one kind of message travels on {}", topic.name);
        };
        let message = &document["components"]["messages"][name];
        let kafka = &channel["bindings"]["kafka"];
        let set = kafka["topicConfiguration"].as_object().expect("settings");
        let set = set.iter().map(|(name, value)| format!("`{name}={value}`"));
        let who =
            |action: &str| text(&document["operations"][format!("{action}{name}")]["summary"]);
        page += &row([
            code(topic.name),
            kafka["partitions"].to_string(),
            set.collect::<Vec<_>>().join(", "),
            format!("[{name}](#{})", name.to_lowercase()),
            text(&message["bindings"]["kafka"]["key"]["description"]).to_owned(),
            format!("{} {}", who("send"), who("receive")),
        ]);
        let summary = text(&message["summary"]);
        write!(bodies, "\n## {name}\n\n{summary}. On `{}`.\n", topic.name).unwrap();
        match message["payload"].get("schema") {
            Some(schema) => avro(&mut bodies, schema),
            None => object(&mut bodies, &document["components"]["schemas"][name]),
        }
    }
    let headers = &document["components"]["schemas"]["EventHeaders"];
    let about = text(&headers["description"]);
    write!(page, "\n## Headers of events\n\n{about}\n").unwrap();
    object(&mut page, headers);
    check("events.md", &(page + &bodies));
}

/// The fields of an Avro record.
fn avro(page: &mut String, schema: &Value) {
    *page += &columns(["field", "type", "default", "what"]);
    for field in schema["fields"].as_array().expect("fields") {
        let default = field.get("default").map(Value::to_string);
        *page += &row([
            code(text(&field["name"])),
            avro_type(&field["type"]),
            code(&default.unwrap_or_default()),
            text(&field["doc"]).to_owned(),
        ]);
    }
}

/// An Avro type in words.
fn avro_type(of: &Value) -> String {
    if let Some(options) = of.as_array() {
        return options
            .iter()
            .map(avro_type)
            .collect::<Vec<_>>()
            .join(" or ");
    }
    let name = of.as_str().unwrap_or_else(|| text(&of["type"]));
    match (name, of["logicalType"].as_str()) {
        (_, Some("decimal")) => format!("decimal({}, {})", of["precision"], of["scale"]),
        (_, Some(logical)) => logical.to_owned(),
        ("enum", _) => {
            let symbols = of["symbols"].as_array().expect("symbols").iter();
            symbols.map(text).collect::<Vec<_>>().join(", ")
        }
        ("map", _) => format!("map of {}", avro_type(&of["values"])),
        ("array", _) => format!("array of {}", avro_type(&of["items"])),
        (name, _) => name.to_owned(),
    }
}

/// The properties of a JSON schema's object.
fn object(page: &mut String, schema: &Value) {
    *page += &columns(["field", "type", "always", "what"]);
    properties(page, schema, "");
}

fn properties(page: &mut String, schema: &Value, above: &str) {
    let required = schema["required"].as_array().expect("required");
    for (name, property) in schema["properties"].as_object().expect("properties") {
        let path = format!("{above}{name}");
        if property.get("properties").is_some() {
            properties(page, property, &format!("{path}."));
            continue;
        }
        let types = match property["type"].as_array() {
            Some(types) => types.iter().map(text).collect::<Vec<_>>().join(" or "),
            None => text(&property["type"]).to_owned(),
        };
        let more = [
            &property["format"],
            &property["contentEncoding"],
            &property["const"],
        ];
        let more = more.into_iter().filter_map(Value::as_str);
        let always = required.iter().any(|known| known == name);
        *page += &row([
            code(&path),
            [types.as_str()]
                .into_iter()
                .chain(more)
                .collect::<Vec<_>>()
                .join(", "),
            (if always { "yes" } else { "no" }).to_owned(),
            text(&property["description"]).to_owned(),
        ]);
    }
}

/// Empty where there is none.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
