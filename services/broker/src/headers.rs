//! A record's headers as one row in the file instead of one each.
//!
//! nisshi runs a statement per header, and the lab's events carry seven: they would cost six times
//! as much as the record itself. [`pack`] folds them into one header on the way in, [`unpack`]
//! gives them back on the way out; nobody else reads the file. Compressed batches stay as they
//! are: unfolding them would cost more than it saves.

use nisshi_sans_io::record::header::Header;
use nisshi_sans_io::record::{deflated, inflated};
use rama::bytes::{Buf, BufMut, Bytes, BytesMut};

/// The one header's key. No client has a reason to use a zero byte.
const PACKED: &[u8] = b"\0headers";

/// The bits of a batch's attributes that name its compression.
const COMPRESSION: i16 = 0b111;

/// The same batch with at most one header per record. What cannot be decoded is returned as it
/// came, for the storage to refuse.
pub fn pack(batch: deflated::Batch) -> deflated::Batch {
    rewrite(batch, |headers| {
        (headers.len() > 1).then(|| {
            vec![Header {
                key: Some(Bytes::from_static(PACKED)),
                value: Some(encode(headers)),
            }]
        })
    })
}

/// The batch as it was produced.
pub fn unpack(batch: deflated::Batch) -> deflated::Batch {
    rewrite(batch, |headers| match headers {
        [
            Header {
                key: Some(key),
                value: Some(value),
            },
        ] if key == PACKED => decode(value.clone()),
        _ => None,
    })
}

/// Applies `change` to the headers of each record; `None` leaves a record alone, and a batch of
/// such records is returned untouched.
fn rewrite(
    batch: deflated::Batch,
    change: impl Fn(&[Header]) -> Option<Vec<Header>>,
) -> deflated::Batch {
    if batch.record_count == 0 || batch.attributes & COMPRESSION != 0 {
        return batch;
    }
    let Ok(mut open) = inflated::Batch::try_from(&batch) else {
        return batch;
    };
    let mut changed = false;
    for record in &mut open.records {
        if let Some(headers) = change(&record.headers) {
            record.headers = headers;
            changed = true;
        }
    }
    if !changed {
        return batch;
    }
    deflated::Batch::try_from(open).unwrap_or(batch)
}

/// Each key and value as its length plus one, zero for none, and its bytes.
fn encode(headers: &[Header]) -> Bytes {
    let mut packed = BytesMut::new();
    for part in headers.iter().flat_map(|h| [&h.key, &h.value]) {
        let length = part.as_ref().map_or(0, |bytes| bytes.len() as u64 + 1);
        put_varint(&mut packed, length);
        packed.put_slice(part.as_deref().unwrap_or_default());
    }
    packed.freeze()
}

fn decode(mut packed: Bytes) -> Option<Vec<Header>> {
    let mut headers = Vec::new();
    while packed.has_remaining() {
        let mut part = || -> Option<Option<Bytes>> {
            match usize::try_from(take_varint(&mut packed)?).ok()? {
                0 => Some(None),
                length if length - 1 <= packed.len() => Some(Some(packed.split_to(length - 1))),
                _ => None,
            }
        };
        headers.push(Header {
            key: part()?,
            value: part()?,
        });
    }
    Some(headers)
}

fn put_varint(to: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        to.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    to.put_u8(value as u8);
}

fn take_varint(from: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = from.has_remaining().then(|| from.get_u8())?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use nisshi_sans_io::record::Record;

    use super::*;

    fn header(key: &str, value: Option<&str>) -> Header {
        Header {
            key: Some(Bytes::copy_from_slice(key.as_bytes())),
            value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
        }
    }

    fn batch(headers: &[Vec<Header>]) -> deflated::Batch {
        let mut batch = inflated::Batch::builder().producer_id(7).base_sequence(5);
        for (delta, headers) in headers.iter().enumerate() {
            let mut record = Record::builder().offset_delta(delta as i32);
            for header in headers {
                let mut builder = Header::builder();
                if let Some(key) = header.key.clone() {
                    builder = builder.key(key);
                }
                if let Some(value) = header.value.clone() {
                    builder = builder.value(value);
                }
                record = record.header(builder);
            }
            batch = batch.record(record);
        }
        let batch = batch.last_offset_delta(headers.len() as i32 - 1);
        batch.build().unwrap().try_into().unwrap()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let long = "x".repeat(300);
        let produced = batch(&[
            vec![
                header("a", Some("1")),
                header("a", None),
                header("", Some("")),
            ],
            vec![],
            vec![header("only", Some("one"))],
            vec![header("long", Some(&long)), header("b", Some("2"))],
        ]);
        let packed = pack(produced.clone());
        let open = inflated::Batch::try_from(&packed).unwrap();
        let counts: Vec<usize> = open.records.iter().map(|r| r.headers.len()).collect();
        assert_eq!(counts, [1, 0, 1, 1]);
        assert_eq!((packed.producer_id, packed.base_sequence), (7, 5));
        assert_eq!(unpack(packed), produced);
    }

    #[test]
    fn nothing_to_pack_changes_nothing() {
        for headers in [vec![vec![]], vec![vec![header("a", Some("1"))]]] {
            let produced = batch(&headers);
            assert_eq!(pack(produced.clone()), produced);
            assert_eq!(unpack(produced.clone()), produced);
        }
    }

    #[test]
    fn nonsense_under_the_key_stays_as_it_is() {
        for nonsense in ["\u{5}ab", "\u{7f}"] {
            let nonsense = batch(&[vec![header("\0headers", Some(nonsense))]]);
            assert_eq!(unpack(nonsense.clone()), nonsense);
        }
    }
}
