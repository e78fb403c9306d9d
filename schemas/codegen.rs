//! From the text of the `.avsc` files to Rust: structs, enums, direct Avro encoding and decoding,
//! and the catalogue of events.
//!
//! Only what the lab's schemas use is understood; anything else is an error that names the file
//! and the field. The generated code calls `src/avro.rs` field by field, so that no generic Avro
//! value is built between the wire and a struct. It ends with one call of the macro `catalogue!`
//! of `src/event.rs`, which makes `EventType` and `Event` of the rows.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value};

const NAMESPACE: &str = "com.edalab.bancaire.events";

/// File, topic and the field that is the partition key, in the order of `EventType`.
const EVENTS: [(&str, &str, &str); 7] = [
    ("compte-ouvert.avsc", "bancaire.compte.ouvert", "compte_id"),
    ("compte-ferme.avsc", "bancaire.compte.ferme", "compte_id"),
    (
        "depot-effectue.avsc",
        "bancaire.depot.effectue",
        "compte_id",
    ),
    (
        "retrait-effectue.avsc",
        "bancaire.retrait.effectue",
        "compte_id",
    ),
    (
        "virement-emis.avsc",
        "bancaire.virement.emis",
        "compte_source_id",
    ),
    (
        "virement-recu.avsc",
        "bancaire.virement.recu",
        "compte_destination_id",
    ),
    (
        "paiement-prime-effectue.avsc",
        "bancaire.paiement-prime.effectue",
        "compte_id",
    ),
];

/// The Rust code of all events.
///
/// # Errors
/// One line that names the file and, where there is one, the field.
pub fn generate(files: &[(String, String)]) -> Result<String, String> {
    for (name, _) in files {
        if !EVENTS.iter().any(|(file, ..)| file == name) {
            return Err(format!(
                "schemas/avro/{name}: no topic is known for this file"
            ));
        }
    }
    let mut enums = BTreeMap::new();
    let mut code = String::new();
    let mut rows = String::new();
    for (file, topic, key) in EVENTS {
        let text = files.iter().find(|(name, _)| name == file);
        let (_, text) = text.ok_or_else(|| format!("schemas/avro/{file}: the file is missing"))?;
        let record =
            parse(text, key, &mut enums).map_err(|e| format!("schemas/avro/{file}: {e}"))?;
        write_record(&mut code, &record);
        let name = record.name;
        writeln!(
            rows,
            "    {name}, {topic:?}, {key}, {NAMESPACE:?}, {file:?};"
        )
        .unwrap();
    }
    for (name, symbols) in &enums {
        write_enum(&mut code, name, symbols);
    }
    Ok(format!("{code}catalogue! {{\n{rows}}}\n"))
}

struct Record {
    name: String,
    doc: String,
    fields: Vec<Field>,
}

struct Field {
    name: String,
    doc: Option<String>,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Text,
    OptionalText,
    Timestamp,
    Amount,
    Metadata,
    Enum(String),
}

type Enums = BTreeMap<String, Vec<String>>;

fn parse(text: &str, key: &str, enums: &mut Enums) -> Result<Record, String> {
    let schema: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
    let schema = schema.as_object().ok_or("not a JSON object")?;
    only_keys(schema, &["type", "name", "namespace", "doc", "fields"])?;
    if string(schema, "type")? != "record" {
        return Err("the type is not \"record\"".into());
    }
    if string(schema, "namespace")? != NAMESPACE {
        return Err(format!("the namespace is not {NAMESPACE:?}"));
    }
    let name = string(schema, "name")?;
    if !is_pascal_case(name) {
        return Err(format!("the name {name:?} is not in PascalCase"));
    }
    let fields = schema.get("fields").and_then(Value::as_array);
    let mut record = Record {
        name: name.to_owned(),
        doc: string(schema, "doc")?.to_owned(),
        fields: Vec::new(),
    };
    for (index, field) in fields.ok_or("\"fields\" is not a list")?.iter().enumerate() {
        let name = field["name"]
            .as_str()
            .map_or(format!("#{index}"), str::to_owned);
        let field = parse_field(field, enums).map_err(|e| format!("field {name:?}: {e}"))?;
        if record.fields.iter().any(|other| other.name == field.name) {
            return Err(format!("field {name:?}: there are two of this name"));
        }
        record.fields.push(field);
    }
    // `Event::event_id`, `timestamp` and `key` rely on these.
    for (name, kind) in [
        ("event_id", Kind::Text),
        ("timestamp", Kind::Timestamp),
        (key, Kind::Text),
        ("metadata", Kind::Metadata),
    ] {
        if !record
            .fields
            .iter()
            .any(|f| f.name == name && f.kind == kind)
        {
            return Err(format!(
                "field {name:?}: every event has one of its usual type"
            ));
        }
    }
    Ok(record)
}

