//! Readers against writers, each with the rule that decides.

use super::*;

fn parse(json: &str) -> Schema {
    Schema::parse(json).unwrap_or_else(|e| panic!("{json}: {e}"))
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

fn field(name: &str, kind: &str) -> String {
    format!(r#"{{"name":"{name}","type":{kind}}}"#)
}

/// Reader, writer, and the first broken rule with its place.
#[track_caller]
fn case(reader: &str, writer: &str, expected: Option<(Rule, &str)>) {
    let found = can_read(&parse(reader), &parse(writer));
    let got = found
        .first()
        .map(|reason| (reason.rule, reason.path.as_str()));
    assert_eq!(got, expected, "reader {reader}\nwriter {writer}");
}

#[test]
fn primitives_promote_one_way() {
    for (writer, readers) in [
        ("null", &[][..]),
        ("boolean", &[]),
        ("int", &["long", "float", "double"]),
        ("long", &["float", "double"]),
        ("float", &["double"]),
        ("double", &[]),
        ("bytes", &["string"]),
        ("string", &["bytes"]),
    ] {
        for reader in [
            "null", "boolean", "int", "long", "float", "double", "bytes", "string",
        ] {
            let fine = reader == writer || readers.contains(&reader);
            let expected = (!fine).then_some((Rule::TypeMismatch, "/"));
            case(&format!("{reader:?}"), &format!("{writer:?}"), expected);
        }
    }
}

#[test]
fn records() {
    let int = field("a", r#""int""#);
    let missing = Some((Rule::ReaderFieldMissingDefaultValue, "/fields/1"));
    // A field more without a default, with one, a field less, another order.
    case(
        &record(&format!("{int},{}", field("b", r#""int""#))),
        &record(&int),
        missing,
    );
    let with_default = format!(r#"{int},{{"name":"b","type":"int","default":0}}"#);
    case(&record(&with_default), &record(&int), None);
    let null_default = format!(r#"{int},{{"name":"b","type":["null","int"],"default":null}}"#);
    case(&record(&null_default), &record(&int), None);
    case(&record(&int), &record(&with_default), None);
    let two = format!("{int},{}", field("b", r#""string""#));
    let swapped = format!("{},{int}", field("b", r#""string""#));
    case(&record(&two), &record(&swapped), None);
    // A field's type promoted, and the other way round.
    let long = field("a", r#""long""#);
    case(&record(&long), &record(&int), None);
    case(
        &record(&int),
        &record(&long),
        Some((Rule::TypeMismatch, "/fields/0/type")),
    );
    // A renamed field with and without an alias.
    let alias = r#"{"name":"b","type":"int","aliases":["a"]}"#;
    case(&record(alias), &record(&int), None);
    case(
        &record(&field("b", r#""int""#)),
        &record(&int),
        Some((Rule::ReaderFieldMissingDefaultValue, "/fields/0")),
    );
    // The record's own name, its alias, and its namespace, which is not compared.
    let other = r#"{"type":"record","name":"S","namespace":"n","fields":[]}"#;
    let same = r#"{"type":"record","name":"S","namespace":"m","fields":[]}"#;
    case(other, &record(""), Some((Rule::NameMismatch, "/name")));
    case(other, same, None);
    case(
        r#"{"type":"record","name":"T","aliases":["n.S"],"fields":[]}"#,
        other,
        None,
    );
    case(&record(""), r#""int""#, Some((Rule::TypeMismatch, "/")));
}

#[test]
fn enums_and_fixed() {
    let ab = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
    let abc = r#"{"type":"enum","name":"E","symbols":["A","B","C"]}"#;
    case(abc, ab, None);
    case(ab, abc, Some((Rule::MissingEnumSymbols, "/symbols")));
    let default = r#"{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}"#;
    case(default, abc, None);
    let f4 = r#"{"type":"fixed","name":"F","size":4}"#;
    let f8 = r#"{"type":"fixed","name":"F","size":8}"#;
    case(f4, f4, None);
    case(f8, f4, Some((Rule::FixedSizeMismatch, "/size")));
    case(
        f4,
        r#"{"type":"fixed","name":"G","size":4}"#,
        Some((Rule::NameMismatch, "/name")),
    );
    case(ab, f4, Some((Rule::TypeMismatch, "/")));
    case(r#""bytes""#, f4, Some((Rule::TypeMismatch, "/")));
}

#[test]
fn collections_and_unions() {
    case(
        r#"{"type":"array","items":"long"}"#,
        r#"{"type":"array","items":"int"}"#,
        None,
    );
    case(
        r#"{"type":"array","items":"int"}"#,
        r#"{"type":"array","items":"string"}"#,
        Some((Rule::TypeMismatch, "/items")),
    );
    case(
        r#"{"type":"map","values":"string"}"#,
        r#"{"type":"map","values":"bytes"}"#,
        None,
    );
    case(
        r#"{"type":"map","values":"int"}"#,
        r#"{"type":"array","items":"int"}"#,
        Some((Rule::TypeMismatch, "/")),
    );
    case(r#"["null","int"]"#, r#""int""#, None);
    case(r#"["null","long"]"#, r#""int""#, None);
    case(
        r#"["null","int"]"#,
        r#""string""#,
        Some((Rule::MissingUnionBranch, "/")),
    );
    case(r#"["null","int","string"]"#, r#"["int","null"]"#, None);
    case(
        r#"["null","int"]"#,
        r#"["null","int","string"]"#,
        Some((Rule::MissingUnionBranch, "/2")),
    );
    // Every branch of the writer's union must be readable by a reader without one.
    case(r#""long""#, r#"["int","long"]"#, None);
    case(
        r#""int""#,
        r#"["null","int"]"#,
        Some((Rule::TypeMismatch, "/")),
    );
}

#[test]
fn logical_types_do_not_change_what_can_be_read() {
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}"#;
    case(decimal, decimal, None);
    case(r#""bytes""#, decimal, None);
    let wider = r#"{"type":"bytes","logicalType":"decimal","precision":20,"scale":2}"#;
    case(wider, decimal, None);
    let millis = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
    case(millis, r#""long""#, None);
    case(
        r#""string""#,
        r#"{"type":"string","logicalType":"uuid"}"#,
        None,
    );
}

#[test]
fn references_and_recursion() {
    let list = |value: &str| {
        format!(
            r#"{{"type":"record","name":"L","fields":[{},{}]}}"#,
            field("v", value),
            field("next", r#"["null","L"]"#)
        )
    };
    case(&list(r#""int""#), &list(r#""int""#), None);
    case(&list(r#""long""#), &list(r#""int""#), None);
    let broken = Some((Rule::TypeMismatch, "/fields/0/type"));
    case(&list(r#""int""#), &list(r#""long""#), broken);
    // Defined in one field and referred to in another, here in the other order.
    let e = r#"{"type":"enum","name":"E","symbols":["A"]}"#;
    let one = record(&format!("{},{}", field("a", e), field("b", r#""E""#)));
    let two = record(&format!("{},{}", field("b", e), field("a", r#""E""#)));
    case(&one, &two, None);
    // A pair of types that was found wanting once is wanting at its second place, too.
    let more = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
    let wrote = record(&format!("{},{}", field("a", more), field("b", r#""E""#)));
    assert_eq!(can_read(&parse(&one), &parse(&wrote)).len(), 2);
}

#[test]
fn levels_decide_the_direction_and_how_far_back() {
    let version = |version: i32, text: &str| Previous {
        version,
        text: text.to_owned(),
        references: Vec::new(),
    };
    let base = record(&field("a", r#""int""#));
    let optional = record(&format!(
        r#"{},{{"name":"b","type":"int","default":0}}"#,
        field("a", r#""int""#)
    ));
    let required = record(&format!(
        "{},{}",
        field("a", r#""int""#),
        field("b", r#""int""#)
    ));
    use Level::*;
    for (new, old, level, fine) in [
        (&required, &base, None, true),
        (&required, &base, Backward, false),
        (&required, &base, Forward, true),
        (&required, &base, Full, false),
        (&base, &required, Backward, true),
        (&base, &required, Forward, false),
        (&optional, &base, Full, true),
    ] {
        let reasons = check(&parse(new), &[version(1, old)], level);
        assert_eq!(reasons.is_empty(), fine, "{level:?}: {reasons:?}");
    }
    // base, optional, required: each may follow the one before, the last not the first.
    let history = [version(1, &base), version(2, &optional)];
    let new = parse(&required);
    assert!(check(&new, &history, Backward).is_empty());
    let reasons = check(&new, &history, BackwardTransitive);
    assert_eq!(
        reasons,
        [
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}".to_owned(),
            "{oldSchemaVersion: 1}".to_owned(),
            format!("{{oldSchema: '{base}'}}"),
            "{compatibility: 'BACKWARD_TRANSITIVE'}".to_owned(),
        ]
    );
    assert!(check(&new, &[], FullTransitive).is_empty());
}

#[test]
fn levels_have_their_names_in_any_case() {
    for (name, level) in Level::ALL {
        assert_eq!(level.name(), name);
        assert_eq!(name.to_lowercase().parse(), Ok(level));
    }
    assert_eq!("SIDEWAYS".parse::<Level>(), Err(UnknownLevel));
}
