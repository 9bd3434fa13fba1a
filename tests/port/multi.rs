//! A region's calls for many keys.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::time::Duration;

use dogpile::{Aged, Created, Expiration};
use dogpile_tests::regions::{Subject, odd_only, on_each, on_each_with};

const SECOND: Duration = Duration::from_secs(1);

/// A creator of many values that records the keys of its calls. Its values count up from 1.
#[derive(Default)]
struct Creator {
    asked: RefCell<Vec<Vec<String>>>,
    made: Cell<i32>,
}

impl Creator {
    fn create(&self, keys: &[&str]) -> Vec<i32> {
        self.asked.borrow_mut().push(keys.iter().map(|key| key.to_string()).collect());
        keys.iter().map(|_| self.made.replace(self.made.get() + 1) + 1).collect()
    }
}

/// Behavior: `region-multi-set`
/// Behavior: `multi-set-then-get-each`
#[test]
fn values_that_are_set_together_are_read_one_by_one() {
    on_each(|Subject { region, .. }| {
        region.set_multi([("a", "one"), ("b", "two"), ("c", "three")].map(owned)).unwrap();
        for (key, value) in [("a", "one"), ("b", "two"), ("c", "three")] {
            assert_eq!(region.get::<String>(key).unwrap().as_deref(), Some(value));
        }
    });
}

