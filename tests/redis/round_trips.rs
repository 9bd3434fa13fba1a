//! The number of round trips of a call.

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::regions::region_of;
use dogpile_tests::relay::Relay;
use dogpile_tests::threads::bounded;

use super::{config, server};

/// Returns the number of round trips of `call` on an open connection.
fn trips(relay: &Relay, region: &CacheRegion, call: impl FnOnce(&CacheRegion)) -> usize {
    region.get::<i32>("warm").unwrap();
    let before = relay.turns();
    call(region);
    relay.turns() - before
}

fn many_keys() -> Vec<String> {
    (0..100).map(|number| format!("key {number}")).collect()
}

fn set_all(region: &CacheRegion) {
    region.set_multi(many_keys().into_iter().zip(0..)).unwrap();
}

fn with_relay(test: impl Fn(&Relay, RegionConfig) + Send + 'static) {
    bounded(move || {
        let server = server(&[]);
        let relay = Relay::before(server.port());
        test(&relay, config(&server).argument("port", relay.port()));
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn many_keys_are_one_round_trip() {
    with_relay(|relay, config| {
        let region = region_of("counted", config);
        let keys = many_keys();
        assert_eq!(trips(relay, &region, set_all), 1);
        let get = |region: &CacheRegion| {
            let found = region.get_multi::<i32>(&keys).unwrap();
            assert_eq!(found, (0..100).map(Some).collect::<Vec<_>>());
        };
        assert_eq!(trips(relay, &region, get), 1);
        let create = |region: &CacheRegion| {
            region.get_or_create_multi(&keys, |_| unreachable!("all are there") as Vec<i32>).unwrap();
        };
        assert_eq!(trips(relay, &region, create), 1);
        assert_eq!(trips(relay, &region, |region| region.delete_multi(&keys).unwrap()), 1);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn many_values_that_expire_are_one_round_trip() {
    with_relay(|relay, config| {
        let region = region_of("counted", config.argument("redis_expiration_time", 600));
        assert_eq!(trips(relay, &region, set_all), 1);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn no_keys_need_no_round_trip() {
    with_relay(|relay, config| {
        let region = region_of("counted", config);
        let none: [&str; 0] = [];
        let nothing = |region: &CacheRegion| {
            assert!(region.get_multi::<i32>(&none).unwrap().is_empty());
            region.set_multi::<&str, i32>([]).unwrap();
            region.delete_multi(&none).unwrap();
        };
        assert_eq!(trips(relay, &region, nothing), 0);
    });
}

#[cfg_attr(missing_redis, ignore = "needs redis-server")]
#[test]
fn hit_takes_one_round_trip_and_miss_five() {
    with_relay(|relay, config| {
        let region = region_of("counted", config);
        let ask = |region: &CacheRegion| assert_eq!(region.get_or_create("key", || 1).unwrap(), 1);
        assert_eq!(trips(relay, &region, ask), 5);
        assert_eq!(trips(relay, &region, ask), 1);
    });
}
