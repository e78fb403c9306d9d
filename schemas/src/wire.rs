//! Confluent's wire format: a zero byte, the schema's id in four bytes, the Avro body.
//!
//! A producer puts [`frame`]'s bytes into a record's value; a consumer takes them apart with
//! [`parse`], asks the registry for the id's schema, and goes on with [`crate::evolution`].

use crate::Event;

/// The first byte of every framed record.
pub const MAGIC: u8 = 0;
/// The magic byte and the id.
pub const HEADER_LEN: usize = 5;

/// Why a record's value is not framed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("the value is empty")]
    Empty,
    #[error("the value has {len} byte(s), less than the 5 of the wire format's header")]
    TooShort { len: usize },
    #[error("the value starts with 0x{found:02x} instead of the magic byte 0x00")]
    BadMagic { found: u8 },
}

/// The bytes of a record's value.
///
/// Never fails; see [`crate::amount`] for amounts that [`Event::check`] would refuse.
pub fn frame(schema_id: u32, event: &Event) -> Vec<u8> {
    // Most events fit, so that the buffer is allocated once.
    let mut out = Vec::with_capacity(256);
    out.push(MAGIC);
    out.extend_from_slice(&schema_id.to_be_bytes());
    event.encode(&mut out);
    out
}

/// The schema's id and the Avro body.
///
/// # Errors
/// When the value is empty, does not start with the magic byte, or ends within the header.
pub fn parse(value: &[u8]) -> Result<(u32, &[u8]), WireError> {
    match value {
        [] => Err(WireError::Empty),
        [found, ..] if *found != MAGIC => Err(WireError::BadMagic { found: *found }),
        [_, a, b, c, d, body @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), body)),
        short => Err(WireError::TooShort { len: short.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EventType, samples};

    #[test]
    fn a_frame_is_magic_id_and_body() {
        for event in samples::one_of_each() {
            let mut body = Vec::new();
            event.encode(&mut body);
            let value = frame(0x0102_0304, &event);
            assert_eq!(value[..HEADER_LEN], [0, 1, 2, 3, 4]);
            assert_eq!(value[HEADER_LEN..], body);
            assert_eq!(parse(&value), Ok((0x0102_0304, body.as_slice())));
        }
    }

    #[test]
    fn what_is_not_framed_says_why() {
        assert_eq!(parse(&[]), Err(WireError::Empty));
        assert_eq!(
            parse(b"{\"a\":1}"),
            Err(WireError::BadMagic { found: b'{' })
        );
        for len in 1..HEADER_LEN {
            assert_eq!(parse(&vec![0; len]), Err(WireError::TooShort { len }));
        }
        // A header alone is framed; the empty body is what cannot be read.
        let (id, body) = parse(&[0; HEADER_LEN]).unwrap();
        assert_eq!(id, 0);
        assert!(crate::Event::decode(EventType::DepotEffectue, body).is_err());
    }
}
