//! The text under which a schema is stored, compared and given back.
//!
//! Two texts are the same schema when this form is the same: whitespace, the order of attributes,
//! the way a namespace is written and defaults that go without saying do not matter; names, docs,
//! aliases, defaults and other properties do. It is the form that Avro's Java library prints, which
//! is what Confluent's registry stores and what its clients expect to read back.

use serde_json::Value;

use crate::avro::{Body, Field, NamedType, Node, Properties, Schema};

/// How many types may nest in one another when those of references are written out, too. Within
/// one text the JSON parser's limit bounds it.
const DEPTH: usize = 100;

/// Writes the canonical text of a schema; types of references stand there by name.
pub fn canonical(schema: &Schema) -> String {
    let mut printer = Printer::new(schema, true);
    printer.defined[..schema.external].fill(true);
    printer.node(&schema.root, None);
    printer.out
}

/// Writes the schema with the types of its references in it, so that it stands on its own; `None`
/// when they nest too deeply.
pub fn whole(schema: &Schema) -> Option<String> {
    let mut printer = Printer::new(schema, true);
    printer.node(&schema.root, None);
    (!printer.too_deep).then_some(printer.out)
}

/// The same without defaults and aliases of fields and without properties: what apache-avro can
/// judge.
pub(crate) fn skeleton(schema: &Schema) -> Option<String> {
    let mut printer = Printer::new(schema, false);
    printer.node(&schema.root, None);
    (!printer.too_deep).then_some(printer.out)
}

struct Printer<'a> {
    schema: &'a Schema,
    /// A named type is written out where it is met first, and by name after that.
    defined: Vec<bool>,
    out: String,
    /// Properties and defaults of fields are written, too.
    full: bool,
    depth: usize,
    too_deep: bool,
}

impl<'a> Printer<'a> {
    fn new(schema: &'a Schema, full: bool) -> Self {
        Self {
            schema,
            defined: vec![false; schema.types.len()],
            out: String::new(),
            full,
            depth: 0,
            too_deep: false,
        }
    }

    fn node(&mut self, node: &Node, space: Option<&str>) {
        match node {
            Node::Primitive(kind, properties) if properties.is_empty() || !self.full => {
                self.text(kind.name())
            }
            Node::Primitive(kind, properties) => {
                self.out.push('{');
                self.text_member("type", kind.name());
                self.properties(properties);
                self.out.push('}');
            }
            Node::Array(items, properties) => {
                self.collection("array", "items", items, properties, space)
            }
            Node::Map(values, properties) => {
                self.collection("map", "values", values, properties, space)
            }
            Node::Union(branches) => {
                self.list(branches, |printer, branch| printer.node(branch, space))
            }
            Node::Named(index) => self.named(*index, space),
        }
    }

    fn collection(
        &mut self,
        kind: &str,
        key: &str,
        inner: &Node,
        properties: &Properties,
        space: Option<&str>,
    ) {
        self.out.push('{');
        self.text_member("type", kind);
        self.key(key);
        self.node(inner, space);
        self.properties(properties);
        self.out.push('}');
    }

    fn named(&mut self, index: usize, space: Option<&str>) {
        let named = &self.schema.types[index];
        if self.depth == DEPTH {
            self.too_deep = true;
            return;
        }
        if std::mem::replace(&mut self.defined[index], true) {
            return self.text(&relative(
                &named.full_name(),
                named.namespace.as_deref(),
                space,
            ));
        }
        self.out.push('{');
        let kind = match named.body {
            Body::Record(_) => "record",
            Body::Enum { .. } => "enum",
            Body::Fixed { .. } => "fixed",
        };
        self.text_member("type", kind);
        self.text_member("name", &named.name);
        let own = named.namespace.as_deref();
        if own != space {
            self.text_member("namespace", own.unwrap_or_default());
        }
        self.optional_member("doc", named.doc.as_deref());
        self.depth += 1;
        self.body(named);
        self.depth -= 1;
        self.properties(&named.properties);
        let aliases = named
            .aliases
            .iter()
            .map(|alias| relative(alias, alias.rsplit_once('.').map(|(space, _)| space), own));
        self.texts_member("aliases", &aliases.collect::<Vec<_>>());
        self.out.push('}');
    }

    fn body(&mut self, named: &NamedType) {
        match &named.body {
            Body::Record(fields) => {
                self.key("fields");
                let space = named.namespace.as_deref();
                self.list(fields, |printer, field| printer.field(field, space));
            }
            Body::Enum { symbols, default } => {
                self.key("symbols");
                self.list(symbols, |printer, symbol| printer.text(symbol));
                self.optional_member("default", default.as_deref());
            }
            Body::Fixed { size } => {
                self.key("size");
                self.out.push_str(&size.to_string());
            }
        }
    }

    fn field(&mut self, field: &Field, space: Option<&str>) {
        self.out.push('{');
        self.text_member("name", &field.name);
        self.key("type");
        self.node(&field.node, space);
        self.optional_member("doc", field.doc.as_deref());
        if let Some(default) = field.default.as_ref().filter(|_| self.full) {
            self.key("default");
            self.value(default);
        }
        self.optional_member("order", field.order.as_deref());
        if self.full {
            self.texts_member("aliases", &field.aliases);
        }
        self.properties(&field.properties);
        self.out.push('}');
    }

    fn properties(&mut self, properties: &Properties) {
        if !self.full {
            return;
        }
        for (key, value) in properties {
            self.key(key);
            self.value(value);
        }
    }

    /// Any JSON, with the members of its objects in order of their names.
    fn value(&mut self, value: &Value) {
        match value {
            Value::Object(object) => {
                let mut members: Vec<_> = object.iter().collect();
                members.sort_by_key(|(key, _)| *key);
                self.out.push('{');
                for (key, value) in members {
                    self.key(key);
                    self.value(value);
                }
                self.out.push('}');
            }
            Value::Array(items) => self.list(items, |printer, item| printer.value(item)),
            scalar => self.out.push_str(&scalar.to_string()),
        }
    }

    fn list<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.out.push('[');
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            write(self, item);
        }
        self.out.push(']');
    }

    fn texts_member(&mut self, key: &str, texts: &[String]) {
        if !texts.is_empty() {
            self.key(key);
            self.list(texts, |printer, text| printer.text(text));
        }
    }

    fn optional_member(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text_member(key, text);
        }
    }

    fn text_member(&mut self, key: &str, text: &str) {
        self.key(key);
        self.text(text);
    }

    fn key(&mut self, key: &str) {
        // Nothing else that can stand here ends with an opening brace.
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        self.text(key);
        self.out.push(':');
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&Value::from(text).to_string());
    }
}

/// A full name as it is written inside `space`.
fn relative(full_name: &str, own: Option<&str>, space: Option<&str>) -> String {
    let simple = full_name.rsplit('.').next().unwrap_or(full_name);
    // A type named like a primitive would be taken for it.
    if own == space && crate::avro::Primitive::from_name(simple).is_none() {
        simple.to_owned()
    } else {
        full_name.to_owned()
    }
}

#[cfg(test)]
mod tests;