fn owned((key, value): (&'static str, &str)) -> (&'static str, String) {
    (key, value.to_owned())
}

/// Behavior: `region-multi-get`
/// Behavior: `multi-get-keeps-request-order`
/// Behavior: `multi-get-holes-are-no-value`
#[test]
fn values_come_in_request_order_with_none_for_missing_keys() {
    on_each(|Subject { region, .. }| {
        region.set_multi([("a", 1), ("c", 3), ("e", 5)]).unwrap();
        assert_eq!(region.get_multi(&["e", "a", "c"]).unwrap(), [Some(5), Some(1), Some(3)]);
        let found = region.get_multi::<i32>(&["a", "b", "c", "d", "e", "f"]).unwrap();
        assert_eq!(found, [Some(1), None, Some(3), None, Some(5), None]);
    });
}

/// Behavior: `multi-get-no-keys`
/// Behavior: `multi-set-nothing`
/// Behavior: `multi-goc-no-keys`
#[test]
fn no_keys_have_no_values_and_no_creator_is_called() {
    on_each(|Subject { region, .. }| {
        let none: [&str; 0] = [];
        assert_eq!(region.get_multi::<i32>(&none).unwrap(), [None; 0]);
        region.set_multi([("a", 1); 0]).unwrap();
        region.delete_multi(&none).unwrap();
        let created =
            region.get_or_create_multi(&none, |_| -> Vec<i32> { panic!("there is nothing to create") });
        assert_eq!(created.unwrap(), [0; 0]);
    });
}

/// Behavior: `region-multi-delete`
/// Behavior: `multi-delete-skips-unknown`
/// Behavior: `multi-delete-then-get-no-value`
/// Behavior: `multi-delete-before-set-ok`
#[test]
fn delete_multi_removes_only_the_given_keys() {
    on_each(|Subject { region, .. }| {
        region.delete_multi(&["a", "b", "c", "d", "e"]).unwrap();
        region.set_multi([("a", 1), ("b", 2), ("c", 3)]).unwrap();
        region.delete_multi(&["b", "unknown"]).unwrap();
        assert_eq!(region.get_multi::<i32>(&["a", "b", "c"]).unwrap(), [Some(1), None, Some(3)]);
        region.delete_multi(&["c"]).unwrap();
        assert_eq!(region.get::<i32>("c").unwrap(), None);
    });
}

/// Behavior: `multi-creator-gets-sorted-keys`
/// Behavior: `multi-goc-values-in-request-order`
#[test]
fn creator_gets_sorted_missing_keys_and_values_keep_their_order() {
    on_each(|Subject { region, .. }| {
        let creator = Creator::default();
        let create = |keys: &[&str]| region.get_or_create_multi(keys, |keys| creator.create(keys)).unwrap();
        assert_eq!(create(&["k3", "k2", "k5"]), [2, 1, 3]);
        assert_eq!(create(&["k5", "k4", "k2", "k1"]), [3, 5, 1, 4]);
        assert_eq!(*creator.asked.borrow(), [vec!["k2", "k3", "k5"], vec!["k1", "k4"]]);
    });
}

/// Behavior: `multi-goc-creator-gets-keys`
#[test]
fn creator_is_never_called_without_a_key() {
    on_each(|Subject { region, .. }| {
        let creator = Creator::default();
        for _ in 0..3 {
            region.get_or_create_multi(&["a", "b"], |keys| creator.create(keys)).unwrap();
        }
        region.get_or_create_multi(&["b", "c"], |keys| creator.create(keys)).unwrap();
        assert_eq!(*creator.asked.borrow(), [vec!["a", "b"], vec!["c"]]);
    });
}

#[test]
fn key_requested_twice_is_created_once_and_returned_twice() {
    on_each(|Subject { region, .. }| {
        let creator = Creator::default();
        let values = region.get_or_create_multi(&["b", "a", "b"], |keys| creator.create(keys)).unwrap();
        assert_eq!((values, creator.made.get()), (vec![2, 1, 2], 2));
    });
}

/// Behavior: `multi-goc-predicate-refuses-all`
#[test]
fn uncached_values_are_returned() {
    on_each(|Subject { region, .. }| {
        let keys = ["a", "b", "c"];
        let refuse = |keys: &[&str], _old: Vec<Option<Aged<Option<i32>>>>| {
            Ok::<_, Infallible>(vec![Created::uncached(None); keys.len()])
        };
        let values = region.options().get_or_create_multi_with(&keys, refuse).unwrap();
        assert_eq!(values, [None, None, None]);
        assert_eq!(region.get_multi::<Option<i32>>(&keys).unwrap(), [None, None, None]);
    });
}

/// Behavior: `should-cache-multi`
#[test]
fn creator_decides_value_by_value() {
    on_each(|Subject { region, clock }| {
        let create = |value: i32| {
            let odd_only = |keys: &[&str], _| keys.iter().map(|_| odd_only(value)).collect();
            region.options().get_or_create_multi_with(&["a", "b"], odd_only).unwrap()
        };
        let stored = || region.options().ignore_expiration().get_multi::<i32>(&["a", "b"]).unwrap();
        let age = || {
            clock.advance(SECOND);
            region.invalidate().unwrap();
        };
        assert_eq!((create(1), stored()), (vec![1, 1], vec![Some(1), Some(1)]));
        age();
        assert_eq!((create(2), stored()), (vec![2, 2], vec![Some(1), Some(1)]));
        assert_eq!((create(3), stored()), (vec![3, 3], vec![Some(3), Some(3)]));
        age();
        let mixed = |_: &[&str], _| Ok::<_, Infallible>(vec![Created::uncached(9), Created::new(11)]);
        assert_eq!(region.options().get_or_create_multi_with(&["a", "b"], mixed).unwrap(), [9, 11]);
        assert_eq!(stored(), [Some(3), Some(11)]);
    });
}

/// Behavior: `multi-expire-get`
#[test]
fn values_created_together_expire_one_by_one() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            let creator = Creator::default();
            region.get_or_create_multi(&["a", "b"], |keys| creator.create(keys)).unwrap();
            clock.advance(2 * SECOND);
            region.set("c", 3).unwrap();
            for (key, old) in [("a", 1), ("b", 2)] {
                assert_eq!(region.get::<i32>(key).unwrap(), None);
                assert_eq!(region.options().ignore_expiration().get(key).unwrap(), Some(old));
            }
            assert_eq!(region.get_multi::<i32>(&["a", "c", "b"]).unwrap(), [None, Some(3), None]);
            let ignoring = region.options().ignore_expiration();
            assert_eq!(ignoring.get_multi(&["a", "c", "b"]).unwrap(), [Some(1), Some(3), Some(2)]);
        },
    );
}

/// Behavior: `multi-expire-minus-one`
/// Behavior: `multi-expire-regenerates-only-asked`
#[test]
fn expired_values_are_created_again_except_with_never() {
    on_each_with(
        |config| config.expiration_time(SECOND),
        |Subject { region, clock }| {
            let (creator, keys) = (Creator::default(), ["a", "b", "c"]);
            region.get_or_create_multi(&keys, |keys| creator.create(keys)).unwrap();
            clock.advance(2 * SECOND);
            let never = region.options().expiration_time(Expiration::Never);
            let accepted = never.get_or_create_multi(&keys, |keys| creator.create(keys)).unwrap();
            assert_eq!(accepted, [1, 2, 3]);
            let again = region.get_or_create_multi(&["a", "c"], |keys| creator.create(keys)).unwrap();
            assert_eq!(again, [4, 5]);
            assert_eq!(region.get_multi(&keys).unwrap(), [Some(4), None, Some(5)]);
        },
    );
}
