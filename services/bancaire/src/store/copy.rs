//! PostgreSQL's binary COPY format, as far as the ledger needs it.
//!
//! Binary spares the server the parsing of text, and us the quoting. The format: a header, per row
//! the number of fields and each field as a length and bytes (-1 for NULL), a trailer of -1.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in microseconds since 1970.
const EPOCH_US: i64 = 946_684_800_000_000;

/// Rows encoded so far.
pub struct CopyBuffer {
    bytes: Vec<u8>,
    fields: i16,
}

impl CopyBuffer {
    /// For rows of `fields` columns; `rows` is only a hint for the allocation.
    pub fn new(fields: i16, rows: usize) -> Self {
        let mut bytes = Vec::with_capacity(32 + rows * 224);
        bytes.extend_from_slice(SIGNATURE);
        bytes.extend_from_slice(&[0; 8]); // no flags, no header extension
        Self { bytes, fields }
    }

    /// Begins a row: exactly `fields` values must follow.
    pub fn row(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&self.fields.to_be_bytes());
        self
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.field(value.as_bytes())
    }

    pub fn optional_text(&mut self, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(value),
            None => self.null(),
        }
    }

    pub fn int4(&mut self, value: i32) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub fn int8(&mut self, value: i64) -> &mut Self {
        self.field(&value.to_be_bytes())
    }

    pub fn timestamptz(&mut self, value: DateTime<Utc>) -> &mut Self {
        self.int8(value.timestamp_micros() - EPOCH_US)
    }

    /// An amount of at most 16 digits before the point and two behind it.
    pub fn money(&mut self, value: Decimal) -> &mut Self {
        // PostgreSQL's numeric: groups of four decimal digits, the weight of the first group in
        // powers of 10,000, sign, digits after the point. Leading and trailing zero groups are left out.
        let mut cents = value;
        cents.rescale(2);
        let mantissa = cents.mantissa();
        let sign: u16 = if mantissa < 0 { 0x4000 } else { 0 };
        let cents =
            u64::try_from(mantissa.unsigned_abs()).expect("an amount has at most 18 digits");
        let (mut units, fraction) = (cents / 100, (cents % 100) * 100);
        let mut groups = [0_u16; 6];
        let mut first = 5;
        groups[5] = fraction as u16;
        while units > 0 {
            first -= 1;
            groups[first] = (units % 10_000) as u16;
            units /= 10_000;
        }
        let weight = 4 - first as i16;
        let mut digits = &groups[first..];
        while let [head @ .., 0] = digits {
            digits = head;
        }
        let length = 8 + 2 * digits.len() as i32;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        let header = [digits.len() as u16, weight as u16, sign, 2];
        for group in header.iter().chain(digits) {
            self.bytes.extend_from_slice(&group.to_be_bytes());
        }
        self
    }

    pub fn optional_money(&mut self, value: Option<Decimal>) -> &mut Self {
        match value {
            Some(value) => self.money(value),
            None => self.null(),
        }
    }

    pub fn optional_int8(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            Some(value) => self.int8(value),
            None => self.null(),
        }
    }

    pub fn null(&mut self) -> &mut Self {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
        self
    }

    /// The stream so far, to be sent as COPY data; goes on after it.
    pub fn take(&mut self) -> Vec<u8> {
        let next = Vec::with_capacity(self.bytes.capacity());
        std::mem::replace(&mut self.bytes, next)
    }

    /// The end of the stream, with what was not taken yet.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }

    fn field(&mut self, value: &[u8]) -> &mut Self {
        self.bytes
            .extend_from_slice(&(value.len() as i32).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Vec<i16> {
        let mut buffer = CopyBuffer::new(1, 0);
        let start = buffer.bytes.len();
        buffer.money(text.parse().unwrap());
        let field = &buffer.bytes[start..];
        let length = i32::from_be_bytes(field[..4].try_into().unwrap());
        assert_eq!(length as usize, field.len() - 4, "{text}");
        field[4..]
            .chunks(2)
            .map(|group| i16::from_be_bytes([group[0], group[1]]))
            .collect()
    }

    /// Digits, weight, sign, scale, then the groups: as `numeric_send` of PostgreSQL gives them.
    #[test]
    fn amounts_are_encoded_as_postgresql_does() {
        assert_eq!(money("0.00"), [0, -1, 0, 2]);
        assert_eq!(money("0.01"), [1, -1, 0, 2, 100]);
        assert_eq!(money("1"), [1, 0, 0, 2, 1]);
        assert_eq!(money("1234.56"), [2, 0, 0, 2, 1234, 5600]);
        assert_eq!(money("10000.00"), [1, 1, 0, 2, 1]);
        assert_eq!(money("10001.50"), [3, 1, 0, 2, 1, 1, 5000]);
        assert_eq!(money("-12.30"), [2, 0, 0x4000, 2, 12, 3000]);
        let largest = [5, 3, 0, 2, 9999, 9999, 9999, 9999, 9900];
        assert_eq!(money("9999999999999999.99"), largest);
    }

    #[test]
    fn pieces_make_the_same_stream() {
        let mut whole = CopyBuffer::new(1, 2);
        whole.row().int4(1).row().int4(2);
        let mut pieces = CopyBuffer::new(1, 1);
        pieces.row().int4(1);
        let mut sent = pieces.take();
        pieces.row().int4(2);
        sent.extend(pieces.take());
        sent.extend(pieces.finish());
        assert_eq!(sent, whole.finish());
    }

    #[test]
    fn rows_are_framed() {
        let mut buffer = CopyBuffer::new(3, 1);
        buffer.row().text("a").null().int4(7);
        let bytes = buffer.finish();
        let (header, rows) = bytes.split_at(19);
        assert_eq!(&header[..11], SIGNATURE);
        let expected = [
            0, 3, 0, 0, 0, 1, b'a', 255, 255, 255, 255, 0, 0, 0, 4, 0, 0, 0, 7, 255, 255,
        ];
        assert_eq!(rows, expected);
    }
}
