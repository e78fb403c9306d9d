//! Walks over a body by its writer's schema and checks every length, without keeping anything.

use apache_avro::schema::{Name, Namespace, RecordSchema, ResolvedSchema, Schema};

use crate::DecodeError;
use crate::avro::Reader;

/// Records in records: deeper than any event, and far from the end of a thread's stack.
const MAX_DEPTH: usize = 32;
/// Items of maps and arrays in one body: enough for an event, and bounds what they unfold to.
const MAX_ITEMS: usize = 16 * 1024;
/// What errors call every field.
pub(super) const FIELD: &str = "body";

/// Checks that the body is what the schema says, to its last byte.
pub(super) fn check(schema: &Schema, body: &[u8]) -> Result<(), DecodeError> {
    let resolved = ResolvedSchema::try_from(schema).map_err(|e| refuse(e.to_string()))?;
    let mut scan = Scan {
        resolved: &resolved,
        input: Reader::new(body),
        items: 0,
        depth: 0,
    };
    scan.value(schema, &None)?;
    scan.input.finish()
}

/// Where the record's fields end in the body, up to the first that is not what the schema says;
/// and why that one is not, or what is wrong behind the last.
pub(super) fn fields(
    schema: &Schema,
    record: &RecordSchema,
    body: &[u8],
) -> (Vec<usize>, Option<DecodeError>) {
    let mut ends = Vec::with_capacity(record.fields.len());
    let resolved = match ResolvedSchema::try_from(schema) {
        Ok(resolved) => resolved,
        Err(e) => return (ends, Some(refuse(e.to_string()))),
    };
    let mut scan = Scan {
        resolved: &resolved,
        input: Reader::new(body),
        items: 0,
        depth: 1,
    };
    let namespace = record.name.fully_qualified_name(&None).namespace;
    for field in &record.fields {
        if let Err(e) = scan.value(&field.schema, &namespace) {
            return (ends, Some(e));
        }
        ends.push(body.len() - scan.input.left());
    }
    (ends, scan.input.finish().err())
}

struct Scan<'a> {
    resolved: &'a ResolvedSchema<'a>,
    input: Reader<'a>,
    items: usize,
    depth: usize,
}

impl Scan<'_> {
    fn value(&mut self, schema: &Schema, namespace: &Namespace) -> Result<(), DecodeError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(refuse(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        self.inner(schema, namespace)?;
        self.depth -= 1;
        Ok(())
    }

    fn inner(&mut self, schema: &Schema, namespace: &Namespace) -> Result<(), DecodeError> {
        match schema {
            Schema::Null => Ok(()),
            Schema::Boolean => self.skip(1),
            Schema::Int
            | Schema::Long
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => self.input.long(FIELD).map(drop),
            Schema::Float => self.skip(4),
            Schema::Double => self.skip(8),
            Schema::Duration => self.skip(12),
            Schema::String => self.input.str(FIELD).map(drop),
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid => self.input.bytes(FIELD).map(drop),
            Schema::Fixed(fixed) => self.skip(fixed.size as u64),
            Schema::Decimal(decimal) => self.value(&decimal.inner, namespace),
            Schema::Enum(symbols) => self
                .input
                .symbol(FIELD, &symbols.symbols.iter().collect::<Vec<_>>())
                .map(drop),
            Schema::Union(union) => {
                let branches: Vec<&Schema> = union.variants().iter().collect();
                let branch = self.input.symbol(FIELD, &branches)?;
                self.value(branch, namespace)
            }
            Schema::Array(array) => self.items(0, |scan| scan.value(&array.items, namespace)),
            Schema::Map(map) => self.items(1, |scan| {
                scan.input.str(FIELD)?;
                scan.value(&map.types, namespace)
            }),
            Schema::Record(record) => {
                let name = record.name.fully_qualified_name(namespace);
                record
                    .fields
                    .iter()
                    .try_for_each(|field| self.value(&field.schema, &name.namespace))
            }
            Schema::Ref { name } => self.named(&name.fully_qualified_name(namespace)),
        }
    }

    fn named(&mut self, name: &Name) -> Result<(), DecodeError> {
        let names = self.resolved.get_names();
        let schema = names
            .get(name)
            .ok_or_else(|| refuse(format!("{name} is not defined")))?;
        self.value(schema, &name.namespace)
    }

    fn items(
        &mut self,
        item_size: u64,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        // `blocks` lends its reader to the closure; the scan takes it back for each item.
        let mut input = self.input.clone();
        input.blocks(FIELD, item_size, |input| {
            self.items += 1;
            if self.items > MAX_ITEMS {
                return Err(refuse(format!("more than {MAX_ITEMS} items")));
            }
            self.input = input.clone();
            item(self)?;
            *input = self.input.clone();
            Ok(())
        })?;
        self.input = input;
        Ok(())
    }

    fn skip(&mut self, count: u64) -> Result<(), DecodeError> {
        self.input.take(FIELD, count).map(drop)
    }
}

fn refuse(message: String) -> DecodeError {
    DecodeError::Resolution(message)
}
