//! What is no schema, and how deep one may be.

use super::*;

#[test]
fn what_is_no_avro_schema_is_refused_with_a_reason() {
    for text in [
        "",
        "string",
        "{}",
        "42",
        r#""strin""#,
        r#"{"type":"record","name":"R"}"#,
        r#"{"type":"record","fields":[]}"#,
        r#"{"type":"record","name":"1R","fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"Unknown"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"array","items":"int"}]}"#,
        r#"{"type":"record","name":"R","namespace":"a..b","fields":[]}"#,
        r#"{"type":"record","name":"R","aliases":["a-b"],"fields":[]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a b","type":"int"}]}"#,
        r#"{"type":"enum","name":"E","symbols":["A","A"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
        r#"{"type":"fixed","name":"F"}"#,
        r#"["int","int"]"#,
        r#"[{"type":"fixed","name":"F","size":1},{"type":"enum","name":"F","symbols":[]}]"#,
    ] {
        let error = Schema::parse(text).expect_err(text);
        assert!(!error.to_string().is_empty(), "{text}");
    }
}

/// The recursion limit of the JSON parser is what bounds every recursion behind it.
#[test]
fn deep_nesting_is_refused_or_read_but_does_not_overflow() {
    for depth in [10, 60, 100, 5_000] {
        let open = r#"{"type":"array","items":"#.repeat(depth);
        let text = format!("{open}\"int\"{}", "}".repeat(depth));
        assert_eq!(Schema::parse(&text).is_ok(), depth <= 100, "{depth}");
    }
}

#[test]
fn defaults_fit_their_types() {
    let field = |kind: &str, default: &str| {
        format!(
            r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{kind},"default":{default}}}]}}"#
        )
    };
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#;
    let fixed = r#"{"type":"fixed","name":"F","size":2}"#;
    let symbols = r#"{"type":"enum","name":"E","symbols":["A","B"]}"#;
    let inner = r#"{"type":"record","name":"I","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":0}]}"#;
    for (kind, default, fine) in [
        (r#""null""#, "null", true),
        (r#""null""#, "0", false),
        (r#""int""#, "2147483647", true),
        (r#""int""#, "2147483648", false),
        (r#""int""#, "1.0", false),
        (r#""long""#, "2147483648", true),
        (r#""float""#, "1", true),
        (r#""double""#, "1.5", true),
        (r#""double""#, r#""1.5""#, false),
        (r#""boolean""#, "false", true),
        (r#""string""#, r#""é€""#, true),
        (r#""bytes""#, r#""\u00ff""#, true),
        (r#""bytes""#, r#""€""#, false),
        (decimal, r#""\u0000""#, true),
        (fixed, r#""ab""#, true),
        (fixed, r#""abc""#, false),
        (symbols, r#""B""#, true),
        (symbols, r#""C""#, false),
        (r#"{"type":"array","items":"int"}"#, "[1,2]", true),
        (r#"{"type":"array","items":"int"}"#, r#"["x"]"#, false),
        (r#"{"type":"map","values":"int"}"#, r#"{"a":1}"#, true),
        (r#"["null","int"]"#, "null", true),
        (r#"["int","null"]"#, "null", true),
        (r#"["int","null"]"#, r#""x""#, false),
        (inner, r#"{"x":1}"#, true),
        (inner, r#"{"y":1}"#, false),
    ] {
        let text = field(kind, default);
        assert_eq!(Schema::parse(&text).is_ok(), fine, "{text}");
    }
}

#[test]
fn names_of_references_are_known_and_cannot_be_defined_again() {
    let money = r#"{"type":"record","name":"m.Money","fields":[]}"#;
    let using = r#"{"type":"array","items":"m.Money"}"#;
    assert!(Schema::parse(using).is_err());
    let schema = Schema::parse_with(using, &[money]).unwrap();
    assert_eq!((schema.external, schema.types.len()), (1, 1));
    let error = Schema::parse_with(money, &[money]).unwrap_err();
    assert!(error.to_string().contains("defined twice"), "{error}");
    let bad = r#"{"type":"enum","name":"E","symbols":["A","A"]}"#;
    assert!(Schema::parse_with(bad, &[money]).is_err());
    // A chain of types longer than what may nest.
    let chain: Vec<String> = (0..500)
        .map(|n| match n {
            0 => r#"{"type":"record","name":"R0","fields":[]}"#.to_owned(),
            _ => format!(
                r#"{{"type":"record","name":"R{n}","fields":[{{"name":"f","type":"R{}"}}]}}"#,
                n - 1
            ),
        })
        .collect();
    let error = Schema::parse_with(r#"{"type":"array","items":"R499"}"#, &chain).unwrap_err();
    assert!(error.to_string().contains("deeply"), "{error}");
}
