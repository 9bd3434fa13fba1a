//! Round trips: a value is stored only if it is read back unchanged.
//!
//! Every format loses something. JSON writes `Some(None)` and `None` alike. An untagged enum is read as its first variant
//! that fits. A value that is lost in this way would come out of the cache as another value, or would be created at
//! every call. Such a value is refused before it is stored.
//!
//! Reading every value back would double the cost of storing it. Most of that is unnecessary: whether a value survives
//! depends on what it consists of, rarely on its text and numbers. Before a value is stored, a walk over it therefore
//! collects its *features*: which kinds of values occur at which place (see [`shape`]). A value that has only features
//! that other values of its type had, which were read back, is stored at once. Any other value is read back, and
//! compared with the original by a digest of all its contents (see [`digest`]).
//!
//! A type that lets the format choose what it reads, as untagged enums and flattened fields do, is read back each time
//! (see [`crate::spy`]). So are the first values of each type ([`FIRST`]), and one in [`SAMPLED`] later ones.
//!
//! A serializer of an application may decline to read before it looks at a value. Such a value is still stored,
//! because it is meant to be unreadable.
//!
//! What serde does not show cannot be compared: for example, a skipped field, or two variants of an untagged enum with
//! equal contents.

mod digest;
mod features;
mod outline;
mod shape;

use std::any::{TypeId, type_name};
use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::digest::digest;
use self::features::Features;
use self::outline::difference;
use self::shape::{Shape, shape_of};
use crate::serializer::{Serializer, SerializerError, is_supplied, shown_name};
use crate::spy::{Mission, Spy};
use crate::walk::MAX_DEPTH;

/// The first values of a type are all read back. A value may survive by chance, for example if a field is its default.
const FIRST: u32 = 64;

/// One in so many values is read back although its features are known.
const SAMPLED: u32 = 1024;

/// What is known about the round trips of one store. It is a list of the types of its values, which only grows.
#[derive(Debug, Default)]
pub struct RoundTrips {
    known: OnceLock<(TypeId, Known)>,
    others: OnceLock<Box<RoundTrips>>,
}

/// What is known about the round trips of one type.
#[derive(Debug, Default)]
struct Known {
    /// The features of all values that were read back as the same values.
    features: Features,
    /// Whether the format chose what was read. Then equal features do not mean equal round trips.
    is_open: AtomicBool,
    stored: AtomicU32,
}

/// Whether all numbers of a value are finite.
#[derive(Clone, Copy)]
pub(crate) struct Plain(pub(crate) bool);

/// The reason why a value is not stored.
#[derive(Debug, thiserror::Error)]
enum Lossy {
    #[error(
        "a value of {value} cannot be read back after serializer {serializer:?} wrote it; change the value or its type, or \
         use another serializer"
    )]
    Unreadable { value: &'static str, serializer: String, source: SerializerError },
    #[error(
        "a value of {value} would be read back as another value by serializer {serializer:?}: {difference}; change the \
         type, or use another serializer"
    )]
    Changed { value: &'static str, serializer: String, difference: String },
    #[error("a value of {value} is nested more than {MAX_DEPTH} levels deep; store a flatter value")]
    Deep { value: &'static str },
}

impl RoundTrips {
    /// Returns the bytes that `write` makes of `value`, if `serializer` reads them back as the same value.
    #[inline]
    pub(crate) fn serialize<T: Serialize + DeserializeOwned + 'static>(
        &self,
        value: &T,
        serializer: &dyn Serializer,
        write: impl FnOnce(Plain) -> Result<Vec<u8>, SerializerError>,
    ) -> Result<Vec<u8>, SerializerError> {
        let known = self.known(TypeId::of::<T>());
        let shape = shape_of(value, &known.features);
        if shape.is_too_deep {
            return Err(Lossy::Deep { value: type_name::<T>() }.into());
        }
        let bytes = write(Plain(!shape.is_non_finite))?;
        if known.must_read_back(&shape) {
            known.read_back(value, &bytes, serializer, &shape)?;
        }
        Ok(bytes)
    }

    /// Returns what is known about a type.
    #[inline]
    fn known(&self, id: TypeId) -> &Known {
        // A store has few types. Walking along them takes less time than any map, and no lock.
        let mut at = self;
        loop {
            let (known_id, known) = at.known.get_or_init(|| (id, Known::default()));
            if *known_id == id {
                return known;
            }
            at = at.others.get_or_init(Box::default);
        }
    }
}

