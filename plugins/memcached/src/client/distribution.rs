//! [`Distribution`]: assigns keys to servers, as the Python clients do.

// Source: python-memcached `memcache.py`; pymemcache `client/rendezvous.py`; libmemcached `hosts.cc` and `hash.cc`.

use md5::{Digest, Md5};

use super::address::{Address, Place};

/// The rule that assigns keys to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Distribution {
    /// CRC-32, as in python-memcached. Other servers get the keys of a dead server.
    Crc,
    /// Rendezvous hashing, as in pymemcache. Other servers get the keys of a dead server.
    Rendezvous,
    /// The remainder of a hash, as in libmemcached. Weights have no effect.
    Modula(Hash),
    /// A circle, as libmemcached's `ketama`. The hash places the keys and, without weights, the servers.
    Ketama(Hash),
    /// The circle of libmemcached's `ketama_weighted`, by MD5. A server's share grows with its weight.
    KetamaWeighted,
    /// Every key on every server, as in python-binary-memcached.
    Replicated,
}

/// A hash function of libmemcached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hash {
    /// Jenkins's one-at-a-time: libmemcached's default.
    OneAtATime,
    /// The first four bytes of the MD5.
    Md5,
    /// Half of the CRC-32.
    Crc,
    /// The lower half of the 64-bit FNV-1.
    Fnv1_64,
    /// The 64-bit FNV-1a, computed in 32 bits.
    Fnv1a64,
    /// The 32-bit FNV-1.
    Fnv1_32,
    /// The 32-bit FNV-1a.
    Fnv1a32,
}

/// The servers that have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// None, because all of them are dead.
    Nowhere,
    /// The server with this index.
    On(usize),
    /// All servers.
    Everywhere,
}

/// A distribution over a list of servers.
#[derive(Debug)]
pub(super) struct Ring {
    distribution: Distribution,
    /// The names of the servers in the hashed texts.
    names: Vec<String>,
    /// The index of each server, repeated by its weight.
    buckets: Vec<usize>,
    /// The points of the circle in order, each with the index of its server.
    circle: Vec<(u32, usize)>,
}

impl Ring {
    pub(super) fn new(distribution: Distribution, addresses: &[Address]) -> Self {
        let names = addresses.iter().map(Address::to_string).collect();
        let weigh = |(number, address): (usize, &Address)| vec![number; address.weight as usize];
        let buckets = addresses.iter().enumerate().flat_map(weigh).collect();
        let mut circle = match distribution {
            // If any server has a weight, libmemcached uses the weighted circle and keeps the hash for keys.
            Distribution::Ketama(hash) if addresses.iter().all(|address| address.weight == 1) => {
                points(hash, addresses)
            }
            Distribution::Ketama(_) | Distribution::KetamaWeighted => weighted_points(addresses),
            _ => Vec::new(),
        };
        circle.sort_unstable();
        Ring { distribution, names, buckets, circle }
    }

    /// Returns the place of `key` among the servers for which `is_up` holds.
    pub(super) fn place(&self, key: &str, is_up: impl Fn(usize) -> bool) -> Where {
        match self.distribution {
            Distribution::Replicated => return Where::Everywhere,
            Distribution::Crc => self.by_crc(key, is_up),
            Distribution::Rendezvous => self.by_rendezvous(key, is_up),
            Distribution::Modula(hash) => Some(hash.of(key.as_bytes()) as usize % self.names.len()),
            Distribution::Ketama(hash) => self.by_circle(hash.of(key.as_bytes())),
            Distribution::KetamaWeighted => self.by_circle(md5(key.as_bytes(), 0)),
        }
        .map_or(Where::Nowhere, Where::On)
    }

    fn by_crc(&self, key: &str, is_up: impl Fn(usize) -> bool) -> Option<usize> {
        const ATTEMPTS: usize = 10;
        let mut hash = half_of_crc(key.as_bytes());
        for attempt in 0..ATTEMPTS {
            let number = self.buckets[hash as usize % self.buckets.len()];
            if is_up(number) {
                return Some(number);
            }
            hash = half_of_crc(format!("{hash}{attempt}").as_bytes());
        }
        None
    }

    fn by_circle(&self, hash: u32) -> Option<usize> {
        let next = self.circle.partition_point(|(point, _)| *point < hash);
        self.circle.get(next).or(self.circle.first()).map(|(_, number)| *number)
    }

    fn by_rendezvous(&self, key: &str, is_up: impl Fn(usize) -> bool) -> Option<usize> {
        if self.names.len() == 1 {
            return is_up(0).then_some(0);
        }
        let up = (0..self.names.len()).filter(|number| is_up(*number));
        up.max_by_key(|number| {
            let name = &self.names[*number];
            (murmur3(format!("{name}-{key}").as_bytes()), name)
        })
    }
}

