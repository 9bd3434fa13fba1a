//! The forms that asynchronous functions may have, and the threads that may poll their futures.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::error::Error;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use dogpile::{CacheKey, CacheRegion, cache_multi_on_arguments, cache_on_arguments};

use super::backends::{Backend, KINDS, Kind};
use super::polling::at_once;

/// Does not compile if `future` is not `Send`.
fn sent<F: Future + Send>(future: F) -> F {
    future
}

#[cache_on_arguments(region = region, ignore(region))]
async fn length(region: &CacheRegion, item: &str) -> usize {
    smol::future::yield_now().await;
    item.len()
}

#[cache_multi_on_arguments(region = region, ignore(region), asdict)]
async fn lengths<'a>(region: &CacheRegion, items: &[&'a str]) -> Result<BTreeMap<&'a str, usize>, String> {
    smol::future::yield_now().await;
    Ok(items.iter().map(|item| (*item, item.len())).collect())
}

#[cache_on_arguments(region = region, ignore(region))]
async fn parsed(region: &CacheRegion, text: &str) -> Result<u32, Box<dyn Error + Send + Sync>> {
    smol::future::yield_now().await;
    Ok(text.parse()?)
}

/// The return type of a web framework's handler.
#[expect(clippy::manual_async_fn, reason = "it states that the future is `Send`")]
fn handler(region: Arc<CacheRegion>, item: String) -> impl Future<Output = usize> + Send + 'static {
    async move { length(&region, &item).await }
}

#[test]
fn futures_are_sent_to_other_threads() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for kind in KINDS {
        let region = Arc::new(Backend::new(kind).region());
        runtime.block_on(async {
            assert_eq!(tokio::spawn(handler(Arc::clone(&region), "tea".to_owned())).await.unwrap(), 3);
            sent(length::set(1, &region, "cup")).await.unwrap();
            assert_eq!(sent(length::get(&region, "cup")).await.unwrap(), Some(1));
            assert_eq!(sent(length::refresh(&region, "cup")).await.unwrap(), 3);
            sent(length::invalidate(&region, "cup")).await.unwrap();
            assert_eq!(sent(length::original(&region, "cup")).await, 3);

            let found = sent(lengths(&region, &["a", "bc"])).await.unwrap();
            assert_eq!(found, BTreeMap::from([("a", 1), ("bc", 2)]));
            sent(lengths::set([("a", 7)], &region)).await.unwrap();
            assert_eq!(sent(lengths::get(&region, &["a"])).await.unwrap(), BTreeMap::from([("a", 7)]));
            assert_eq!(sent(lengths::refresh(&region, &["a"])).await.unwrap(), BTreeMap::from([("a", 1)]));
            sent(lengths::invalidate(&region, &["a", "bc"])).await.unwrap();
            assert!(sent(lengths::get(&region, &["a", "bc"])).await.unwrap().is_empty());

            assert_eq!(sent(parsed(&region, "7")).await.unwrap(), 7);
            assert!(sent(parsed::refresh(&region, "seven")).await.is_err());
        });
    }
}

#[cache_on_arguments(region = region, ignore(region, calls))]
async fn on_one_thread(region: &CacheRegion, calls: Rc<Cell<u32>>, item: u32) -> u32 {
    let own = Rc::clone(&calls);
    smol::future::yield_now().await;
    own.set(own.get() + 1);
    item + calls.get()
}

#[cache_multi_on_arguments(region = region, ignore(region, calls))]
async fn many_on_one_thread(region: &CacheRegion, calls: Rc<Cell<u32>>, items: &[u32]) -> Vec<u32> {
    smol::future::yield_now().await;
    calls.set(calls.get() + 1);
    items.iter().map(|item| item + calls.get()).collect()
}

