//! Functions in blocks where their companions cannot be.

use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

struct Shop;

impl Shop {
    #[cache_on_arguments(region = REGION)]
    pub fn without_self(item: u32) -> u32 {
        item
    }

    #[cache_multi_on_arguments(region = REGION)]
    fn many_without_self(items: &[u32]) -> Vec<u32> {
        items.to_vec()
    }
}

trait Priced {
    fn price(&self, item: u32) -> u32;

    #[cache_on_arguments(region = REGION, ignore(self))]
    fn provided(&self, item: u32) -> u32 {
        item + 1
    }

    fn discounts(items: &[u32]) -> Vec<u32>;
}

impl Priced for Shop {
    #[cache_on_arguments(region = REGION, ignore(self))]
    fn price(&self, item: u32) -> u32 {
        item
    }

    #[cache_multi_on_arguments(region = REGION, associated)]
    fn discounts(items: &[u32]) -> Vec<u32> {
        items.to_vec()
    }
}

fn main() {
    impl Shop {
        #[cache_on_arguments(region = REGION)]
        fn within_a_body(item: u32) -> u32 {
            item + 2
        }
    }
}
