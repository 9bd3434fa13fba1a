//! Every form of call, with stores of each kind.

use std::rc::Rc;
use std::time::Duration;

use dogpile::{Aged, CacheRegion, CreateError, Created, Expiration, RegionConfig, RegionError};

use super::backends::{Backend, KINDS, Kind};
use super::polling::at_once;

fn with_each_kind(test: &impl AsyncFn(&CacheRegion)) {
    for kind in KINDS {
        smol::block_on(test(&Backend::new(kind).region()));
    }
}

#[test]
fn values_are_set_read_and_deleted() {
    with_each_kind(&async |region: &CacheRegion| {
        assert_eq!(region.get_async::<u32>("a").await.unwrap(), None);
        region.set_async("a", 1_u32).await.unwrap();
        region.set_multi_async([("b", 2_u32), ("c", 3)]).await.unwrap();
        assert_eq!(region.get_async::<u32>("a").await.unwrap(), Some(1));
        let all = region.get_multi_async::<u32>(&["c", "x", "a", "b"]).await.unwrap();
        assert_eq!(all, [Some(3), None, Some(1), Some(2)]);
        let aged = region.get_value_metadata_async::<u32>("b").await.unwrap().expect("it is stored");
        assert_eq!((aged.value, aged.age < Duration::from_secs(60)), (2, true));
        region.delete_async("a").await.unwrap();
        region.delete_multi_async(&["b"]).await.unwrap();
        region.delete_multi_async(&[""; 0]).await.unwrap();
        assert_eq!(region.get_multi_async::<u32>(&["a", "b", "c"]).await.unwrap(), [None, None, Some(3)]);
        // The blocking calls see the same store.
        assert_eq!(region.get::<u32>("c").unwrap(), Some(3));
    });
}

#[test]
fn missing_values_are_created() {
    with_each_kind(&async |region: &CacheRegion| {
        let suffix = "!".to_owned();
        let made = region.get_or_create_async("a", async || format!("a{suffix}")).await.unwrap();
        assert_eq!(made, "a!");
        let found =
            region.get_or_create_async("a", async || -> String { unreachable!("it is stored") }).await;
        assert_eq!(found.unwrap(), "a!");
        let mut requested = Vec::new();
        let made = region.get_or_create_multi_async(&["c", "a", "b", "c"], |keys| {
            requested.push(keys.clone());
            async move { keys.iter().map(|key| format!("{key}{key}")).collect::<Vec<_>>() }
        });
        assert_eq!(made.await.unwrap(), ["cc", "a!", "bb", "cc"]);
        assert_eq!(requested, [["b", "c"]]);
    });
}

#[test]
fn failing_creators_store_nothing() {
    with_each_kind(&async |region: &CacheRegion| {
        let failed = region.try_get_or_create_async("a", async || Err::<u32, _>("no")).await;
        assert!(matches!(failed, Err(CreateError::Creator("no"))));
        let creator = |_: Vec<String>| async { Err::<Vec<u32>, _>("no") };
        let failed = region.try_get_or_create_multi_async(&["a", "b"], creator).await;
        assert!(matches!(failed, Err(CreateError::Creator("no"))));
        let short = region.get_or_create_multi_async(&["a", "b"], async |_| vec![1]).await;
        assert!(matches!(short, Err(RegionError::CreatorCount { expected: 2, made: 1, .. })));
        assert_eq!(region.get_multi_async::<u32>(&["a", "b"]).await.unwrap(), [None, None]);
        let made = region.try_get_or_create_async("a", async || Ok::<_, String>(1)).await.unwrap();
        assert_eq!((made, region.get("a").unwrap()), (1, Some(1)));
    });
}

#[test]
fn creators_see_old_values_and_decide() {
    with_each_kind(&async |region: &CacheRegion| {
        let call = || region.options().expiration_time(Expiration::After(Duration::ZERO));
        region.set_async("a", 1_u32).await.unwrap();
        let creator = async |old: Option<Aged<u32>>| Ok::<_, String>(Created::new(old.unwrap().value + 1));
        assert_eq!(call().get_or_create_with_async("a", creator).await.unwrap(), 2);
        let creator = async |_: Option<Aged<u32>>| Ok::<_, String>(Created::uncached(7));
        assert_eq!(call().get_or_create_with_async("a", creator).await.unwrap(), 7);
        let creator = async |keys: Vec<String>, olds: Vec<Option<Aged<u32>>>| {
            assert_eq!(keys, ["a", "b"]);
            assert_eq!(
                olds.iter().map(|old| old.as_ref().map(|old| old.value)).collect::<Vec<_>>(),
                [Some(2), None]
            );
            Ok::<_, String>(vec![Created::unchanged(), Created::new(3)])
        };
        let made = call().get_or_create_multi_with_async(&["b", "a"], creator).await.unwrap();
        assert_eq!(made, [3, 2]);
    });
}

