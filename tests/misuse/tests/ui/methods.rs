use dogpile::{CacheRegion, cache_multi_on_arguments, cache_on_arguments};

static REGION: CacheRegion = CacheRegion::new("region");

struct Account {
    id: u32,
    region: CacheRegion,
}

impl Account {
    #[cache_on_arguments(region = REGION)]
    fn statement(&self, year: u32) -> u32 {
        self.id + year
    }

    #[cache_on_arguments(region = self.region)]
    fn in_its_own_region(&self, year: u32) -> u32 {
        self.id + year
    }

    #[cache_on_arguments(region = self.region, ignore(year), key_by(year))]
    fn keyed_by_something_else(self: &std::sync::Arc<Self>, year: u32) -> u32 {
        self.id + year
    }

    #[cache_multi_on_arguments(region = REGION)]
    fn statements(&self, years: &[u32]) -> Vec<u32> {
        years.to_vec()
    }

    #[cache_on_arguments(region = REGION, key_by(self.id), ignore(self))]
    fn keyed_and_ignored(&self, year: u32) -> u32 {
        self.id + year
    }

    #[cache_on_arguments(region = REGION, key_by(self.region))]
    fn keyed_by_what_has_no_text(&self, year: u32) -> u32 {
        self.id + year
    }

    #[cache_on_arguments(region = REGION, key_by)]
    fn keyed_by_nothing(&self, year: u32) -> u32 {
        self.id + year
    }
}

#[cache_on_arguments(region = REGION, key_by(self.id))]
fn keyed_by_no_self(year: u32) -> u32 {
    year
}

#[cache_on_arguments(region = REGION, ignore(self))]
fn ignores_no_self(year: u32) -> u32 {
    year
}

fn main() {}