fn parse_field(field: &Value, enums: &mut Enums) -> Result<Field, String> {
    let field = field.as_object().ok_or("not a JSON object")?;
    only_keys(field, &["name", "type", "doc", "default"])?;
    let name = string(field, "name")?;
    if !is_snake_case(name) {
        return Err("the name is not in snake_case".into());
    }
    let schema = field.get("type").ok_or("\"type\" is missing")?;
    let kind = parse_kind(schema, enums)?;
    match (field.get("default"), &kind) {
        (None, _)
        | (Some(Value::Null), Kind::OptionalText | Kind::Metadata)
        | (Some(Value::String(_)), Kind::Text) => {}
        (Some(default), _) => return Err(format!("the default {default} does not fit the type")),
    }
    Ok(Field {
        name: name.to_owned(),
        doc: field
            .get("doc")
            .map(|_| string(field, "doc").map(str::to_owned))
            .transpose()?,
        kind,
    })
}

fn parse_kind(schema: &Value, enums: &mut Enums) -> Result<Kind, String> {
    let unsupported = || Err(format!("the type {schema} is not supported"));
    match schema {
        Value::String(name) if name == "string" => Ok(Kind::Text),
        Value::Array(branches) => match branches.as_slice() {
            [null, text] if null == "null" && text == "string" => Ok(Kind::OptionalText),
            [null, map] if null == "null" && map["type"] == "map" && map["values"] == "string" => {
                Ok(Kind::Metadata)
            }
            _ => unsupported(),
        },
        Value::Object(object) => match (schema["type"].as_str(), schema["logicalType"].as_str()) {
            (Some("long"), Some("timestamp-millis")) => Ok(Kind::Timestamp),
            (Some("bytes"), Some("decimal")) => {
                if schema["precision"] != 18 || schema["scale"] != 2 {
                    return Err("an amount is a decimal of precision 18 and scale 2".into());
                }
                Ok(Kind::Amount)
            }
            (Some("enum"), None) => parse_enum(object, enums),
            _ => unsupported(),
        },
        _ => unsupported(),
    }
}

fn parse_enum(schema: &Map<String, Value>, enums: &mut Enums) -> Result<Kind, String> {
    only_keys(schema, &["type", "name", "doc", "symbols"])?;
    let name = string(schema, "name")?;
    if !is_pascal_case(name) {
        return Err(format!("the enum's name {name:?} is not in PascalCase"));
    }
    let list = schema.get("symbols").and_then(Value::as_array);
    let mut symbols = Vec::new();
    for symbol in list.ok_or("\"symbols\" is not a list")? {
        match symbol.as_str() {
            Some(symbol) if is_symbol(symbol) && !symbols.iter().any(|s| s == symbol) => {
                symbols.push(symbol.to_owned());
            }
            _ => return Err(format!("the symbol {symbol} is not usable")),
        }
    }
    if symbols.is_empty() {
        return Err(format!("the enum {name} has no symbols"));
    }
    // Avro's names are global to a namespace: one name cannot mean two lists.
    match enums.get(name) {
        Some(known) if *known != symbols => {
            return Err(format!(
                "another schema has an enum {name} with other symbols"
            ));
        }
        _ => enums.insert(name.to_owned(), symbols),
    };
    Ok(Kind::Enum(name.to_owned()))
}