#[test]
fn function_that_is_not_send_runs_on_one_thread() {
    for kind in KINDS {
        let (region, calls) = (Backend::new(kind).region(), Rc::new(Cell::new(0)));
        let executor = smol::LocalExecutor::new();
        smol::block_on(executor.run(async {
            for _ in 0..2 {
                assert_eq!(on_one_thread(&region, Rc::clone(&calls), 6).await, 7);
                assert_eq!(many_on_one_thread(&region, Rc::clone(&calls), &[6, 7]).await, [8, 9]);
            }
            assert_eq!(calls.get(), 2);
        }));
    }
}

#[cache_on_arguments(region = region, ignore(region, calls))]
async fn fibonacci(region: &CacheRegion, calls: &Calls, number: u64) -> u64 {
    calls.next();
    match number {
        0 | 1 => number,
        _ => fibonacci(region, calls, number - 1).await + fibonacci(region, calls, number - 2).await,
    }
}

#[cache_multi_on_arguments(region = region, ignore(region))]
async fn factorials(region: &CacheRegion, numbers: &[u64]) -> Vec<u64> {
    let smaller: Vec<u64> = numbers.iter().filter(|number| **number > 0).map(|number| number - 1).collect();
    let mut smaller =
        if smaller.is_empty() { Vec::new() } else { factorials(region, &smaller).await }.into_iter();
    numbers.iter().map(|number| if *number == 0 { 1 } else { number * smaller.next().unwrap_or(0) }).collect()
}

/// A detached function calls itself through a function that names the type of its future.
#[cache_on_arguments(region = region, ignore(region), detach)]
async fn detached_sum(region: Arc<CacheRegion>, number: u64) -> u64 {
    if number == 0 { 0 } else { number + boxed_sum(region, number - 1).await }
}

fn boxed_sum(region: Arc<CacheRegion>, number: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(detached_sum(region, number))
}

#[test]
fn function_may_call_itself() {
    for kind in KINDS {
        let (region, calls) = (Backend::new(kind).region(), Calls::default());
        assert_eq!(smol::block_on(sent(fibonacci(&region, &calls, 20))), 6765);
        assert_eq!(calls.count(), 21, "each number is evaluated once");
        assert_eq!(smol::block_on(sent(factorials(&region, &[5, 3]))), [120, 6]);
        assert_eq!(smol::block_on(sent(detached_sum(Arc::new(region), 10))), 55);
    }
}

#[must_use]
#[expect(clippy::needless_lifetimes, reason = "the macro keeps it")]
#[cache_on_arguments(region = region, ignore(region), should_cache_fn = Option::is_some, expiration_time = || 60)]
async fn first<'a, T, const N: usize>(
    region: &CacheRegion,
    mut of: &'a [T; N],
    default: Option<T>,
) -> Option<T>
where
    T: CacheKey + serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
{
    if default.is_some() {
        return default;
    }
    smol::future::yield_now().await;
    let all: &[T] = of;
    of = of.as_slice().try_into().unwrap_or(of);
    let _ = of;
    all.first().cloned()
}

#[test]
fn generic_function_has_entries_for_each_type() {
    let region = Backend::new(Kind::Immediate).region();
    assert_eq!(smol::block_on(sent(first(&region, &[1_u8, 2], None))), Some(1));
    assert_eq!(smol::block_on(first::<String, 0>(&region, &[], None)), None);
    assert_eq!(smol::block_on(first::get::<u8, 2>(&region, &[1, 2], None)).unwrap(), Some(Some(1)));
    assert_eq!(smol::block_on(first::get::<u16, 2>(&region, &[1, 2], None)).unwrap(), None);
    assert_eq!(first::key(&region, &[1_u8, 2], None), format!("{}:first<u8>|2 [1, 2] None", module_path!()));
}

struct Shop {
    id: u32,
    region: CacheRegion,
}

impl Shop {
    fn new(id: u32) -> Self {
        Shop { id, region: Backend::new(Kind::Blocking).region() }
    }

    #[cache_on_arguments(region = self.region, key_by(self.id))]
    async fn price(&self, item: &str) -> Result<usize, String> {
        smol::future::yield_now().await;
        if item.is_empty() { Err("no item".to_owned()) } else { Ok(item.len() + self.id as usize) }
    }

