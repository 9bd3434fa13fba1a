//! A recipe: several functions cache data about a user, and all of it is invalidated together.
//!
//! A key generator of the application records which functions have keys of a user. dogpile.cache's documentation
//! calls this "invalidating a group of related keys".
//!
//! `cargo run --example related_keys`

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use dogpile::function::{Argument, FunctionCall};
use dogpile::{CacheRegion, RegionConfig, RegionError, cache_on_arguments};

static USERS: CacheRegion = CacheRegion::new("users");
/// The functions whose first argument is the number of a user.
static FUNCTIONS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
static EVALUATIONS: AtomicU32 = AtomicU32::new(0);

/// Writes keys such as `user 7: recipes:name`. The first argument alone must distinguish the values.
fn by_user(call: &FunctionCall<'_>, key: &mut String) {
    let name = call.function().name();
    let mut functions = FUNCTIONS.lock().unwrap_or_else(|broken| broken.into_inner());
    if !functions.contains(name) {
        functions.insert(name.to_owned());
    }
    key.push_str(&key_of(&call.arguments().first().map(Argument::text).unwrap_or_default(), name));
}

fn key_of(user: &str, function: &str) -> String {
    format!("user {user}: {function}")
}

/// Removes everything that the functions have cached about a user.
fn forget(user: u64) -> Result<(), RegionError> {
    let functions = FUNCTIONS.lock().unwrap_or_else(|broken| broken.into_inner());
    let keys: Vec<String> = functions.iter().map(|function| key_of(&user.to_string(), function)).collect();
    USERS.delete_multi(&keys)
}

#[cache_on_arguments(region = USERS, key_name = "recipes:name", function_key_generator = by_user)]
fn name(user: u64) -> String {
    EVALUATIONS.fetch_add(1, Relaxed);
    format!("user number {user}")
}

#[cache_on_arguments(region = USERS, key_name = "recipes:orders", function_key_generator = by_user)]
fn orders(user: u64) -> Vec<u64> {
    EVALUATIONS.fetch_add(1, Relaxed);
    (0..user).collect()
}

fn main() -> Result<(), RegionError> {
    USERS.configure(RegionConfig::new("dogpile.cache.memory"))?;
    let page = |user| format!("{} with {} orders", name(user), orders(user).len());
    println!("{}, {}, {}", page(1), page(2), page(1));
    assert_eq!(EVALUATIONS.load(Relaxed), 4);

    forget(1)?;
    assert_eq!(
        (name::get(1)?, orders::get(1)?, name::get(2)?),
        (None, None, Some("user number 2".to_owned()))
    );
    println!("{}, {}", page(1), page(2));
    assert_eq!(EVALUATIONS.load(Relaxed), 6, "only user 1 was looked up again");
    Ok(())
}
