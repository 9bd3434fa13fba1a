//! A process that uses a region, forks, and uses the region in both processes.
//!
//! `forked CONFIGURATION`: the configuration is a JSON object with `backend` and `arguments`. The server must be
//! empty. Prints each failure, and fails if there is one.

use std::error::Error;
use std::process::ExitCode;

use dogpile::{CacheRegion, RegionConfig};
use fork::{Fork, WEXITSTATUS, WIFEXITED};
use serde_json::Value;

type Outcome = Result<(), Box<dyn Error>>;

const KEYS: usize = 100;
const ROUNDS: usize = 20;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let configuration: Value = serde_json::from_str(&std::env::args().nth(1).ok_or("no configuration")?)?;
    let backend = configuration["backend"].as_str().ok_or("no backend")?;
    let region = CacheRegion::new("forked");
    region.configure(RegionConfig::new(backend).arguments(&configuration["arguments"]))?;
    fill(&region, "parent")?;
    let mutex = region.backend()?.get_mutex("held").ok_or("the backend has no mutexes")?;
    if !mutex.try_acquire()? {
        return Err("the mutex is held elsewhere".into());
    }
    // Nothing else runs in this process, except the thread that renews the lease.
    match fork::fork()? {
        Fork::Child => {
            let done = child(&region);
            if let Err(error) = &done {
                println!("failed in the child: {error}");
            }
            std::process::exit(i32::from(done.is_err()));
        }
        Fork::Parent(child) => {
            let used = use_it(&region, "parent");
            let released = mutex.release();
            let status = fork::waitpid(child)?;
            used?;
            released?;
            if !WIFEXITED(status) || WEXITSTATUS(status) != 0 {
                return Err(format!("the child ended with the status {status}").into());
            }
        }
    }
    check(&region, "parent")?;
    check(&region, "child")
}

fn child(region: &CacheRegion) -> Outcome {
    check(region, "parent")?;
    fill(region, "child")?;
    use_it(region, "child")?;
    // The parent releases the lock that it held during the fork.
    let created = region.get_or_create("held", || "child".to_owned())?;
    if created == "child" { Ok(()) } else { Err(format!("created {created:?}").into()) }
}

fn key(of: &str, number: usize) -> String {
    format!("{of}:{number}")
}

fn fill(region: &CacheRegion, of: &str) -> Outcome {
    (0..KEYS).try_for_each(|number| Ok(region.set(&key(of, number), key(of, number))?))
}

/// Reads and writes values, one by one and together, and takes locks.
fn use_it(region: &CacheRegion, of: &str) -> Outcome {
    for round in 0..ROUNDS {
        check(region, of)?;
        let created = key("created", round);
        let value = region.get_or_create(&created, || created.clone())?;
        if value != created {
            return Err(format!("{created} has {value:?}").into());
        }
    }
    Ok(())
}

fn check(region: &CacheRegion, of: &str) -> Outcome {
    let keys: Vec<String> = (0..KEYS).map(|number| key(of, number)).collect();
    let all = region.get_multi::<String>(&keys)?;
    for (key, together) in keys.iter().zip(all) {
        for found in [together, region.get::<String>(key)?] {
            if found.as_ref() != Some(key) {
                return Err(format!("{of}: key {key} has {found:?}").into());
            }
        }
    }
    Ok(())
}