impl Known {
    fn must_read_back(&self, shape: &Shape) -> bool {
        // Not counted exactly: a counter that threads must agree on would cost more than the rest of the check.
        let stored = self.stored.load(Relaxed).wrapping_add(1);
        self.stored.store(stored, Relaxed);
        stored <= FIRST
            || stored.is_multiple_of(SAMPLED)
            || shape.has_new_features()
            || self.is_open.load(Relaxed)
    }

    /// Checks that `bytes` are read back as `value`, and notes its features.
    #[cold]
    fn read_back<T: Serialize + DeserializeOwned + 'static>(
        &self,
        value: &T,
        bytes: &[u8],
        serializer: &dyn Serializer,
        shape: &Shape,
    ) -> Result<(), Lossy> {
        let Some(read) = self.read::<T>(bytes, serializer).map_err(|source| {
            let (value, serializer) = (type_name::<T>(), shown_name(serializer));
            Lossy::Unreadable { value, serializer, source }
        })?
        else {
            return Ok(());
        };
        if digest(value) != digest(&read) {
            let (difference, serializer) = (difference(value, &read), shown_name(serializer));
            return Err(Lossy::Changed { value: type_name::<T>(), serializer, difference });
        }
        shape.new_features().for_each(|feature| self.features.add(feature));
        Ok(())
    }

    /// Returns the value that is read back, or `None` if the serializer declines to read.
    fn read<T: DeserializeOwned + 'static>(
        &self,
        bytes: &[u8],
        serializer: &dyn Serializer,
    ) -> Result<Option<T>, SerializerError> {
        let (mut read, mut is_asked, chosen) = (None, false, Cell::new(false));
        let mission = Mission { chosen: Some(&chosen), number_of: None };
        let spied = serializer.deserialize(bytes, &mut |deserializer| {
            is_asked = true;
            read = Some(T::deserialize(Spy::new(deserializer, mission))?);
            Ok(())
        });
        // JSON values have one form for each of their kinds, although the format chooses the kind.
        if chosen.get() && TypeId::of::<T>() != TypeId::of::<serde_json::Value>() {
            self.is_open.store(true, Relaxed);
        }
        if !is_asked && !is_supplied(serializer) {
            return Ok(None);
        }
        spied?;
        Ok(read)
    }
}