impl Hash {
    fn of(self, key: &[u8]) -> u32 {
        // libmemcached hashes bytes as `char`, which is signed on the usual server processors.
        let signed = |byte: &u8| i32::from(*byte as i8) as u32;
        match self {
            Hash::OneAtATime => one_at_a_time(key.iter().map(signed)),
            Hash::Md5 => md5(key, 0),
            Hash::Crc => half_of_crc(key),
            Hash::Fnv1_64 => key
                .iter()
                .fold(FNV_64, |hash, byte| hash.wrapping_mul(FNV_64_PRIME) ^ (i64::from(*byte as i8) as u64))
                as u32,
            Hash::Fnv1a64 => key
                .iter()
                .fold(FNV_64 as u32, |hash, byte| (hash ^ signed(byte)).wrapping_mul(FNV_64_PRIME as u32)),
            Hash::Fnv1_32 => {
                key.iter().fold(FNV_32, |hash, byte| hash.wrapping_mul(FNV_32_PRIME) ^ signed(byte))
            }
            Hash::Fnv1a32 => {
                key.iter().fold(FNV_32, |hash, byte| (hash ^ signed(byte)).wrapping_mul(FNV_32_PRIME))
            }
        }
    }
}

const FNV_64: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_64_PRIME: u64 = 0x100_0000_01b3;
const FNV_32: u32 = 2_166_136_261;
const FNV_32_PRIME: u32 = 16_777_619;

fn one_at_a_time(key: impl Iterator<Item = u32>) -> u32 {
    let mut value = key.fold(0_u32, |value, byte| {
        let value = value.wrapping_add(byte);
        let value = value.wrapping_add(value << 10);
        value ^ (value >> 6)
    });
    value = value.wrapping_add(value << 3);
    value ^= value >> 11;
    value.wrapping_add(value << 15)
}

/// Returns the four bytes of the MD5 with index `part`.
fn md5(text: &[u8], part: usize) -> u32 {
    let digest = Md5::digest(text);
    digest[4 * part..4 * part + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn half_of_crc(text: &[u8]) -> u32 {
    (crc32fast::hash(text) >> 16) & 0x7fff
}

/// Returns the 32-bit MurmurHash3 with seed 0.
fn murmur3(data: &[u8]) -> u32 {
    fn scrambled(block: u32) -> u32 {
        block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
    }
    let (blocks, rest) = data.as_chunks::<4>();
    let mut hash = blocks.iter().fold(0_u32, |hash, block| {
        let hash = hash ^ scrambled(u32::from_le_bytes(*block));
        hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    });
    if !rest.is_empty() {
        hash ^= scrambled(rest.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)));
    }
    hash ^= data.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// Returns the name of a server on the circle.
fn on_circle(address: &Address) -> String {
    match &address.place {
        Place::Tcp(host, 11211) => host.clone(),
        Place::Tcp(host, port) => format!("{host}:{port}"),
        Place::Unix(path) => format!("{}:0", path.display()),
    }
}

fn points(hash: Hash, addresses: &[Address]) -> Vec<(u32, usize)> {
    const POINTS: usize = 100;
    let of_server = |(number, address)| {
        let name = on_circle(address);
        (0..POINTS).map(move |point| (hash.of(format!("{name}-{point}").as_bytes()), number))
    };
    addresses.iter().enumerate().flat_map(of_server).collect()
}

fn weighted_points(addresses: &[Address]) -> Vec<(u32, usize)> {
    const POINTS: f32 = 160.0;
    /// The number of points that one digest yields.
    const PER_DIGEST: usize = 4;
    let total: u32 = addresses.iter().map(|address| address.weight).sum();
    let of_server = |(number, address): (usize, &Address)| {
        let part = address.weight as f32 / total as f32;
        let digests = (part * POINTS / PER_DIGEST as f32 * addresses.len() as f32 + 1e-10).floor() as usize;
        let name = on_circle(address);
        (0..digests).flat_map(move |point| {
            let text = format!("{name}-{point}");
            (0..PER_DIGEST).map(move |part| (md5(text.as_bytes(), part), number)).collect::<Vec<_>>()
        })
    };
    addresses.iter().enumerate().flat_map(of_server).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]
mod tests {
    use super::*;

    fn ring(distribution: Distribution) -> Ring {
        let addresses: Vec<_> =
            ["a:1", "b:2", "c:3"].iter().map(|text| Address::parse(text).unwrap()).collect();
        Ring::new(distribution, &addresses)
    }

    #[test]
    fn murmur3_matches_the_reference() {
        assert_eq!(murmur3(b""), 0);
        assert_eq!(murmur3(b"test"), 0xba6b_d213);
        assert_eq!(murmur3(b"Hello, world!"), 0xc036_3e43);
    }

    #[test]
    fn every_server_gets_a_share() {
        for distribution in [
            Distribution::Crc,
            Distribution::Rendezvous,
            Distribution::Modula(Hash::OneAtATime),
            Distribution::Ketama(Hash::Md5),
            Distribution::KetamaWeighted,
        ] {
            let ring = ring(distribution);
            let mut counts = [0; 3];
            for number in 0..3000 {
                let Where::On(server) = ring.place(&format!("key {number}"), |_| true) else { panic!() };
                counts[server] += 1;
            }
            assert!(counts.iter().all(|count| (600..1500).contains(count)), "{distribution:?}: {counts:?}");
        }
    }

    #[test]
    fn only_keys_of_a_dead_server_move() {
        for distribution in [Distribution::Crc, Distribution::Rendezvous] {
            let ring = ring(distribution);
            for number in 0..300 {
                let key = format!("key {number}");
                let (all_up, one_out) = (ring.place(&key, |_| true), ring.place(&key, |server| server != 1));
                assert!(one_out != Where::On(1) && one_out != Where::Nowhere);
                assert!(all_up == Where::On(1) || all_up == one_out, "{key} moved");
            }
            assert_eq!(ring.place("key", |_| false), Where::Nowhere);
        }
    }
}