#[test]
fn detached_forms_create() {
    with_each_kind(&async |region: &CacheRegion| {
        let call = || region.options().detach();
        assert_eq!(call().get_or_create_async("a", async || 1_u32).await.unwrap(), 1);
        assert_eq!(call().try_get_or_create_async("b", async || Ok::<_, String>(2_u32)).await.unwrap(), 2);
        let failed = call().try_get_or_create_async("c", async || Err::<u32, _>("no")).await;
        assert!(matches!(failed, Err(CreateError::Creator("no"))));
        let creator =
            async |old: Option<Aged<u32>>| Ok::<_, String>(Created::new(u32::from(old.is_some()) + 3));
        assert_eq!(call().get_or_create_with_async("c", creator).await.unwrap(), 3);
        let creator = |keys: Vec<String>| async move { vec![4_u32; keys.len()] };
        assert_eq!(call().get_or_create_multi_async(&["d", "a"], creator).await.unwrap(), [4, 1]);
        let creator = |_: Vec<String>| async { Ok::<_, String>(vec![5_u32]) };
        assert_eq!(call().try_get_or_create_multi_async(&["e"], creator).await.unwrap(), [5]);
        let creator =
            |_: Vec<String>, _: Vec<Option<Aged<u32>>>| async { Ok::<_, String>(vec![Created::new(6)]) };
        assert_eq!(call().get_or_create_multi_with_async(&["f"], creator).await.unwrap(), [6]);
        let keys = ["a", "b", "c", "d", "e", "f"];
        assert_eq!(region.get_multi(&keys).unwrap(), [1_u32, 2, 3, 4, 5, 6].map(Some));
    });
}

#[test]
fn wrong_keys_and_regions_are_errors() {
    with_each_kind(&async |region: &CacheRegion| {
        assert!(matches!(region.get_async::<u32>("").await, Err(RegionError::InvalidKey { .. })));
        let made = region.get_or_create_async("", async || 1).await;
        assert!(matches!(made, Err(RegionError::InvalidKey { .. })));
    });
    let region = CacheRegion::new("unconfigured");
    let made = smol::block_on(region.options().detach().get_or_create_async("a", async || 1));
    assert!(matches!(made, Err(RegionError::NotConfigured { .. })));
}

#[test]
fn immediate_store_needs_no_second_poll() {
    let region = Backend::new(Kind::Immediate).region();
    at_once(region.set_async("a", 1_u32)).unwrap();
    assert_eq!(at_once(region.get_async::<u32>("a")).unwrap(), Some(1));
    assert_eq!(at_once(region.get_or_create_async("b", async || 2_u32)).unwrap(), 2);
    assert_eq!(at_once(region.get_multi_async::<u32>(&["a", "b"])).unwrap(), [Some(1), Some(2)]);
    at_once(region.delete_async("a")).unwrap();
}

#[test]
fn panic_of_a_store_is_an_error_of_the_call() {
    let backend = Backend::new(Kind::Blocking);
    *backend.store.panics.lock() = true;
    let error = smol::block_on(backend.region().get_async::<u32>("a")).unwrap_err();
    assert!(format!("{error:#}").contains("planted"), "{error:#}");
}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

#[test]
fn futures_are_send_if_their_creators_are() {
    let region = Backend::new(Kind::Immediate).region();
    let shared = "text".to_owned();
    drop(is_send(region.get_async::<String>("a")));
    drop(is_send(region.get_multi_async::<String>(&["a"])));
    drop(is_send(region.set_async("a", shared.clone())));
    drop(is_send(region.set_multi_async([("a", shared.clone())])));
    drop(is_send(region.delete_multi_async(&["a"])));
    drop(is_send(region.get_or_create_async("a", async || shared.clone())));
    drop(is_send(region.get_or_create_multi_async(&["a"], |_| async { vec![shared.clone()] })));
    let creator = |_: Option<Aged<String>>| async { Ok::<_, String>(Created::new(shared.clone())) };
    drop(is_send(region.options().get_or_create_with_async("a", creator)));
    drop(is_send(region.options().detach().get_or_create_async("a", async || 1)));
    // A creator that is not `Send` works where its future stays on one thread.
    let local = Rc::new(7);
    assert_eq!(smol::block_on(region.get_or_create_async("b", async || *local)).unwrap(), 7);
}

#[test]
fn region_of_the_null_backend_creates_each_time() {
    let region = CacheRegion::new("null");
    region.configure(RegionConfig::new("dogpile.cache.null")).unwrap();
    for value in 1..3 {
        assert_eq!(smol::block_on(region.get_or_create_async("a", async || value)).unwrap(), value);
    }
}
