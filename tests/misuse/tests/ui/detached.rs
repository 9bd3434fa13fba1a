//! Arguments and bodies that a detached function cannot have.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use dogpile::{CacheKey, CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

#[cache_on_arguments(region = REGION, detach)]
async fn borrowed_text(item: &str) -> usize {
    item.len()
}

#[cache_on_arguments(region = REGION, detach, ignore(item))]
async fn borrowed_inside(item: Cow<'_, str>) -> usize {
    item.len()
}

#[cache_multi_on_arguments(region = REGION, detach)]
async fn borrowed_items(items: &[&str]) -> Vec<usize> {
    items.iter().map(|item| item.len()).collect()
}

#[cache_multi_on_arguments(region = REGION, detach)]
async fn owned_items(items: &[&'static str]) -> Vec<usize> {
    items.iter().map(|item| item.len()).collect()
}

#[derive(CacheKey)]
struct NotClone(u32);

#[cache_on_arguments(region = REGION, detach)]
async fn not_cloned(item: NotClone) -> u32 {
    item.0
}

#[cache_on_arguments(region = REGION, detach, ignore(shop))]
async fn not_sent(shop: Rc<u32>, item: u32) -> u32 {
    *shop + item
}

#[cache_on_arguments(region = REGION, detach)]
async fn waits_with_what_is_not_sent(item: u32) -> u32 {
    let shop = Rc::new(item);
    std::future::ready(()).await;
    *shop
}

struct Shop {
    id: u32,
}

impl Shop {
    #[cache_on_arguments(region = REGION, key_by(self.id), detach)]
    async fn borrowed_self(&self, a: u32) -> u32 {
        self.id + a
    }

    #[cache_on_arguments(region = REGION, key_by(self.id), detach)]
    async fn shared_self(self: Arc<Self>, a: u32) -> u32 {
        self.id + a
    }
}

fn main() {}
