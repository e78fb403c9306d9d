//! What a group's leader assigned to a member, in the bytes of Kafka's consumer protocol
//! (`ConsumerProtocolAssignment`): a version, topics with their partitions, and user data.
//!
//! The bytes come from whoever is in the group, so that nothing in them is trusted.

use super::PartitionName;

/// More than any member of a lab has.
const MOST: usize = 10_000;

/// The partitions of an assignment; none where it is not one.
pub fn parse(bytes: &[u8]) -> Vec<PartitionName> {
    // What could be read of a broken one would be half a truth.
    read(&mut Reader(bytes)).unwrap_or_default()
}

fn read(reader: &mut Reader<'_>) -> Option<Vec<PartitionName>> {
    let _version = reader.i16()?;
    let mut partitions = Vec::new();
    for _ in 0..reader.count()? {
        let topic = reader.string()?;
        for _ in 0..reader.count()? {
            if partitions.len() == MOST {
                return None;
            }
            partitions.push(PartitionName {
                topic: topic.to_owned(),
                partition: reader.i32()?,
            });
        }
    }
    partitions.sort();
    Some(partitions)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn i16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// The length of an array, whose elements are four bytes or more each.
    fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.i32()?).ok()?;
        (count <= self.0.len() / 4).then_some(count)
    }

    fn string(&mut self) -> Option<&'a str> {
        let len = usize::try_from(self.i16()?).ok()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assignment() -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend(2_i32.to_be_bytes());
        for (topic, partitions) in [("b", &[2, 0][..]), ("aa", &[1][..])] {
            bytes.extend((topic.len() as i16).to_be_bytes());
            bytes.extend(topic.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            for partition in partitions {
                bytes.extend(i32::to_be_bytes(*partition));
            }
        }
        // No user data.
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn an_assignment_is_read_in_order() {
        let read: Vec<(String, i32)> = parse(&assignment())
            .into_iter()
            .map(|name| (name.topic, name.partition))
            .collect();
        assert_eq!(read, [("aa".into(), 1), ("b".into(), 0), ("b".into(), 2)]);
    }

    #[test]
    fn what_is_cut_off_or_boasts_is_no_assignment() {
        let whole = assignment();
        for len in 0..whole.len() - 4 {
            assert!(parse(&whole[..len]).is_empty(), "{len} bytes");
        }
        let mut boasting = vec![0, 0];
        boasting.extend(i32::MAX.to_be_bytes());
        assert!(parse(&boasting).is_empty());
        let mut negative = vec![0, 0];
        negative.extend((-5_i32).to_be_bytes());
        assert!(parse(&negative).is_empty());
    }
}
