//! The same schema written differently, and what makes another one.

use super::*;

fn text(json: &str) -> String {
    canonical(&Schema::parse(json).unwrap_or_else(|e| panic!("{json}: {e}")))
}

#[test]
fn the_same_schema_written_differently_has_one_form() {
    for (written, expected) in [
        (r#" "string" "#, r#""string""#),
        (r#"{"type":"string"}"#, r#""string""#),
        (r#"{"type":{"type":"string"}}"#, r#""string""#),
        // Attributes that mean nothing on a primitive.
        (r#"{"type":"string","doc":"x","name":"y"}"#, r#""string""#),
        (r#"[ "null" , "int" ]"#, r#"["null","int"]"#),
        (
            r#"{"items":"int","type":"array"}"#,
            r#"{"type":"array","items":"int"}"#,
        ),
        (
            r#"{"values":{"type":"long"},"type":"map"}"#,
            r#"{"type":"map","values":"long"}"#,
        ),
        (
            r#"{"logicalType":"timestamp-millis","type":"long"}"#,
            r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        ),
        (
            r#"{"type":"bytes","scale":2,"precision":18,"logicalType":"decimal"}"#,
            r#"{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}"#,
        ),
        (
            r#"{"fields":[{"default":0,"type":"int","doc":"d","name":"a"}],"doc":"r","namespace":"n","name":"R","type":"record"}"#,
            r#"{"type":"record","name":"R","namespace":"n","doc":"r","fields":[{"name":"a","type":"int","doc":"d","default":0}]}"#,
        ),
        (
            r#"{"type":"record","name":"a.b.R","fields":[]}"#,
            r#"{"type":"record","name":"R","namespace":"a.b","fields":[]}"#,
        ),
        (
            r#"{"type":"record","name":"a.R","namespace":"ignored","fields":[]}"#,
            r#"{"type":"record","name":"R","namespace":"a","fields":[]}"#,
        ),
        // A nested type inherits the namespace, however it is written.
        (
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"e","type":{"type":"enum","name":"n.E","symbols":["A"]}},{"name":"f","type":"n.E"}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"f","type":"E"}]}"#,
        ),
        (
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"f","type":{"type":"fixed","name":"F","namespace":"m","size":4}},{"name":"g","type":"m.F"}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"f","type":{"type":"fixed","name":"F","namespace":"m","size":4}},{"name":"g","type":"m.F"}]}"#,
        ),
        (
            r#"{"type":"record","name":"n.L","fields":[{"name":"next","type":["null","n.L"]}]}"#,
            r#"{"type":"record","name":"L","namespace":"n","fields":[{"name":"next","type":["null","L"]}]}"#,
        ),
        (
            r#"{"type":"record","name":"R","namespace":"n","aliases":["n.Old","m.Other"],"fields":[{"name":"a","type":"int","order":"ascending","aliases":["b"]}]}"#,
            r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"int","aliases":["b"]}],"aliases":["Old","m.Other"]}"#,
        ),
        (
            r#"{"type":"enum","name":"E","default":"A","symbols":["A","B"]}"#,
            r#"{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}"#,
        ),
        (
            r#"{"type":"record","name":"R","fields":[{"name":"m","type":{"type":"map","values":"int"},"default":{"b":1,"a":2}}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"m","type":{"type":"map","values":"int"},"default":{"a":2,"b":1}}]}"#,
        ),
    ] {
        assert_eq!(text(written), expected);
        assert_eq!(text(expected), expected, "the form is its own form");
    }
}

#[test]
fn what_matters_makes_another_schema() {
    let base = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    for other in [
        r#"{"type":"record","name":"S","fields":[{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","namespace":"n","fields":[{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","doc":"d","fields":[{"name":"a","type":"int"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","doc":"d"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":1}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","aliases":["b"]}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","order":"ignore"}]}"#,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"int","logicalType":"date"}}]}"#,
        r#"{"type":"record","name":"R","owner":"x","fields":[{"name":"a","type":"int"}]}"#,
    ] {
        assert_ne!(text(other), text(base), "{other}");
    }
}

#[test]
fn types_of_references_stand_by_name_or_are_written_out() {
    let money = r#"{"type":"record","name":"Money","namespace":"m","fields":[{"name":"amount","type":"long"}]}"#;
    let line = r#"{"type":"record","name":"Line","namespace":"m","fields":[{"name":"price","type":"Money"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"o","fields":[{"name":"line","type":"m.Line"},{"name":"total","type":"m.Money"}]}"#;
    let schema = Schema::parse_with(order, &[money, line]).unwrap();
    assert_eq!(canonical(&schema), order);
    let expected = r#"{"type":"record","name":"Order","namespace":"o","fields":[{"name":"line","type":{"type":"record","name":"Line","namespace":"m","fields":[{"name":"price","type":{"type":"record","name":"Money","fields":[{"name":"amount","type":"long"}]}}]}},{"name":"total","type":"m.Money"}]}"#;
    assert_eq!(whole(&schema).as_deref(), Some(expected));
    assert_eq!(text(expected), expected);
}

#[test]
fn a_normal_form_forgets_what_no_reader_can_tell() {
    for (written, expected) in [
        (
            r#"{"type":"record","name":"R","doc":"","aliases":["b","a","b"],"fields":[{"name":"f","type":"int","aliases":["z","y"]}]}"#,
            r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int","aliases":["y","z"]}],"aliases":["a","b"]}"#,
        ),
        (
            r#"["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":0}]"#,
            r#"["null",{"type":"bytes","logicalType":"decimal","precision":9}]"#,
        ),
        (
            r#"{"type":"record","name":"R","doc":"d","fields":[{"name":"f","type":"int","doc":""}]}"#,
            r#"{"type":"record","name":"R","doc":"d","fields":[{"name":"f","type":"int","doc":""}]}"#,
        ),
    ] {
        let mut schema = Schema::parse(written).unwrap();
        schema.normalize();
        assert_eq!(canonical(&schema), expected);
    }
}
