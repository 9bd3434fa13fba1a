//! Mutated values: reading them neither panics nor takes much more memory than their bytes.
//!
//! `PROPTEST_CASES=200000` makes that many for each serializer; `tests/deep` does.

use std::collections::{BTreeMap, HashMap};
use std::env;

use allocation_counter::{AllocationInfo, measure};
use dogpile::CacheValue;
use dogpile::serializer::{Json, MsgPack, Pickle, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The seed of the first mutated value. The others follow.
const SEED: u64 = 0x5eed;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Row {
    id: u64,
    name: String,
    sizes: Vec<(i32, f32)>,
    form: Form,
    more: BTreeMap<u16, Option<Row>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
enum Form {
    #[default]
    Unit,
    Newtype(i128),
    Tuple(char, Vec<u8>),
    Struct {
        wide: u128,
    },
}

/// Lists in each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

/// What Python 3.11 writes for shared objects, sets, bytes, and others, in the protocols 0 to 5.
#[rustfmt::skip]
const PICKLES: [&[u8]; 14] = [
    b"(lp0\n(dp1\nVk\np2\nVv\np3\nsVn\np4\n(lp5\nI1\naF2.5\naNaI01\nasag1\nag1\na.",
    b"\x80\x02]q\x00(}q\x01(X\x01\x00\x00\x00kq\x02X\x01\x00\x00\x00vq\x03X\x01\x00\x00\x00nq\x04]q\
      \x05(K\x01G@\x04\x00\x00\x00\x00\x00\x00N\x88euh\x01h\x01e.",
    b"\x80\x04\x95*\x00\x00\x00\x00\x00\x00\x00]\x94(}\x94(\x8c\x01k\x94\x8c\x01v\x94\x8c\x01n\x94]\
      \x94(K\x01G@\x04\x00\x00\x00\x00\x00\x00N\x88euh\x01h\x01e.",
    b"}q\x00X\x04\x00\x00\x00rowsq\x01]q\x02(}q\x03(X\x02\x00\x00\x00idq\x04K\x00X\x04\x00\x00\x00name\
      q\x05X\x05\x00\x00\x00row 0q\x06X\x04\x00\x00\x00tagsq\x07c__builtin__\nset\nq\x08(]q\x09(X\x01\
      \x00\x00\x00bq\nX\x01\x00\x00\x00aq\x0betq\x0cRq\x0du}q\x0e(h\x04K\x01h\x05X\x05\x00\x00\x00row \
      1q\x0fh\x07h\x08(]q\x10(h\nh\x0betq\x11Rq\x12ues.",
    b"\x80\x03}q\x00X\x04\x00\x00\x00rowsq\x01]q\x02(}q\x03(X\x02\x00\x00\x00idq\x04K\x00X\x04\x00\x00\
      \x00nameq\x05X\x05\x00\x00\x00row 0q\x06X\x04\x00\x00\x00tagsq\x07cbuiltins\nset\nq\x08]q\x09(X\
      \x01\x00\x00\x00bq\nX\x01\x00\x00\x00aq\x0be\x85q\x0cRq\x0du}q\x0e(h\x04K\x01h\x05X\x05\x00\x00\
      \x00row 1q\x0fh\x07h\x08]q\x10(h\nh\x0be\x85q\x11Rq\x12ues.",
    b"\x80\x05\x95X\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x04rows\x94]\x94(}\x94(\x8c\x02id\x94K\x00\
      \x8c\x04name\x94\x8c\x05row 0\x94\x8c\x04tags\x94\x8f\x94(\x8c\x01b\x94\x8c\x01a\x94\x90u}\x94(h\
      \x04K\x01h\x05\x8c\x05row 1\x94h\x07\x8f\x94(h\x09h\n\x90ues.",
    b"(c_codecs\nencode\np0\n(Vbytes\xff\np1\nVlatin1\np2\ntp3\nRp4\nc__builtin__\nbytearray\np5\n(g0\
      \n(Varray\x5cu0000\np6\ng2\ntp7\nRp8\ntp9\nRp10\nc__builtin__\nfrozenset\np11\n((lp12\nI1\naI2\n\
      atp13\nRp14\nL1180591620717411303424L\nL-1099511627776L\ntp15\n.",
    b"\x80\x02(c_codecs\nencode\nq\x00X\x07\x00\x00\x00bytes\xc3\xbfq\x01X\x06\x00\x00\x00latin1q\x02\
      \x86q\x03Rq\x04c__builtin__\nbytearray\nq\x05h\x00X\x06\x00\x00\x00array\x00q\x06h\x02\x86q\x07R\
      q\x08\x85q\x09Rq\nc__builtin__\nfrozenset\nq\x0b]q\x0c(K\x01K\x02e\x85q\x0dRq\x0e\x8a\x09\x00\
      \x00\x00\x00\x00\x00\x00\x00@\x8a\x06\x00\x00\x00\x00\x00\xfftq\x0f.",
    b"\x80\x03(C\x06bytes\xffq\x00cbuiltins\nbytearray\nq\x01C\x06array\x00q\x02\x85q\x03Rq\x04cbuilti\
      ns\nfrozenset\nq\x05]q\x06(K\x01K\x02e\x85q\x07Rq\x08\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\
      \x8a\x06\x00\x00\x00\x00\x00\xfftq\x09.",
    b"\x80\x05\x957\x00\x00\x00\x00\x00\x00\x00(C\x06bytes\xff\x94\x96\x06\x00\x00\x00\x00\x00\x00\x00\
      array\x00\x94(K\x01K\x02\x91\x94\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@\x8a\x06\x00\x00\x00\
      \x00\x00\xfft\x94.",
    b"ccollections\nOrderedDict\np0\n(tRp1\nVa\np2\nV\x5cu20ac\x5cu000a\x5cu005c\np3\nsVb\np4\n(lp5\n(\
      lp6\na(dp7\na(tas.",
    b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00aq\x02X\x05\x00\x00\x00\xe2\x82\
      \xac\n\x5cq\x03X\x01\x00\x00\x00bq\x04]q\x05(]q\x06}q\x07)eu.",
    b"\x80\x03ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00aq\x02X\x05\x00\x00\x00\xe2\x82\
      \xac\n\x5cq\x03X\x01\x00\x00\x00bq\x04]q\x05(]q\x06}q\x07)eu.",
    b"\x80\x05\x95=\x00\x00\x00\x00\x00\x00\x00\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94\x93\x94)\
      R\x94(\x8c\x01a\x94\x8c\x05\xe2\x82\xac\n\x5c\x94\x8c\x01b\x94]\x94(]\x94}\x94)eu.",
];