    #[cache_multi_on_arguments(region = self.region, key_by(self.id, currency), ignore(currency))]
    async fn prices(&self, currency: &str, items: &[&str]) -> Vec<usize> {
        items.iter().map(|item| item.len() + currency.len() + self.id as usize).collect()
    }

    #[cache_on_arguments(region = self.region, key_by(self.id))]
    async fn shared(self: &Arc<Self>, item: &str) -> usize {
        item.len()
    }

    #[cache_on_arguments(region = self.region, key_by(self.id), detach)]
    async fn detached(self: Arc<Self>, item: String) -> usize {
        item.len() + self.id as usize
    }

    #[cache_multi_on_arguments(region = self.region, key_by(self.id), detach)]
    async fn many_detached(self: Arc<Self>, items: &[String]) -> Vec<usize> {
        items.iter().map(|item| item.len() + self.id as usize).collect()
    }

    #[cache_on_arguments(region = region, ignore(region), associated)]
    async fn without_self(region: &CacheRegion, item: u32) -> u32 {
        item
    }
}

#[test]
fn methods_have_asynchronous_companions() {
    let shop = Arc::new(Shop::new(2));
    smol::block_on(sent(async {
        assert_eq!((shop.price("tea").await, shop.price("").await), (Ok(5), Err("no item".to_owned())));
        assert_eq!(
            (shop.price_get("tea").await.unwrap(), shop.price_get("").await.unwrap()),
            (Some(5), None)
        );
        shop.price_set(7, "tea").await.unwrap();
        assert_eq!((shop.price("tea").await, shop.price_original("tea").await), (Ok(7), Ok(5)));
        assert_eq!(shop.price_refresh("tea").await.unwrap(), 5);
        shop.price_invalidate("tea").await.unwrap();
        assert_eq!(shop.price_get("tea").await.unwrap(), None);

        assert_eq!(shop.prices("EUR", &["a", "bc"]).await, [6, 7]);
        shop.prices_set([("a", 1)], "EUR").await.unwrap();
        assert_eq!(shop.prices_get("EUR", &["a", "d"]).await.unwrap(), [Some(1), None]);
        assert_eq!(shop.prices_refresh("EUR", &["a"]).await.unwrap(), [6]);
        shop.prices_invalidate("EUR", &["a"]).await.unwrap();
        assert_eq!(shop.prices_get("EUR", &["a", "bc"]).await.unwrap(), [None, Some(7)]);
        assert_eq!(shop.prices_original("EUR", &["a"]).await, [6]);

        assert_eq!(shop.shared("tea").await, 3);
        assert_eq!(Arc::clone(&shop).detached("tea".to_owned()).await, 5);
        assert_eq!(Arc::clone(&shop).detached_refresh("tea".to_owned()).await.unwrap(), 5);
        assert_eq!(Arc::clone(&shop).detached_get("tea".to_owned()).await.unwrap(), Some(5));
        assert_eq!(Arc::clone(&shop).many_detached(&["a".to_owned(), "bc".to_owned()]).await, [3, 4]);
        assert_eq!(Arc::clone(&shop).many_detached_get(&["a".to_owned()]).await.unwrap(), [Some(3)]);
        assert_eq!(Shop::without_self(&shop.region, 7).await, 7);
        assert_eq!(Shop::without_self_get(&shop.region, 7).await.unwrap(), Some(7));
    }));
}

/// A module whose functions have the names and arguments of those in [`asynchronous`].
mod blocking {
    use super::*;

    #[cache_on_arguments(region = region, ignore(region), key_name = "shop:price", version = 2, namespace = "ns")]
    pub(super) fn price(region: &CacheRegion, item: &str, year: Option<u32>) -> usize {
        item.len() + year.map_or(0, |year| year as usize)
    }

    #[cache_multi_on_arguments(region = region, ignore(region), key_by(7), key_name = "shop:prices")]
    pub(super) fn prices(region: &CacheRegion, items: &[&str]) -> Vec<usize> {
        items.iter().map(|item| item.len()).collect()
    }
}

