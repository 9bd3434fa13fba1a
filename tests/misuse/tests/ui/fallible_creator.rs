use dogpile::{CacheRegion, CacheValue, RegionError};

static REGION: CacheRegion = CacheRegion::new("region");

fn price() -> Result<u32, String> {
    Ok(350)
}

fn of_a_region() -> Result<(), RegionError> {
    REGION.get_or_create("tea", price)?;
    Ok(())
}

fn with_options() -> Result<(), RegionError> {
    REGION.options().get_or_create("tea", || price())?;
    REGION.options().background().get_or_create("tea", price)?;
    Ok(())
}

fn of_many_keys() -> Result<(), RegionError> {
    REGION.get_or_create_multi(&["tea"], |_| vec![price()])?;
    Ok(())
}

/// A caller that is generic over the value compiles.
fn generic<T: CacheValue>(create: impl FnOnce() -> T) -> Result<T, RegionError> {
    REGION.get_or_create("tea", create)
}

fn main() {}