/// A small generator of random numbers, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        // The second choice are markers that state a length, and opcodes.
        let marks = b"\xdd\xdf\xc9\xdb\xc6\xff\x00.(]}hq2Rste\x94\x85\x86[{\"";
        if self.below(2) == 0 { self.next() as u8 } else { marks[self.below(marks.len())] }
    }
}

/// Changes `bytes` at one place, or puts a piece of `other` there.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(12)).min(bytes.len());
    match random.below(6) {
        _ if bytes.is_empty() => bytes.push(random.byte()),
        0 => bytes[at] = random.byte(),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => drop(bytes.splice(at..at, std::iter::repeat_n(random.byte(), 1 + random.below(40)))),
        3 => drop(bytes.drain(at..end)),
        4 => {
            let piece = bytes[at..end].repeat(1 + random.below(40));
            drop(bytes.splice(at..at, piece));
        }
        _ => {
            let from = random.below(other.len());
            drop(bytes.splice(at..end, other[from..].iter().copied()));
        }
    }
}

fn rows() -> Vec<Row> {
    let forms =
        [Form::Unit, Form::Newtype(-1), Form::Tuple('ä', vec![1, 200]), Form::Struct { wide: u128::MAX }];
    let row =
        |(id, form)| Row { id, name: "näme".to_owned(), sizes: vec![(-1, 0.5); 2], form, more: [].into() };
    let mut rows: Vec<Row> = (0..4).map(|id| u64::MAX - id).zip(forms).map(row).collect();
    rows[0].more = BTreeMap::from([(1, None), (500, Some(Row::default()))]);
    rows
}

/// Returns what `serializer` writes for several values.
fn corpus(serializer: &dyn Serializer) -> Vec<Vec<u8>> {
    let value =
        json!({ "list": [1, -2.5, null, true, "text"], "map": { "a": { "b": [[[]]] } }, "": u64::MAX });
    let texts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let mut written = vec![
        CacheValue::serialize(&value, serializer),
        CacheValue::serialize(&rows(), serializer),
        CacheValue::serialize(&texts, serializer),
        CacheValue::serialize(&HashMap::from([(7_u16, vec![0_u8; 30])]), serializer),
    ];
    written.retain(Result::is_ok);
    assert!(written.len() > 2);
    written.into_iter().map(Result::unwrap).collect()
}

