//! How two versions of a schema differ, field by field, and for whom that breaks: consumers with
//! the new version that meet old records, or consumers with the old one that meet new records.
//!
//! Pure, by Avro's rules for resolution as this lab's decoder ([`schemas::evolution`]) applies
//! them: aliases are not followed, and a logical type that changes its meaning breaks. Whether a
//! version may be registered is the registry's to say.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field, or the schema's name for the record itself.
    pub field: String,
    /// What is different.
    pub what: String,
    /// Why consumers with the new version cannot read old records; `None` when they can.
    pub breaks_new_consumers: Option<String>,
    /// Why consumers with the old version cannot read new records; `None` when they can.
    pub breaks_old_consumers: Option<String>,
}

impl Change {
    pub fn breaks(&self) -> bool {
        self.breaks_new_consumers.is_some() || self.breaks_old_consumers.is_some()
    }
}

/// What is different in `new`.
///
/// # Errors
/// When one of them is not a record's schema.
pub fn diff(old: &str, new: &str) -> anyhow::Result<Vec<Change>> {
    let (old, new) = (parse(old)?, parse(new)?);
    let mut changes = Vec::new();
    let old_name = full_name(&old);
    if old_name != full_name(&new) {
        let reason = || Some("the topic takes one event only".to_owned());
        changes.push(Change {
            field: old_name.clone(),
            what: format!("is now called {}", full_name(&new)),
            breaks_new_consumers: reason(),
            breaks_old_consumers: reason(),
        });
    }
    if old.get("doc") != new.get("doc") {
        changes.push(harmless(&full_name(&new), "has another description".into()));
    }
    let (old_types, new_types) = (Types::of(&old), Types::of(&new));
    let (old_fields, new_fields) = (fields(&old), fields(&new));
    for field in &new_fields {
        match old_fields.iter().find(|other| name(other) == name(field)) {
            None => changes.push(added(field)),
            Some(before) => {
                changes.extend(changed((before, &old_types), (field, &new_types)));
            }
        }
    }
    let is_there = |field: &&Value| new_fields.iter().any(|other| name(other) == name(field));
    let gone = old_fields.iter().filter(|field| !is_there(field));
    changes.extend(gone.map(removed));
    Ok(changes)
}

fn parse(text: &str) -> anyhow::Result<Value> {
    let schema: Value = serde_json::from_str(text)?;
    anyhow::ensure!(schema["type"] == "record", "the schema is not a record's");
    Ok(schema)
}

fn fields(schema: &Value) -> Vec<Value> {
    schema["fields"].as_array().cloned().unwrap_or_default()
}

fn name(field: &Value) -> &str {
    field["name"].as_str().unwrap_or_default()
}

fn full_name(schema: &Value) -> String {
    let name = name(schema);
    match schema["namespace"].as_str() {
        Some(namespace) if !name.contains('.') => format!("{namespace}.{name}"),
        _ => name.to_owned(),
    }
}

fn harmless(field: &str, what: String) -> Change {
    Change {
        field: field.to_owned(),
        what,
        breaks_new_consumers: None,
        breaks_old_consumers: None,
    }
}

fn added(field: &Value) -> Change {
    let breaks = field.get("default").is_none();
    let reason = "old records lack the field, and it has no default".to_owned();
    Change {
        field: name(field).to_owned(),
        what: match field.get("default") {
            Some(default) => format!("is new: {}, default {default}", shown(&field["type"])),
            None => format!("is new: {}, without a default", shown(&field["type"])),
        },
        breaks_new_consumers: breaks.then_some(reason),
        breaks_old_consumers: None,
    }
}

fn removed(field: &Value) -> Change {
    let breaks = field.get("default").is_none();
    let reason = "new records lack the field, and it had no default".to_owned();
    Change {
        field: name(field).to_owned(),
        what: format!("is gone; it was {}", shown(&field["type"])),
        breaks_new_consumers: None,
        breaks_old_consumers: breaks.then_some(reason),
    }
}

