//! Forks after asynchronous calls to a server, and makes calls in both processes at once.
//!
//! The first argument is the server's port. The second is the backend, by default Redis.

use std::error::Error;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::threads::block_on;
use fork::{Fork, WEXITSTATUS, WIFEXITED};

/// The number of calls that each process makes.
const CALLS: usize = 200;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let port: u16 = std::env::args().nth(1).ok_or("give a port")?.parse()?;
    let config = match std::env::args().nth(2) {
        Some(backend) => RegionConfig::new(backend).argument("url", format!("127.0.0.1:{port}")),
        None => RegionConfig::new("dogpile.cache.redis").argument("host", "127.0.0.1").argument("port", port),
    };
    let region = CacheRegion::new("forked");
    region.configure(config)?;
    calls(&region, "before")?;
    match fork::fork()? {
        Fork::Child => {
            let mut called = calls(&region, "child");
            // Dropping the parent's state must not wait for it.
            drop(region);
            if let Err(error) = &mut called {
                println!("failed in the child: {}", told(&**error));
            }
            std::process::exit(i32::from(called.is_err()));
        }
        Fork::Parent(child) => {
            calls(&region, "parent")?;
            let status = fork::waitpid(child)?;
            if !WIFEXITED(status) || WEXITSTATUS(status) != 0 {
                return Err(format!("the child ended with the status {status}").into());
            }
            calls(&region, "after")
        }
    }
}

fn calls(region: &CacheRegion, who: &str) -> Outcome {
    for number in 0..CALLS {
        let key = format!("{who} {number}");
        block_on(region.set_async(&key, key.clone()))?;
        let found = block_on(region.get_async::<String>(&key))?;
        if found.as_ref() != Some(&key) {
            return Err(format!("{key:?} has the value {found:?}").into());
        }
    }
    Ok(())
}