/// Reads `bytes` as `T`, and returns what that took and whether it succeeded.
fn reading<T: CacheValue>(bytes: &[u8], serializer: &dyn Serializer) -> (AllocationInfo, bool) {
    let mut is_read = false;
    let taken = measure(|| is_read = T::deserialize(bytes, serializer).is_ok());
    (taken, is_read)
}

/// Reads `bytes` as values of several types. Returns the most that one of them took, and how many were read.
fn read_as_all(bytes: &[u8], serializer: &dyn Serializer) -> (u64, u64, usize) {
    let readings = [
        reading::<Value>(bytes, serializer),
        reading::<Vec<Row>>(bytes, serializer),
        reading::<Vec<String>>(bytes, serializer),
        reading::<HashMap<u16, Vec<u8>>>(bytes, serializer),
        reading::<Nested>(bytes, serializer),
        reading::<(Vec<u64>, [Form; 3])>(bytes, serializer),
    ];
    let most = |of: fn(&AllocationInfo) -> u64| readings.iter().map(|(taken, _)| of(taken)).max().unwrap();
    let read = readings.iter().filter(|(_, is_read)| *is_read).count();
    (most(|taken| taken.bytes_max), most(|taken| taken.count_total), read)
}

/// Checks the memory for reading mutations of `corpus`. `shared` is what shared objects may take in addition.
fn check_mutations(serializer: &dyn Serializer, corpus: &[Vec<u8>], shared: u64) {
    let cases = env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    let mut total = 0;
    for seed in SEED..SEED + cases {
        let mut random = Random(seed);
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(4) {
            let other = &corpus[random.below(corpus.len())];
            mutate(&mut bytes, other, &mut random);
        }
        let (peak, count, read) = read_as_all(&bytes, serializer);
        // A map of one entry takes 700 bytes, and an error's text a few hundred.
        let limit = shared + 4096 + 1024 * bytes.len() as u64;
        assert!(peak <= limit, "seed {seed}: {peak} bytes for {}", bytes.escape_ascii());
        assert!(count <= limit / 16, "seed {seed}: {count} allocations for {}", bytes.escape_ascii());
        total += read;
    }
    assert!(total > 0, "some of the mutated values can be read");
}

#[test]
fn mutated_json_takes_little_memory() {
    check_mutations(&Json, &corpus(&Json), 0);
}

#[test]
fn mutated_msgpack_takes_little_memory() {
    check_mutations(&MsgPack, &corpus(&MsgPack), 0);
}

#[test]
fn mutated_pickles_take_little_memory() {
    let python = PICKLES.iter().map(|pickle| pickle.to_vec());
    check_mutations(&Pickle, &corpus(&Pickle).into_iter().chain(python).collect::<Vec<_>>(), 1 << 20);
}

/// Lists in each other that state a length of a billion items.
#[test]
fn nested_msgpack_lengths_reserve_little_memory() {
    for marker in [0xdd, 0xdf] {
        let bytes = [marker, 0x3b, 0x9a, 0xca, 0].repeat(46);
        let (peak, ..) = read_as_all(&bytes, &MsgPack);
        assert!(peak <= 4096, "{peak} bytes for 230 bytes");
    }
}

/// A dict that a list contains a thousand times, a list that contains that list a thousand times, and so on.
#[test]
fn shared_objects_of_pickles_take_bounded_memory() {
    let level = |number: u8| [&b"]("[..], &[b'h', number].repeat(1000), b"eq", &[number + 1]].concat();
    let levels: Vec<u8> = (0..3).flat_map(level).collect();
    let bytes = [&b"(}X\x01\0\0\0aK\x02sq\0"[..], &levels, b"l."].concat();
    let mut error = String::new();
    let read = <Vec<Value> as CacheValue>::deserialize;
    let taken = measure(|| error = read(&bytes, &Pickle).unwrap_err().to_string());
    assert_eq!(error, "cannot read the pickle: its shared objects make it too large");
    assert!(taken.bytes_max <= 16 << 20, "{} bytes for {} bytes", taken.bytes_max, bytes.len());
}

/// Empty lists in a list, which is the most that a byte of a pickle can stand for.
#[test]
fn pickle_without_shared_objects_can_always_be_read() {
    for (item, length) in [(&b"]"[..], 200_000), (b"}", 200_000), (b"N", 200_000), (b"]Na", 100_000)] {
        let bytes = [&b"("[..], &item.repeat(length), b"l."].concat();
        let (taken, is_read) = reading::<Vec<Value>>(&bytes, &Pickle);
        assert!(is_read, "{}", item.escape_ascii());
        let limit = 400 * bytes.len() as u64;
        assert!(taken.bytes_max <= limit, "{} of at most {limit} bytes", taken.bytes_max);
    }
}
