//! [`Slots`]: the slot map of a cluster, which assigns keys to masters.

use std::collections::BTreeMap;

use crc::{CRC_16_XMODEM, Crc};

use crate::config::Node;
use crate::resp::Value;

const SLOTS: u16 = 16384;
const CRC: Crc<u16> = Crc::<u16>::new(&CRC_16_XMODEM);

/// Returns the slot of `key`.
///
/// If the key contains a non-empty hash tag in `{braces}`, only the first tag is hashed.
// Source: the Redis Cluster specification, "Hash tags".
pub(super) fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let counted = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    CRC.checksum(counted.as_bytes()) % SLOTS
}

/// The slot ranges of a cluster, and the master of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    /// The first slot of each range, with the last slot and the master.
    ranges: BTreeMap<u16, (u16, Node)>,
}

impl Slots {
    /// Parses a reply to `CLUSTER SLOTS`, or returns `None` if it is malformed.
    ///
    /// The node `asked` sent the reply. It may not know its own address, which `asked` then replaces.
    pub(super) fn parse(reply: Value, asked: &Node) -> Option<Self> {
        let rows = reply.into_elements()?.into_iter();
        let ranges = rows.map(|row| range(row, asked)).collect::<Option<BTreeMap<_, _>>>()?;
        (!ranges.is_empty()).then_some(Slots { ranges })
    }

    pub(super) fn node(&self, slot: u16) -> Option<&Node> {
        let (_, (last, node)) = self.ranges.range(..=slot).next_back()?;
        (slot <= *last).then_some(node)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.ranges.values().map(|(_, node)| node)
    }
}

/// Parses a row: the first slot, the last slot, and the master.
fn range(row: Value, asked: &Node) -> Option<(u16, (u16, Node))> {
    let mut row = row.into_elements()?.into_iter();
    let first = number(row.next()?)?;
    let last = number(row.next()?).filter(|last| (first..SLOTS).contains(last))?;
    let mut master = row.next()?.into_elements()?.into_iter();
    let host = match master.next()? {
        Value::Nil => None,
        host => Some(host.into_text()?),
    };
    let port = number(master.next()?)?;
    let host = host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| asked.host.clone());
    Some((first, (last, Node::valid(host, port)?)))
}

fn number(value: Value) -> Option<u16> {
    value.into_integer()?.try_into().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    /// The expected slots are the replies to `CLUSTER KEYSLOT` of Redis 7.0.15.
    #[test]
    fn slot_matches_cluster_keyslot() {
        let slots = [
            ("foo", 12182),
            ("bar", 5061),
            ("123456789", 12739),
            ("{user1000}.following", 3443),
            ("foo{}{bar}", 8363),
            ("foo{{bar}}zap", 4015),
            ("", 0),
        ];
        for (key, expected) in slots {
            assert_eq!(slot(key), expected, "{key:?}");
        }
    }

    fn row(first: i64, last: i64, host: Value, port: i64) -> Value {
        Value::Array(vec![
            Value::Integer(first),
            Value::Integer(last),
            Value::Array(vec![host, Value::Integer(port), Value::Bulk(b"id".to_vec())]),
        ])
    }

    #[test]
    fn slot_lookup_returns_master_of_its_range() {
        let named = Value::Bulk(b"b".to_vec());
        let reply = Value::Array(vec![row(0, 99, Value::Nil, 1), row(200, 16383, named, 2)]);
        let slots = Slots::parse(reply, &Node::new("asked", 9)).unwrap();
        assert_eq!(slots.node(99), Some(&Node::new("asked", 1)));
        assert_eq!(slots.node(100), None);
        assert_eq!(slots.node(200), Some(&Node::new("b", 2)));
        assert_eq!(slots.nodes().count(), 2);
    }

    #[test]
    fn parse_of_malformed_reply_returns_none() {
        let asked = Node::new("asked", 9);
        let odd = [
            Value::Nil,
            Value::Integer(3),
            Value::Array(vec![]),
            Value::Array(vec![Value::Array(vec![Value::Integer(0)])]),
            Value::Array(vec![row(0, 70_000, Value::Nil, 1)]),
            Value::Array(vec![row(0, 16384, Value::Nil, 1)]),
            Value::Array(vec![row(9, 5, Value::Nil, 1)]),
            Value::Array(vec![row(-1, 5, Value::Nil, 1)]),
        ];
        for reply in odd {
            assert_eq!(Slots::parse(reply, &asked), None);
        }
    }
}