mod asynchronous {
    use super::*;

    #[cache_on_arguments(region = region, ignore(region), key_name = "shop:price", version = 2, namespace = "ns")]
    pub(super) async fn price(region: &CacheRegion, item: &str, year: Option<u32>) -> usize {
        item.len() + year.map_or(0, |year| year as usize)
    }

    #[cache_multi_on_arguments(region = region, ignore(region), key_by(7), key_name = "shop:prices")]
    pub(super) async fn prices(region: &CacheRegion, items: &[&str]) -> Vec<usize> {
        items.iter().map(|item| item.len()).collect()
    }
}

#[test]
fn blocking_and_asynchronous_forms_of_a_name_share_values() {
    let region = Backend::new(Kind::Immediate).region();
    assert_eq!(
        asynchronous::price::key(&region, "a b", Some(1)),
        blocking::price::key(&region, "a b", Some(1))
    );
    assert_eq!(
        asynchronous::prices::key(&region, &["a", "b c"]),
        blocking::prices::key(&region, &["a", "b c"])
    );
    blocking::price::set(1, &region, "tea", None).unwrap();
    assert_eq!(at_once(asynchronous::price(&region, "tea", None)), 1);
    at_once(asynchronous::prices::set([("cup", 2)], &region)).unwrap();
    assert_eq!(blocking::prices(&region, &["cup", "tea"]), [2, 3]);
}

/// The bodies of asynchronous functions are closures, whose names must not be part of a key.
#[test]
fn keys_have_the_names_that_blocking_functions_have() {
    let (region, shop) = (Backend::new(Kind::Immediate).region(), Arc::new(Shop::new(2)));
    let module = module_path!();
    assert_eq!(length::key(&region, "tea"), format!("{module}:length|tea"));
    assert_eq!(shop.price_key("tea"), format!("{module}::Shop:price|2 tea"));
    // The value is under that key.
    assert_eq!(smol::block_on(shop.price("tea")), Ok(5));
    assert_eq!(shop.region.get::<usize>(&format!("{module}::Shop:price|2 tea")).unwrap(), Some(5));
    assert_eq!(smol::block_on(Arc::clone(&shop).detached("tea".to_owned())), 5);
    assert_eq!(shop.region.get::<usize>(&format!("{module}::Shop:detached|2 tea")).unwrap(), Some(5));
    assert_eq!(smol::block_on(shop.prices("EUR", &["a"])), [6]);
    assert_eq!(shop.region.get::<usize>(&format!("{module}::Shop:prices|2 EUR a")).unwrap(), Some(6));
}

#[test]
fn functions_in_asynchronous_bodies_have_their_own_entries() {
    async fn both(region: &CacheRegion) -> (u32, u32) {
        let one = {
            #[cache_on_arguments(region = region, ignore(region))]
            async fn number(region: &CacheRegion, of: Local) -> u32 {
                of.0
            }
            number(region, Local(1)).await
        };
        let two = {
            #[cache_on_arguments(region = region, ignore(region))]
            async fn number(region: &CacheRegion, of: Local) -> u32 {
                of.0 + 1
            }
            number(region, Local(1)).await
        };
        (one, two)
    }

    #[derive(Clone, CacheKey)]
    struct Local(u32);

    impl Local {
        #[cache_on_arguments(region = region, ignore(region), key_by(self.0))]
        async fn method(&self, region: &CacheRegion) -> u32 {
            self.0
        }
    }

    let region = Backend::new(Kind::Immediate).region();
    assert_eq!(at_once(both(&region)), (1, 2));
    assert_eq!(at_once(Local(3).method(&region)), 3);
    assert_eq!(at_once(Local(3).method_get(&region)).unwrap(), Some(3));
}

/// Counts how often a function was evaluated.
#[derive(Debug, Default)]
struct Calls(std::sync::atomic::AtomicU32);

impl Calls {
    fn next(&self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }

    fn count(&self) -> u32 {
        self.0.load(std::sync::atomic::Ordering::SeqCst)
    }
}