fn only_keys(object: &Map<String, Value>, known: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("the attribute {key:?} is not supported")),
        None => Ok(()),
    }
}

fn string<'a>(object: &'a Map<String, Value>, key: &str) -> Result<&'a str, String> {
    match object.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("{key:?} is not a string")),
    }
}

fn is_snake_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !["type", "ref", "match", "self", "move", "use", "where"].contains(&name)
}

fn is_pascal_case(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_symbol(name: &str) -> bool {
    name.split('_').all(|word| {
        word.starts_with(|c: char| c.is_ascii_uppercase())
            && word
                .chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
    })
}

/// `EN_COURS` becomes `EnCours`.
fn variant(symbol: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_lowercase();
    symbol.split('_').map(word).collect()
}

fn write_record(code: &mut String, record: &Record) {
    let Record { name, doc, fields } = record;
    let mut members = String::new();
    let mut checks = String::new();
    let mut puts = String::new();
    let mut reads = String::new();
    for Field { name, doc, kind } in fields {
        if let Some(doc) = doc {
            writeln!(members, "    #[doc = {doc:?}]").unwrap();
        }
        let (attribute, rust, put, read) = match kind {
            Kind::Text => ("", "String", format!("put_text(out, &self.{name})"), "text"),
            Kind::OptionalText => (
                "    #[serde(default)]\n",
                "Option<String>",
                format!("put_optional_text(out, self.{name}.as_deref())"),
                "optional_text",
            ),
            Kind::Timestamp => (
                "",
                "DateTime<Utc>",
                format!("put_long(out, self.{name}.timestamp_millis())"),
                "timestamp",
            ),
            Kind::Amount => (
                "    #[serde(with = \"crate::amount::json\")]\n",
                "Decimal",
                format!("put_amount(out, self.{name})"),
                "amount",
            ),
            Kind::Metadata => (
                "    #[serde(default, skip_serializing_if = \"Option::is_none\")]\n",
                "Option<BTreeMap<String, String>>",
                format!("put_metadata(out, self.{name}.as_ref())"),
                "metadata",
            ),
            Kind::Enum(rust) => (
                "",
                rust.as_str(),
                format!("put_long(out, self.{name} as i64)"),
                "symbol",
            ),
        };
        if *kind == Kind::Amount {
            writeln!(
                checks,
                "        amount::check_field({name:?}, self.{name})?;"
            )
            .unwrap();
        }
        let symbols = match kind {
            Kind::Enum(rust) => format!(", &{rust}::ALL"),
            _ => String::new(),
        };
        writeln!(members, "{attribute}    pub {name}: {rust},").unwrap();
        writeln!(puts, "        avro::{put};").unwrap();
        writeln!(
            reads,
            "            {name}: input.{read}({name:?}{symbols})?,"
        )
        .unwrap();
    }
    write!(
        code,
        r#"#[doc = {doc:?}]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct {name} {{
{members}}}

impl {name} {{
    /// Says whether the amounts are ones that the schema can hold.
    pub fn check(&self) -> Result<(), AmountError> {{
{checks}        Ok(())
    }}

    /// Appends the Avro body, without the wire format's header. See [`crate::amount`] for what
    /// becomes of an amount that [`check`](Self::check) refuses.
    pub fn encode(&self, out: &mut Vec<u8>) {{
{puts}    }}

    /// Reads a body that was written with this very schema; every byte must be used.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {{
        let mut input = avro::Reader::new(body);
        let event = Self {{
{reads}        }};
        input.finish()?;
        Ok(event)
    }}
}}

"#
    )
    .unwrap();
}

fn write_enum(code: &mut String, name: &str, symbols: &[String]) {
    let mut variants = String::new();
    let mut all = String::new();
    let mut arms = String::new();
    for symbol in symbols {
        let variant = variant(symbol);
        writeln!(
            variants,
            "    #[serde(rename = {symbol:?})]\n    {variant},"
        )
        .unwrap();
        write!(all, "Self::{variant}, ").unwrap();
        writeln!(arms, "            Self::{variant} => {symbol:?},").unwrap();
    }
    let count = symbols.len();
    write!(
        code,
        r#"/// The Avro enum `{name}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum {name} {{
{variants}}}

