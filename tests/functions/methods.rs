//! Cached methods: how their keys depend on `self`.

use std::sync::Arc;

use dogpile::function::{FunctionCall, dogpile_multi_key_generator, kwarg_key_generator};
use dogpile::{CacheRegion, RegionConfig, cache_multi_on_arguments, cache_on_arguments};
use dogpile_tests::regions::region_of;

use super::Calls;

/// Creates a region in memory.
fn region() -> CacheRegion {
    region_of("methods", RegionConfig::new("dogpile.cache.memory"))
}

struct Tenant {
    name: &'static str,
}

struct Account<'a> {
    region: &'a CacheRegion,
    id: u32,
    tenant: Tenant,
}

impl Account<'_> {
    fn number(&self) -> u32 {
        self.id * 10
    }

    #[cache_on_arguments(region = self.region, key_by(self.id), key_name = "statement")]
    fn statement(&self, year: u32) -> String {
        format!("account {} in {year}", self.id)
    }

    #[cache_on_arguments(region = self.region, key_by(self.id, self.tenant.name), key_name = "title")]
    fn title(&self, text: &str) -> String {
        format!("{} of {} {}", text, self.tenant.name, self.id)
    }

    #[cache_on_arguments(
        region = self.region,
        ignore(self, other),
        key_by(other.number()),
        key_name = "pay",
        to_str = |amount: &u32| format!("{amount} cents"),
        function_key_generator = kwarg_key_generator
    )]
    fn pay(&self, other: &Account<'_>, amount: u32) -> u32 {
        other.number() + amount
    }

    #[cache_multi_on_arguments(region = self.region, key_by(self.tenant.name), key_name = "orders")]
    fn orders(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("{name} of {}", self.tenant.name)).collect()
    }

    #[cache_multi_on_arguments(
        region = self.region,
        key_by(self.id, self.tenant.name),
        key_name = "items",
        function_multi_key_generator = dogpile_multi_key_generator,
        asdict
    )]
    fn items(&self, ids: &[u32]) -> std::collections::BTreeMap<u32, u32> {
        ids.iter().map(|id| (*id, id + self.id)).collect()
    }

    #[cache_multi_on_arguments(region = self.region, ignore(self, shop),  key_by(shop), key_name = "of", function_multi_key_generator = by_hand)]
    fn of_shop(&self, shop: &str, ids: &[u32]) -> Vec<u32> {
        ids.iter().map(|id| id + shop.len() as u32).collect()
    }
}

fn by_hand(call: &FunctionCall<'_>) -> Vec<String> {
    let shared: String = call.shared().iter().map(|argument| argument.text() + "/").collect();
    call.arguments().iter().map(|argument| shared.clone() + &argument.text()).collect()
}

fn two_accounts(region: &CacheRegion) -> [Account<'_>; 2] {
    [(1, "a"), (2, "a b")].map(|(id, name)| Account { region, id, tenant: Tenant { name } })
}

/// Two accounts in one region: account 2 must not get the statement of account 1.
#[test]
fn objects_in_one_region_have_entries_of_their_own() {
    let region = region();
    let [one, two] = two_accounts(&region);
    assert_eq!([one.statement(2026), two.statement(2026)], ["account 1 in 2026", "account 2 in 2026"]);
    assert_eq!([one.statement_key(2026), two.statement_key(2026)], ["statement|1 2026", "statement|2 2026"]);
    assert_eq!([one.title("b c"), two.title("c")], ["b c of a 1", "c of a b 2"]);
    assert_eq!([one.title_key("b c"), two.title_key("c")], ["title|1 a \"b c\"", "title|2 \"a b\" c"]);
}

#[test]
fn companions_of_a_method_use_the_key_of_their_object() {
    let region = region();
    let [one, two] = two_accounts(&region);
    one.statement_set("set".to_owned(), 2026).unwrap();
    assert_eq!(
        (one.statement_get(2026).unwrap().as_deref(), two.statement_get(2026).unwrap()),
        (Some("set"), None)
    );
    assert_eq!((one.statement(2026).as_str(), two.statement(2026).as_str()), ("set", "account 2 in 2026"));
    one.statement_invalidate(2026).unwrap();
    assert_eq!((one.statement_get(2026).unwrap(), two.statement_get(2026).unwrap().is_some()), (None, true));
    assert_eq!(one.statement_refresh(2026).unwrap(), "account 1 in 2026");
    assert_eq!(one.statement_get(2026).unwrap().unwrap(), one.statement_original(2026));
}

#[test]
fn key_by_may_use_arguments_and_is_not_converted_by_to_str() {
    let region = region();
    let [one, two] = two_accounts(&region);
    assert_eq!((one.pay(&two, 5), two.pay(&two, 5), one.pay(&one, 5)), (25, 25, 15));
    assert_eq!(one.pay_key(&two, 5), "pay|5 cents 20");
}

