use proptest::prelude::*;

use super::*;
use crate::samples::{self, any_event, encoded, one_of_each};
use crate::{DepotEffectue, Event, EventType};

fn bytes_of(put: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out);
    out
}

fn decimal(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

#[test]
fn numbers_are_zigzag_encoded() {
    for (value, want) in [
        (0, &[0][..]),
        (-1, &[1]),
        (1, &[2]),
        (-64, &[0x7f]),
        (64, &[0x80, 1]),
        (
            i64::MAX,
            &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        (
            i64::MIN,
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
    ] {
        assert_eq!(bytes_of(|out| put_long(out, value)), want);
        let mut input = Reader::new(want);
        assert_eq!(input.long("n"), Ok(value));
        assert_eq!(input.left(), 0);
    }
    for tenth in [2, 0x7f, 0x80] {
        let body = [&[0xff; 9][..], &[tenth, 0]].concat();
        assert_eq!(
            Reader::new(&body).long("n"),
            Err(DecodeError::LongOverflow { field: "n" })
        );
    }
}

#[test]
fn amounts_take_the_fewest_bytes() {
    for (text, want) in [
        ("0.00", &[2, 0][..]),
        ("-0.01", &[2, 0xff]),
        ("1.27", &[2, 0x7f]),
        ("1.28", &[4, 0x00, 0x80]),
        ("-1.28", &[2, 0x80]),
        ("-1.29", &[4, 0xff, 0x7f]),
        (
            "9999999999999999.99",
            &[16, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x63, 0xff, 0xff],
        ),
        (
            "-9999999999999999.99",
            &[16, 0xf2, 0x1f, 0x49, 0x4c, 0x58, 0x9c, 0x00, 0x01],
        ),
    ] {
        assert_eq!(
            bytes_of(|out| put_amount(out, decimal(text))),
            want,
            "{text}"
        );
        let read = Reader::new(want).amount("montant").unwrap();
        assert_eq!(read.to_string(), text);
    }
    // Other writers may repeat the sign.
    assert_eq!(
        Reader::new(&[6, 0xff, 0xff, 0x9c]).amount("montant"),
        Ok(decimal("-1.00"))
    );
}

#[test]
fn an_amount_beyond_18_digits_is_refused() {
    let too_long = [&[34][..], &[0; 17]].concat();
    let lowest = [&[32, 0x80][..], &[0; 15]].concat();
    for body in [
        &[0][..],
        &[16, 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x00], // 10^18 cents
        &[16, 0xf2, 0x1f, 0x49, 0x4c, 0x58, 0x9c, 0x00, 0x00],
        &too_long,
        &lowest,
    ] {
        let refused = Err(DecodeError::AmountRange { field: "montant" });
        assert_eq!(Reader::new(body).amount("montant"), refused, "{body:02x?}");
    }
}

#[test]
fn a_time_that_cannot_be_told_is_refused() {
    for value in [i64::MAX, i64::MIN] {
        let body = bytes_of(|out| put_long(out, value));
        let refused = Err(DecodeError::TimestampRange {
            field: "timestamp",
            value,
        });
        assert_eq!(Reader::new(&body).timestamp("timestamp"), refused);
    }
    for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let body = bytes_of(|out| put_long(out, time.timestamp_millis()));
        let read = Reader::new(&body).timestamp("timestamp").unwrap();
        assert_eq!(read.timestamp_millis(), time.timestamp_millis());
    }
}

/// `{"a": "1", "b": "2"}` in the blocks given, behind the union's branch.
fn metadata(blocks: &[u8]) -> Result<Option<BTreeMap<String, String>>, DecodeError> {
    let mut body = vec![2];
    body.extend_from_slice(blocks);
    let mut input = Reader::new(&body);
    let map = input.metadata("metadata")?;
    input.finish()?;
    Ok(map)
}

#[test]
fn a_map_may_come_in_blocks_with_and_without_size() {
    let want = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".into(), "2".into())]);
    for blocks in [
        &b"\x04\x02a\x021\x02b\x022\x00"[..],
        b"\x02\x02a\x021\x02\x02b\x022\x00",
        b"\x03\x10\x02a\x021\x02b\x022\x00", // -2 entries in 8 bytes
        b"\x01\x08\x02a\x021\x02\x02b\x022\x00",
    ] {
        assert_eq!(metadata(blocks), Ok(Some(want.clone())), "{blocks:02x?}");
    }
    assert_eq!(metadata(b"\x00"), Ok(Some(BTreeMap::new())));
    for size in [0x0e, 0x12, 0x0f] {
        let blocks = [&[3, size][..], b"\x02a\x021\x02b\x022\x00"].concat();
        let refused = Err(DecodeError::BlockSize { field: "metadata" });
        assert_eq!(metadata(&blocks), refused, "{size}");
    }
}

#[test]
fn a_huge_count_or_length_is_refused_before_allocating() {
    for count in [i64::MAX, i64::MIN, 1 << 40, -(1 << 40)] {
        let mut blocks = bytes_of(|out| put_long(out, count));
        blocks.extend_from_slice(b"\x02\x02a\x021\x00");
        let error = metadata(&blocks).unwrap_err();
        assert!(
            matches!(
                error,
                DecodeError::Truncated {
                    field: "metadata",
                    ..
                }
            ),
            "{error}"
        );
    }
    for length in [i64::MAX, 1 << 40, 4] {
        let mut body = bytes_of(|out| put_long(out, length));
        body.extend_from_slice(b"abc");
        let missing = length as u64 - 3;
        let refused = DecodeError::Truncated {
            field: "x",
            missing,
        };
        assert_eq!(Reader::new(&body).text("x"), Err(refused.clone()));
        assert_eq!(Reader::new(&body).amount("x"), Err(refused));
    }
    for length in [i64::MIN, -1] {
        let body = bytes_of(|out| put_long(out, length));
        let refused = Err(DecodeError::NegativeLength { field: "x", length });
        assert_eq!(Reader::new(&body).text("x"), refused);
    }
}

#[test]
fn text_must_be_utf8() {
    let refused = Err(DecodeError::NotUtf8 { field: "x" });
    assert_eq!(Reader::new(b"\x04a\xff").text("x"), refused);
    // U+0000 is valid UTF-8: who cannot store it refuses it there.
    assert_eq!(Reader::new(b"\x04a\0").text("x"), Ok("a\0".into()));
}

#[test]
fn a_symbol_must_be_one_of_the_schemas() {
    for value in [-1, 4, i64::MAX] {
        let body = bytes_of(|out| put_long(out, value));
        let refused = Err(DecodeError::UnknownSymbol {
            field: "canal",
            value,
        });
        assert_eq!(
            Reader::new(&body).symbol("canal", &crate::Canal::ALL),
            refused
        );
        let refused = Err(DecodeError::UnknownSymbol {
            field: "metadata",
            value,
        });
        assert_eq!(Reader::new(&body).metadata("metadata"), refused);
    }
}

#[test]
fn a_body_cut_at_any_length_or_with_a_byte_more_is_refused() {
    for event in one_of_each() {
        let mut body = encoded(&event);
        for length in 0..body.len() {
            let read = Event::decode(event.event_type(), &body[..length]);
            let error = read.expect_err("a cut body is not an event");
            assert!(
                matches!(error, DecodeError::Truncated { .. }),
                "{length}: {error}"
            );
        }
        body.push(0);
        let read = Event::decode(event.event_type(), &body);
        assert_eq!(read, Err(DecodeError::TrailingBytes { count: 1 }));
    }
}

#[test]
fn an_error_names_the_field() {
    let mut body = Vec::new();
    samples::depot_effectue().encode(&mut body);
    let error = DepotEffectue::decode(&body[..10]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event_id: the body ends 27 byte(s) too early"
    );
}

/// No input makes the decoder panic, and what it takes for an event is one.
fn try_all(body: &[u8]) {
    for event_type in EventType::ALL {
        if let Ok(event) = Event::decode(event_type, body) {
            assert_eq!(Event::decode(event_type, &encoded(&event)), Ok(event));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn random_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        try_all(&body);
    }

    #[test]
    fn a_damaged_body_never_panics(
        event in any_event(),
        at in any::<prop::sample::Index>(),
        with in proptest::collection::vec(any::<u8>(), 0..12),
        cut in 0_usize..12,
    ) {
        let mut body = encoded(&event);
        let at = at.index(body.len());
        let end = body.len().min(at + cut);
        body.splice(at..end, with);
        try_all(&body);
    }
}
