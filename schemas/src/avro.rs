//! The parts of Avro's binary encoding that the lab's schemas use, written for the hot path.
//!
//! The generated structs call it field by field. The reader trusts nothing: a declared length is
//! compared with what is left before anything is allocated, and every error names the field.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::amount::{cents, from_cents};

/// Why a body is not an event: the record is poison, another attempt would not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{field}: the body ends {missing} byte(s) too early")]
    Truncated { field: &'static str, missing: u64 },
    #[error("{field}: a negative length of {length}")]
    NegativeLength { field: &'static str, length: i64 },
    #[error("{field}: a number longer than 64 bits")]
    LongOverflow { field: &'static str },
    #[error("{field}: not UTF-8")]
    NotUtf8 { field: &'static str },
    #[error("{field}: {value} is not the number of a symbol or branch")]
    UnknownSymbol { field: &'static str, value: i64 },
    #[error("{field}: {value} ms is not a time that can be told")]
    TimestampRange { field: &'static str, value: i64 },
    #[error("{field}: an amount of no bytes or more than 18 digits")]
    AmountRange { field: &'static str },
    #[error("{field}: a block does not have the size that it declares")]
    BlockSize { field: &'static str },
    #[error("{count} byte(s) are left over behind the last field")]
    TrailingBytes { count: usize },
    /// The schema that the writer names belongs to another event.
    #[error("the writer's schema is {found}, not {expected}")]
    WrongSchema {
        expected: &'static str,
        found: String,
    },
    /// A body of another version of the schema that does not fit this one; see
    /// [`crate::evolution`].
    #[error("the writer's version does not fit: {0}")]
    Resolution(String),
}

/// Reads a body from front to back. `field` is what an error names.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    /// How many bytes have not been read yet.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// The end: nothing may be left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }

    /// A zigzag-encoded number of 64 bits.
    #[inline]
    pub fn long(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        let mut value: u64 = 0;
        for (i, byte) in self.rest.iter().enumerate() {
            // The tenth byte holds the last bit.
            if i == 9 && *byte > 1 {
                return Err(DecodeError::LongOverflow { field });
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(DecodeError::Truncated { field, missing: 1 })
    }

    /// So many bytes.
    #[inline]
    pub fn take(&mut self, field: &'static str, wanted: u64) -> Result<&'a [u8], DecodeError> {
        let left = self.rest.len() as u64;
        if wanted > left {
            let missing = wanted - left;
            return Err(DecodeError::Truncated { field, missing });
        }
        let (bytes, rest) = self.rest.split_at(wanted as usize);
        self.rest = rest;
        Ok(bytes)
    }

    /// A declared length and so many bytes.
    #[inline]
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.long(field)?;
        let wanted =
            u64::try_from(length).map_err(|_| DecodeError::NegativeLength { field, length })?;
        self.take(field, wanted)
    }

    /// A string that is not copied.
    #[inline]
    pub fn str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| DecodeError::NotUtf8 { field })
    }

    #[inline]
    pub fn text(&mut self, field: &'static str) -> Result<String, DecodeError> {
        self.str(field).map(str::to_owned)
    }

    pub fn optional_text(&mut self, field: &'static str) -> Result<Option<String>, DecodeError> {
        if self.symbol(field, &[false, true])? {
            self.text(field).map(Some)
        } else {
            Ok(None)
        }
    }

    #[inline]
    pub fn timestamp(&mut self, field: &'static str) -> Result<DateTime<Utc>, DecodeError> {
        let value = self.long(field)?;
        DateTime::from_timestamp_millis(value).ok_or(DecodeError::TimestampRange { field, value })
    }

    /// A decimal of scale 2 in big-endian two's complement.
    #[inline]
    pub fn amount(&mut self, field: &'static str) -> Result<Decimal, DecodeError> {
        let bytes = self.bytes(field)?;
        // More than 18 digits, unless leading bytes only repeat the sign: nobody writes so many.
        if bytes.is_empty() || bytes.len() > 16 {
            return Err(DecodeError::AmountRange { field });
        }
        let mut value: i128 = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        for byte in bytes {
            value = value << 8 | i128::from(*byte);
        }
        from_cents(value).ok_or(DecodeError::AmountRange { field })
    }

    /// The number of an enum's symbol or of a union's branch.
    #[inline]
    pub fn symbol<T: Copy>(&mut self, field: &'static str, all: &[T]) -> Result<T, DecodeError> {
        let value = self.long(field)?;
        let found = usize::try_from(value).ok().and_then(|i| all.get(i));
        found
            .copied()
            .ok_or(DecodeError::UnknownSymbol { field, value })
    }

    pub fn metadata(
        &mut self,
        field: &'static str,
    ) -> Result<Option<BTreeMap<String, String>>, DecodeError> {
        if !self.symbol(field, &[false, true])? {
            return Ok(None);
        }
        let mut map = BTreeMap::new();
        // An entry takes at least the two bytes of its lengths.
        self.blocks(field, 2, |input| {
            let key = input.text(field)?;
            map.insert(key, input.text(field)?);
            Ok(())
        })?;
        Ok(Some(map))
    }

    /// The items of a map or an array, of which each takes at least `item_size` bytes.
    pub fn blocks(
        &mut self,
        field: &'static str,
        item_size: u64,
        mut item: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        loop {
            let count = self.long(field)?;
            if count == 0 {
                return Ok(());
            }
            // A negative count is followed by the block's size in bytes.
            let size = if count < 0 {
                Some(self.long(field)?)
            } else {
                None
            };
            let left = self.left() as u64;
            let wanted = count.unsigned_abs().saturating_mul(item_size);
            if wanted > left {
                let missing = wanted - left;
                return Err(DecodeError::Truncated { field, missing });
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
            // Who skips the block by its size must arrive at the same place.
            let used = left - self.left() as u64;
            if size.is_some_and(|size| u64::try_from(size) != Ok(used)) {
                return Err(DecodeError::BlockSize { field });
            }
        }
    }
}

#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = (value << 1 ^ value >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}

pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub fn put_optional_text(out: &mut Vec<u8>, text: Option<&str>) {
    put_long(out, i64::from(text.is_some()));
    if let Some(text) = text {
        put_text(out, text);
    }
}

/// Writes the fewest bytes of big-endian two's complement; see [`crate::amount`] for rounding.
pub fn put_amount(out: &mut Vec<u8>, value: Decimal) {
    let cents = cents(value);
    // Leading bits that only repeat the sign are dropped, but one.
    let same = if cents < 0 {
        cents.leading_ones()
    } else {
        cents.leading_zeros()
    };
    let redundant = (same as usize - 1) / 8;
    put_bytes(out, &cents.to_be_bytes()[redundant..]);
}

pub fn put_metadata(out: &mut Vec<u8>, map: Option<&BTreeMap<String, String>>) {
    put_long(out, i64::from(map.is_some()));
    let Some(map) = map else { return };
    if !map.is_empty() {
        put_long(out, map.len() as i64);
        for (key, value) in map {
            put_text(out, key);
            put_text(out, value);
        }
    }
    put_long(out, 0);
}

#[cfg(test)]
mod tests;