impl {name} {{
    /// Every symbol, in the schema's order.
    pub const ALL: [Self; {count}] = [{all}];

    /// The Avro symbol.
    pub const fn as_str(self) -> &'static str {{
        match self {{
{arms}        }}
    }}

    /// The variant of an Avro symbol.
    pub fn from_symbol(symbol: &str) -> Option<Self> {{
        Self::ALL.into_iter().find(|s| s.as_str() == symbol)
    }}
}}

"#
    )
    .unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/avro/");
        EVENTS
            .map(|(file, ..)| {
                (
                    file.to_owned(),
                    std::fs::read_to_string(folder.to_owned() + file).unwrap(),
                )
            })
            .into()
    }

    /// What is said of the file of deposits when `from` is replaced.
    fn refused(from: &str, to: &str) -> String {
        let mut files = files();
        let text = &mut files[2].1;
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
        let message = generate(&files).expect_err("a bad schema");
        let place = "schemas/avro/depot-effectue.avsc: ";
        message
            .strip_prefix(place)
            .unwrap_or_else(|| panic!("{message}"))
            .to_owned()
    }

    #[test]
    fn a_bad_schema_is_named_by_file_and_field() {
        for (from, to, want) in [
            ("{", "[", "not JSON: "),
            ("\"record\"", "\"error\"", "the type is not \"record\""),
            ("bancaire.events", "evenements", "the namespace is not"),
            (
                "\"precision\": 18",
                "\"precision\": 20",
                "field \"montant\": an amount is",
            ),
            (
                "\"scale\": 2",
                "\"scale\": 4",
                "field \"montant\": an amount is",
            ),
            (
                "timestamp-millis",
                "timestamp-micros",
                "field \"timestamp\": the type",
            ),
            (
                "\"default\": \"EUR\"",
                "\"default\": 1",
                "field \"devise\": the default 1",
            ),
            (
                "\"default\": \"EUR\"",
                "\"defaut\": \"EUR\"",
                "field \"devise\": the attribute",
            ),
            ("\"reference\"", "\"type\"", "field \"type\": the name"),
            (
                "\"reference\"",
                "\"devise\"",
                "field \"devise\": there are two",
            ),
            (
                "\"reference\"",
                "\"Reference\"",
                "field \"Reference\": the name",
            ),
            (
                "\"compte_id\"",
                "\"compte\"",
                "field \"compte_id\": every event has one",
            ),
            (
                "\"GUICHET\"",
                "\"CARTE\"",
                "field \"canal\": the symbol \"CARTE\"",
            ),
            (
                "\"GUICHET\"",
                "\"guichet\"",
                "field \"canal\": the symbol \"guichet\"",
            ),
            (
                "\"GUICHET\"",
                "\"A__B\"",
                "field \"canal\": the symbol \"A__B\"",
            ),
            ("\"GUICHET\"", "7", "field \"canal\": the symbol 7"),
            (
                "\"Canal\"",
                "\"TypeCompte\"",
                "field \"canal\": another schema has an enum",
            ),
            ("\"map\"", "\"array\"", "field \"metadata\": the type"),
        ] {
            let message = refused(from, to);
            assert!(message.starts_with(want), "{to}: {message}");
        }
    }

    #[test]
    fn a_missing_or_unknown_file_is_named() {
        let mut files = files();
        let (_, text) = files.pop().unwrap();
        let message = generate(&files).unwrap_err();
        assert_eq!(
            message,
            "schemas/avro/paiement-prime-effectue.avsc: the file is missing"
        );
        files.push(("prime.avsc".into(), text));
        let message = generate(&files).unwrap_err();
        assert_eq!(
            message,
            "schemas/avro/prime.avsc: no topic is known for this file"
        );
    }
}