#[test]
fn key_by_is_part_of_each_key_of_a_multi_method() {
    let region = region();
    let [one, two] = two_accounts(&region);
    assert_eq!(
        (one.orders(&["b c", "d"]), two.orders(&["c"])),
        (vec!["b c of a".into(), "d of a".into()], vec!["c of a b".to_owned()])
    );
    assert_eq!(one.orders_key(&["b c", "d"]), ["orders|a \"b c\"", "orders|a d"]);
    assert_eq!(two.orders_key(&["c"]), ["orders|\"a b\" c"]);
    one.orders_set([("d", "set".to_owned())]).unwrap();
    assert_eq!(
        (one.orders_get(&["d"]).unwrap(), two.orders_get(&["d"]).unwrap()),
        (vec![Some("set".to_owned())], vec![None])
    );
    one.orders_invalidate(&["d"]).unwrap();
    assert_eq!(one.orders_refresh(&["d"]).unwrap(), ["d of a"]);
    assert_eq!(two.items(&[5]).into_values().collect::<Vec<_>>(), [7]);
    assert_eq!(two.items_key(&[5, 6]), ["items|2 a b 5", "items|2 a b 6"]);
    assert_eq!((one.of_shop("tea", &[1]), one.of_shop_key("tea", &[1])), (vec![4], vec!["tea/1".to_owned()]));
}

/// The upper of two layers whose methods have the same name.
struct Upper<'a> {
    lower: Lower<'a>,
}

struct Lower<'a> {
    region: &'a CacheRegion,
    calls: Calls,
}

impl Upper<'_> {
    #[cache_on_arguments(region = self.lower.region, ignore(self), namespace = "upper", key_name = "layers:value")]
    fn value(&self, of: i32) -> (i32, u32) {
        self.lower.value(of)
    }
}

impl Lower<'_> {
    #[cache_on_arguments(region = self.region, ignore(self), namespace = "lower", key_name = "layers:value")]
    fn value(&self, of: i32) -> (i32, u32) {
        (of, self.calls.next())
    }
}

/// Behavior: `decorator-reentrant-with-namespaces`, `keygen-skips-self-and-cls`
#[test]
fn methods_of_one_name_may_call_across_namespaces() {
    let region = region();
    let upper = Upper { lower: Lower { region: &region, calls: Calls::default() } };
    assert_eq!((upper.value(7), upper.value(7), upper.value(8)), ((7, 1), (7, 1), (8, 2)));
    assert_eq!(upper.value_key(7), "layers:value|upper|7");
    assert_eq!(upper.lower.value_key(7), "layers:value|lower|7");
    upper.value_invalidate(7).unwrap();
    assert_eq!(upper.value(7), (7, 1), "the lower layer still has the value");
    upper.lower.value_set((7, 9), 7).unwrap();
    assert_eq!((upper.value(7), upper.value_refresh(7).unwrap()), ((7, 1), (7, 9)));
    assert_eq!((upper.value_get(7).unwrap(), upper.value_get(9).unwrap()), (Some((7, 9)), None));
    assert_eq!(upper.lower.value_original(7), (7, 3));
}

struct Left;
struct Right;

static SIDES: CacheRegion = CacheRegion::new("sides");

impl Left {
    #[cache_on_arguments(region = SIDES, ignore(self))]
    fn name(self: &Arc<Self>) -> String {
        "left".to_owned()
    }
}

impl Right {
    #[cache_on_arguments(region = SIDES, associated)]
    fn name() -> String {
        "right".to_owned()
    }
}

#[test]
fn methods_of_two_types_do_not_share_entries() {
    SIDES.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    let left = Arc::new(Left);
    assert_eq!(
        (left.name(), Right::name(), left.name()),
        ("left".to_owned(), "right".to_owned(), "left".to_owned())
    );
    let module = module_path!();
    assert_eq!(
        (left.name_key(), Right::name_key()),
        (format!("{module}::Left:name|"), format!("{module}::Right:name|"))
    );
}

/// A shop that owns its region. Its callers own the shop.
struct Depot {
    region: CacheRegion,
    id: u32,
}

impl Depot {
    #[cache_on_arguments(region = self.region, key_by(self.id))]
    fn stock(self: Arc<Self>, item: &str) -> usize {
        item.len() + self.id as usize
    }

    #[cache_on_arguments(region = self.region, key_by(self.id), background)]
    fn stock_in_background(self: Arc<Self>, item: u32) -> u32 {
        item + self.id
    }
}

#[test]
fn method_of_an_owned_object_uses_its_region() {
    let depot = Arc::new(Depot { region: region(), id: 7 });
    assert_eq!(Arc::clone(&depot).stock("tea"), 10);
    assert_eq!(Arc::clone(&depot).stock_refresh("tea").unwrap(), 10);
    assert_eq!(Arc::clone(&depot).stock_get("tea").unwrap(), Some(10));
    assert_eq!(Arc::clone(&depot).stock_in_background(4), 11);
    assert_eq!(Arc::clone(&depot).stock_in_background_get(4).unwrap(), Some(11));
    assert_eq!(Arc::strong_count(&depot), 1);
}