#[cfg(all(test, not(dogpile_loom)))]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};
    use std::fmt::Debug;

    use serde::Deserialize;

    use super::*;
    use crate::serializer::{Json, find, names};
    use crate::value::CacheValue;

    /// Returns what comes back of `value`, or the reason why it is refused.
    fn stored<T: CacheValue>(trips: &RoundTrips, name: &str, value: &T) -> Result<T, String> {
        let serializer = find(name).expect("the serializer is compiled in");
        let bytes = value.serialize_to_store(&*serializer, trips).map_err(|error| error.to_string())?;
        Ok(T::deserialize(&bytes, &*serializer).expect("a value that was stored can be read"))
    }

    /// Checks that `value` comes back, or is refused, with each serializer.
    fn survives_or_is_refused<T: CacheValue + PartialEq + Debug>(value: &T) {
        for name in names() {
            if let Ok(read) = stored(&RoundTrips::default(), &name, value) {
                assert_eq!(&read, value, "{name}");
            }
        }
    }

    fn is_stored_by_all<T: CacheValue + PartialEq + Debug>(value: &T) {
        for name in names() {
            assert_eq!(stored(&RoundTrips::default(), &name, value).as_ref(), Ok(value), "{name}");
        }
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Signed(i64),
        Unsigned(u64),
        Text(String),
        Character(char),
        One { a: u8 },
        Two { a: u8, b: u8 },
        Nothing,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Flattened {
        name: String,
        #[serde(flatten)]
        rest: BTreeMap<u32, String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Ten {
        #[serde(default = "ten", skip_serializing_if = "Option::is_none")]
        count: Option<u8>,
    }

    fn ten() -> Option<u8> {
        Some(10)
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Node {
        next: Option<Box<Node>>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Unit,
        Newtype(u8),
        Tuple(u8, String),
        Struct { a: Option<u8> },
    }

    #[test]
    fn ordinary_values_are_stored() {
        is_stored_by_all(&(1_u8, -2_i64, 3.5_f64, 4.5_f32, 'x', true, "text".to_owned(), ()));
        is_stored_by_all(&vec![Some(1), None]);
        is_stored_by_all(&HashMap::from([("b".to_owned(), vec![1]), ("a".to_owned(), vec![])]));
        is_stored_by_all(&(0..100).map(|number| format!("{number}")).collect::<HashSet<String>>());
        is_stored_by_all(&BTreeMap::from([(1_u32, 'a'), (2, 'b')]));
        is_stored_by_all(&[Shape::Unit, Shape::Newtype(1), Shape::Struct { a: None }]);
        is_stored_by_all(&Shape::Tuple(1, "a".to_owned()));
        is_stored_by_all(&serde_json::json!({"a": [1, 2.5, null, {"b": "c"}], "d": u64::MAX}));
        is_stored_by_all(&Ten { count: Some(1) });
    }

    #[test]
    fn values_that_formats_lose_are_refused() {
        survives_or_is_refused(&Some(None::<u32>));
        survives_or_is_refused(&Some(()));
        survives_or_is_refused(&(vec![Some(None::<u32>)], [Some(Some(1))]));
        survives_or_is_refused(&f64::INFINITY);
        survives_or_is_refused(&Some(f32::NEG_INFINITY));
        survives_or_is_refused(&[u64::MAX, 1 << 63]);
        survives_or_is_refused(&(u128::MAX, i128::MIN));
        survives_or_is_refused(&BTreeMap::from([(Some(1), 1), (None, 2)]));
        survives_or_is_refused(&BTreeMap::from([((1, 2), 3)]));
        survives_or_is_refused(&Flattened {
            name: "a".to_owned(),
            rest: BTreeMap::from([(1, "b".to_owned())]),
        });
        survives_or_is_refused(&Ten { count: None });
        survives_or_is_refused(&-0.0_f64);
        let not_a_number = [f64::NAN, 1.0, f64::INFINITY];
        for name in names() {
            let read = stored(&RoundTrips::default(), &name, &not_a_number).expect("all formats have these");
            assert_eq!(format!("{read:?}"), format!("{not_a_number:?}"), "{name}");
        }
    }

    #[test]
    fn value_that_only_differs_by_its_contents_is_refused() {
        let (trips, json) = (RoundTrips::default(), "json");
        assert!(stored(&trips, json, &vec![Some(Some(1))]).is_ok());
        for _ in 0..2 {
            assert!(stored(&trips, json, &vec![Some(Some(2)), Some(None)]).is_err());
            assert!(stored(&trips, json, &vec![Some(Some(2))]).is_ok());
        }
    }

    #[test]
    fn unreadable_value_is_refused_with_the_reason() {
        let flattened = Flattened { name: "a".to_owned(), rest: BTreeMap::from([(1, "b".to_owned())]) };
        let serializer = find("json").expect("the serializer is compiled in");
        let refused = flattened.serialize_to_store(&*serializer, &RoundTrips::default()).unwrap_err();
        let chain = dogpile_sdk::error_chain(&*refused).to_string();
        assert!(
            chain.contains("Flattened cannot be read back after serializer \"json\" wrote it; "),
            "{chain}"
        );
        assert!(chain.contains("invalid type: string \"1\", expected u32"), "{chain}");
    }

    #[test]
    fn untagged_value_read_as_another_variant_is_refused() {
        let trips = RoundTrips::default();
        let lost = |value: &Untagged| stored(&trips, "json", value).is_err();
        assert!(!lost(&Untagged::Unsigned(u64::MAX)) && lost(&Untagged::Unsigned(1)));
        assert!(!lost(&Untagged::Signed(1)) && !lost(&Untagged::Text("x".to_owned())));
        assert!(lost(&Untagged::Character('x')));
        assert!(!lost(&Untagged::One { a: 1 }) && lost(&Untagged::Two { a: 1, b: 2 }));
        assert!(!lost(&Untagged::Nothing));
    }

    #[test]
    fn value_that_survives_by_chance_approves_no_others() {
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        struct Renamed {
            #[serde(rename(serialize = "x", deserialize = "y"), default)]
            a: u8,
        }

        let trips = RoundTrips::default();
        for _ in 0..100 {
            assert!(stored(&trips, "json", &Renamed { a: 0 }).is_ok());
        }
        assert!(stored(&trips, "json", &Renamed { a: 1 }).is_err());
        let raw = |key: &str| serde_json::json!({ key: "5" });
        for _ in 0..100 {
            assert!(stored(&trips, "json", &raw("a")).is_ok());
        }
        assert!(stored(&trips, "json", &raw("$serde_json::private::RawValue")).is_err());
    }

    #[test]
    fn refusal_states_what_would_change() {
        let trips = RoundTrips::default();
        let error = stored(&trips, "json", &Some(None::<u8>)).unwrap_err();
        let start = "a value of core::option::Option<core::option::Option<u8>> would be read back as another value by \
                     serializer \"json\": Some(None) would become None; ";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn deeply_nested_value_is_refused() {
        let nested =
            |depth| (0..depth).fold(Node { next: None }, |node, _| Node { next: Some(Box::new(node)) });
        for name in names() {
            let trips = RoundTrips::default();
            for depth in (0..60).chain([100, 120, 127, 128, 129, 200, 1500]) {
                let (node, is_refused) = (nested(depth), depth > 128);
                match stored(&trips, &name, &node) {
                    Ok(read) => assert!(!is_refused && read == node, "{name}: {depth}"),
                    Err(error) => assert!(depth >= 60, "{name}: {depth}: {error}"),
                }
            }
        }
    }

    #[test]
    fn values_of_many_types_share_the_store() {
        let trips = RoundTrips::default();
        for number in 0..200_u32 {
            assert_eq!(stored(&trips, "json", &number), Ok(number));
            assert_eq!(stored(&trips, "json", &number.to_string()), Ok(number.to_string()));
            assert!(stored(&trips, "json", &Some(())).is_err());
        }
    }

    #[test]
    fn custom_serializer_is_read_back_too() {
        #[derive(Debug)]
        struct Shouting;

        impl Serializer for Shouting {
            fn serialize(&self, value: &dyn erased_serde::Serialize) -> Result<Vec<u8>, SerializerError> {
                Ok(serde_json::to_vec(value)?.to_ascii_uppercase())
            }

            fn deserialize(
                &self,
                bytes: &[u8],
                read: crate::serializer::ReadValue<'_>,
            ) -> Result<(), SerializerError> {
                Json.deserialize(bytes, read)
            }
        }

        let trips = RoundTrips::default();
        assert!("ABC".to_owned().serialize_to_store(&Shouting, &trips).is_ok());
        // The features are known by now: the first values and a sample are read back.
        let refused =
            (0..SAMPLED).filter(|_| "abc".to_owned().serialize_to_store(&Shouting, &trips).is_err());
        assert_eq!(refused.count(), FIRST as usize);
    }
}