/// The differences of a field that both versions have.
fn changed(
    (old, old_types): (&Value, &Types<'_>),
    (new, new_types): (&Value, &Types<'_>),
) -> Vec<Change> {
    let mut changes = Vec::new();
    if old["type"] != new["type"] {
        let reads = |reader, writer| Reads { reader, writer };
        let (of_new, of_old) = (reads(new_types, old_types), reads(old_types, new_types));
        changes.push(Change {
            field: name(new).to_owned(),
            what: format!("was {}, is {}", shown(&old["type"]), shown(&new["type"])),
            breaks_new_consumers: of_new.check(&new["type"], &old["type"], 0).err(),
            breaks_old_consumers: of_old.check(&old["type"], &new["type"], 0).err(),
        });
    }
    match (old.get("default"), new.get("default")) {
        (before, after) if before == after => {}
        (None, Some(after)) => {
            changes.push(harmless(name(new), format!("has the default {after}")))
        }
        (Some(before), None) => {
            changes.push(harmless(
                name(new),
                format!("has no default any more; it was {before}"),
            ));
        }
        (Some(before), Some(after)) => {
            changes.push(harmless(
                name(new),
                format!("has the default {after}; it was {before}"),
            ));
        }
        (None, None) => {}
    }
    if old.get("doc") != new.get("doc") {
        changes.push(harmless(name(new), "has another description".into()));
    }
    changes
}

/// A type in a few words.
pub fn shown(schema: &Value) -> String {
    match schema {
        Value::String(name) => name.clone(),
        Value::Array(branches) => branches.iter().map(shown).collect::<Vec<_>>().join(" or "),
        Value::Object(object) => {
            let kind = object.get("type").map(shown).unwrap_or_default();
            if let Some(logical) = object.get("logicalType").and_then(Value::as_str) {
                let digits = |field: &str| object.get(field).map_or("0".into(), Value::to_string);
                return match logical {
                    "decimal" => format!("decimal({}, {})", digits("precision"), digits("scale")),
                    _ => logical.to_owned(),
                };
            }
            match kind.as_str() {
                "enum" => format!("enum {} ({})", name(schema), symbols(object).join(", ")),
                "fixed" => format!("fixed {} of {} bytes", name(schema), object["size"]),
                "array" => format!(
                    "array of {}",
                    object.get("items").map(shown).unwrap_or_default()
                ),
                "map" => format!(
                    "map of {}",
                    object.get("values").map(shown).unwrap_or_default()
                ),
                "record" => format!("record {}", name(schema)),
                _ => kind,
            }
        }
        _ => schema.to_string(),
    }
}

fn symbols(object: &Map<String, Value>) -> Vec<&str> {
    let symbols = object.get("symbols").and_then(Value::as_array);
    symbols
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The named types that a schema defines, by their names without a namespace.
struct Types<'a>(HashMap<&'a str, &'a Value>);

impl<'a> Types<'a> {
    fn of(schema: &'a Value) -> Self {
        let mut types = Self(HashMap::new());
        types.collect(schema);
        types
    }

    fn collect(&mut self, schema: &'a Value) {
        match schema {
            Value::Array(items) => items.iter().for_each(|item| self.collect(item)),
            Value::Object(object) => {
                if object.contains_key("type") && object.contains_key("name") {
                    self.0.insert(short(name(schema)), schema);
                }
                for key in ["type", "items", "values", "fields"] {
                    if let Some(inner) = object.get(key) {
                        self.collect(inner);
                    }
                }
            }
            _ => {}
        }
    }

    /// The definition behind a name, or the type itself.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let defined = schema.as_str().and_then(|name| self.0.get(short(name)));
        defined.copied().unwrap_or(schema)
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether one version reads what the other one writes.
struct Reads<'a> {
    reader: &'a Types<'a>,
    writer: &'a Types<'a>,
}

impl<'a> Reads<'a> {
    /// # Errors
    /// Why not, in words.
    fn check(&self, reader: &'a Value, writer: &'a Value, depth: usize) -> Result<(), String> {
        let (reader, writer) = (self.reader.resolve(reader), self.writer.resolve(writer));
        // A type that contains itself says nothing new further down.
        if reader == writer || depth > 32 {
            return Ok(());
        }
        if let Value::Array(branches) = writer {
            let mut branches = branches.iter();
            return branches.try_for_each(|branch| self.check(reader, branch, depth + 1));
        }
        if let Value::Array(branches) = reader {
            let takes = |branch| self.check(branch, writer, depth + 1).is_ok();
            return match branches.iter().any(takes) {
                true => Ok(()),
                false => Err(format!(
                    "nothing in {} takes {}",
                    shown(reader),
                    shown(writer)
                )),
            };
        }
        let (of_reader, of_writer) = (kind(reader), kind(writer));
        if meaning(reader) != meaning(writer) {
            return Err(format!("{} is not {}", shown(writer), shown(reader)));
        }
        match (of_reader, of_writer) {
            ("enum", "enum") => check_enum(reader, writer),
            ("fixed", "fixed") if reader["size"] == writer["size"] => same_name(reader, writer),
            ("array", "array") => self.check(&reader["items"], &writer["items"], depth + 1),
            ("map", "map") => self.check(&reader["values"], &writer["values"], depth + 1),
            ("record", "record") => self.check_record(reader, writer, depth),
            _ if of_reader == of_writer || promotes(of_writer, of_reader) => Ok(()),
            _ => Err(format!(
                "{} cannot be read as {}",
                shown(writer),
                shown(reader)
            )),
        }
    }

    fn check_record(
        &self,
        reader: &'a Value,
        writer: &'a Value,
        depth: usize,
    ) -> Result<(), String> {
        same_name(reader, writer)?;
        let list = |schema: &'a Value| schema["fields"].as_array().into_iter().flatten();
        for field in list(reader) {
            match list(writer).find(|other| name(other) == name(field)) {
                Some(other) => self.check(&field["type"], &other["type"], depth + 1)?,
                None if field.get("default").is_some() => {}
                None => return Err(format!("{} is missing and has no default", name(field))),
            }
        }
        Ok(())
    }
}

fn kind(schema: &Value) -> &str {
    match schema {
        Value::String(name) => name,
        _ => match &schema["type"] {
            Value::String(kind) => kind,
            inner => kind(inner),
        },
    }
}

/// What the bytes stand for, beyond Avro's own types.
fn meaning(schema: &Value) -> Option<(&str, i64)> {
    let logical = schema["logicalType"].as_str()?;
    // Amounts of another scale have the same bytes, but other sums. More digits are only more.
    Some((logical, schema["scale"].as_i64().unwrap_or(0)))
}

fn check_enum(reader: &Value, writer: &Value) -> Result<(), String> {
    same_name(reader, writer)?;
    if reader.get("default").is_some() {
        return Ok(());
    }
    let of = |schema: &Value| -> Vec<String> {
        let object = schema.as_object().map(symbols).unwrap_or_default();
        object.into_iter().map(str::to_owned).collect()
    };
    let known = of(reader);
    let unknown: Vec<String> = of(writer)
        .into_iter()
        .filter(|s| !known.contains(s))
        .collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(format!("{} unknown to it", unknown.join(", "))),
    }
}

fn same_name(reader: &Value, writer: &Value) -> Result<(), String> {
    match short(name(reader)) == short(name(writer)) {
        true => Ok(()),
        false => Err(format!("{} is not {}", name(writer), name(reader))),
    }
}

/// Avro's promotions.
fn promotes(writer: &str, reader: &str) -> bool {
    matches!(
        (writer, reader),
        ("int", "long" | "float" | "double")
            | ("long", "float" | "double")
            | ("float", "double")
            | ("string", "bytes")
            | ("bytes", "string")
    )
}

#[cfg(test)]
mod tests {
    use schemas::EventType;
    use serde_json::json;

    use super::*;

    const DEPOT: EventType = EventType::DepotEffectue;

    fn changed_by(change: impl FnOnce(&mut Value)) -> Vec<Change> {
        let mut schema: Value = serde_json::from_str(DEPOT.schema_json()).unwrap();
        change(&mut schema);
        diff(DEPOT.schema_json(), &schema.to_string()).unwrap()
    }

    fn field<'a>(schema: &'a mut Value, wanted: &str) -> &'a mut Value {
        let fields = schema["fields"].as_array_mut().unwrap();
        fields
            .iter_mut()
            .find(|field| field["name"] == wanted)
            .unwrap()
    }

    /// (breaks new consumers, breaks old consumers) of the only change.
    fn breaks(change: impl FnOnce(&mut Value)) -> (bool, bool) {
        let changes = changed_by(change);
        assert_eq!(changes.len(), 1, "{changes:?}");
        let Change {
            breaks_new_consumers,
            breaks_old_consumers,
            ..
        } = &changes[0];
        (
            breaks_new_consumers.is_some(),
            breaks_old_consumers.is_some(),
        )
    }

    #[test]
    fn the_same_schema_has_no_differences() {
        for event_type in EventType::ALL {
            let schema = event_type.schema_json();
            assert_eq!(diff(schema, schema).unwrap(), []);
        }
        assert!(diff("\"string\"", DEPOT.schema_json()).is_err());
    }

    #[test]
    fn who_breaks_when_fields_come_and_go() {
        let add =
            |field: Value| breaks(|schema| schema["fields"].as_array_mut().unwrap().push(field));
        let with_default = json!({"name": "agence", "type": "string", "default": "?"});
        assert_eq!(add(with_default), (false, false));
        assert_eq!(
            add(json!({"name": "agence", "type": "string"})),
            (true, false)
        );
        let remove = |wanted: &str| {
            breaks(|schema| {
                let fields = schema["fields"].as_array_mut().unwrap();
                fields.retain(|field| field["name"] != wanted);
            })
        };
        assert_eq!(remove("devise"), (false, false), "it has a default");
        assert_eq!(remove("reference"), (false, true));
    }

    #[test]
    fn who_breaks_when_types_change() {
        let retype = |wanted: &str, to: Value| breaks(|schema| field(schema, wanted)["type"] = to);
        let decimal = |precision: u32, scale: u32| json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale});
        assert_eq!(retype("reference", json!("bytes")), (false, false));
        assert_eq!(retype("reference", json!("int")), (true, true));
        assert_eq!(
            retype("reference", json!(["null", "string"])),
            (false, true)
        );
        assert_eq!(retype("montant", decimal(18, 3)), (true, true));
        assert_eq!(retype("montant", decimal(20, 2)), (false, false));
        assert_eq!(retype("montant", json!("bytes")), (true, true));
        let canal = |symbols: &[&str]| json!({"type": "enum", "name": "Canal", "symbols": symbols});
        let all = ["GUICHET", "VIREMENT", "CHEQUE", "CARTE"];
        let more = [&all[..], &["MOBILE"]].concat();
        assert_eq!(retype("canal", canal(&more)), (false, true));
        assert_eq!(retype("canal", canal(&all[..3])), (true, false));
        let of_longs = json!(["null", {"type": "map", "values": "long"}]);
        assert_eq!(retype("metadata", of_longs), (true, true));
    }

    #[test]
    fn changes_say_what_was_and_what_is() {
        let changes = changed_by(|schema| {
            schema["name"] = json!("Autre");
            field(schema, "devise")["default"] = json!("CHF");
            field(schema, "reference")["doc"] = json!("?");
            field(schema, "montant")["type"]["scale"] = json!(3);
        });
        let text: Vec<String> = changes
            .iter()
            .map(|c| format!("{} {}", c.field, c.what))
            .collect();
        assert_eq!(
            text,
            [
                "com.edalab.bancaire.events.DepotEffectue is now called com.edalab.bancaire.events.Autre",
                "montant was decimal(18, 2), is decimal(18, 3)",
                "devise has the default \"CHF\"; it was \"EUR\"",
                "reference has another description",
            ]
        );
        assert_eq!(changes.iter().filter(|change| change.breaks()).count(), 2);
    }
}
