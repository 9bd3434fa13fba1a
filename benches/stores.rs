//! What it costs to store only values that are read back as the same values.
//!
//! `cargo bench -p dogpile-benches --bench stores` (half a minute; `-- --quick`: a second, to see that it runs). Each kind
//! of value is stored in two ways by turns: as usual, and as a type of its own that skips the check. Ratios are taken
//! within a round.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use dogpile::serializer::{Serializer, SerializerError};
use dogpile::{CacheRegion, CacheValue, RegionConfig};
use dogpile_benches::{Failure, Summary, is_quick};
use serde::{Deserialize, Serialize};

/// The keys that are stored under, in turn.
const KEYS: usize = 64;

/// A value that is stored without a check.
#[derive(Clone)]
struct Unchecked<T>(T);

impl<T: CacheValue> CacheValue for Unchecked<T> {
    fn serialize(&self, serializer: &dyn Serializer) -> Result<Vec<u8>, SerializerError> {
        self.0.serialize(serializer)
    }

    fn deserialize(bytes: &[u8], serializer: &dyn Serializer) -> Result<Self, SerializerError> {
        T::deserialize(bytes, serializer).map(Unchecked)
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: Option<String>,
    tags: Vec<String>,
    score: f64,
    address: Address,
}

#[derive(Clone, Serialize, Deserialize)]
struct Address {
    street: String,
    city: String,
    zip: u32,
}

/// A type that lets the format choose. It is read back each time.
#[derive(Clone, Serialize, Deserialize)]
struct Open {
    name: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Amount>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Amount {
    Count(i64),
    Text(String),
}

fn user(id: u64) -> User {
    User {
        id,
        name: format!("User {id}"),
        email: (!id.is_multiple_of(3)).then(|| format!("user{id}@example.org")),
        tags: vec!["alpha".to_owned(), "beta".to_owned(), "gamma".to_owned()],
        score: id as f64 / 7.0,
        address: Address { street: "Long Street 1".to_owned(), city: "Springfield".to_owned(), zip: 12345 },
    }
}

fn open() -> Open {
    let amount = |number: i64| match number % 2 {
        0 => Amount::Count(number),
        _ => Amount::Text("many".to_owned()),
    };
    Open {
        name: "open".to_owned(),
        rest: (0..8).map(|number| (format!("field{number}"), amount(number))).collect(),
    }
}

/// How much each kind of values is stored.
struct Effort {
    rounds: usize,
    /// The time of a round, in nanoseconds, roughly.
    budget: f64,
}

fn main() -> Result<(), Failure> {
    let effort =
        if is_quick()? { Effort { rounds: 3, budget: 1e6 } } else { Effort { rounds: 41, budget: 2e7 } };
    for serializer in ["json", "msgpack", "pickle"] {
        println!("\n{serializer}: store with the check by store without, median of {} rounds", effort.rounds);
        let region = CacheRegion::new("stores");
        region.configure(RegionConfig::new("dogpile.cache.memory_pickle").serializer_named(serializer))?;
        compare(&region, "a number", &effort, &7_u64)?;
        compare(&region, "a string of 200 bytes", &effort, &"x".repeat(200))?;
        compare(&region, "a record of 12 fields", &effort, &user(7))?;
        compare(&region, "100 records", &effort, &(0..100).map(user).collect::<Vec<_>>())?;
        compare(
            &region,
            "1,000 floats",
            &effort,
            &(0..1000).map(|n| f64::from(n) / 3.0).collect::<Vec<_>>(),
        )?;
        compare(&region, "10,000 numbers below 256", &effort, &vec![77_u8; 10_000])?;
        compare(&region, "a flattened map of untagged enums", &effort, &open())?;
    }
    Ok(())
}

fn compare<T: CacheValue>(
    region: &CacheRegion,
    name: &str,
    effort: &Effort,
    value: &T,
) -> Result<(), Failure> {
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key {number}")).collect();
    let unchecked = Unchecked(value.clone());
    let calls = (effort.budget / store_all(region, &keys, &unchecked, KEYS)?).max(1.0) as usize;
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        let (with, without) = if round % 2 == 0 {
            let with = store_all(region, &keys, value, calls)?;
            (with, store_all(region, &keys, &unchecked, calls)?)
        } else {
            let without = store_all(region, &keys, &unchecked, calls)?;
            (store_all(region, &keys, value, calls)?, without)
        };
        ratios.push(with / without);
        times.push(without);
    }
    let (ratio, time) = (Summary::of(ratios), Summary::of(times));
    println!(
        "{name:<36} {:>5.2} ({:.2} to {:.2})   {:>8.0} ns without",
        ratio.median, ratio.low, ratio.high, time.median
    );
    Ok(())
}

/// Stores `value` as often as `calls` says, and returns the nanoseconds of one call.
fn store_all<T: CacheValue>(
    region: &CacheRegion,
    keys: &[String],
    value: &T,
    calls: usize,
) -> Result<f64, Failure> {
    let began = Instant::now();
    for key in keys.iter().cycle().take(calls) {
        region.set(key, black_box(value.clone()))?;
    }
    Ok(began.elapsed().as_nanos() as f64 / calls as f64)
}
