//! The worker process in Rust that [`Peer::worker`](crate::peer::Peer::worker) starts.
//!
//! The worker reads one JSON object per line and replies to each with another, like `tests/python/peer.py`. The first
//! object configures a region. It has `backend` and `arguments`, and optionally `serializer` (a name),
//! `expiration_time`, `early_refresh` (in percent), and `mangled` (store keys as SHA-1). Every other object is a command, and its `do` names one of
//! the commands in `Worker::obey`. The worker ends when its standard input does.

pub mod mixed;

use std::collections::BTreeMap;
use std::io::{BufRead, Write, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dogpile::sdk::CacheMutex;
use dogpile::{CacheRegion, RegionConfig, Share, sha1_mangle_key};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::threads::together;

type Outcome = Result<Value, Box<dyn std::error::Error>>;

/// Runs the commands from standard input until it ends.
///
/// # Panics
/// Panics if the region cannot be configured.
pub fn serve() {
    let Some(configuration) = hear() else { return };
    let worker = Worker::new(&configuration).expect("the region is configured");
    tell(&json!({ "ready": true }));
    while let Some(command) = hear() {
        let reply = worker.obey(&command);
        tell(&reply.unwrap_or_else(|error| json!({ "error": error.to_string() })));
    }
}

struct Worker {
    region: CacheRegion,
    mangled: bool,
    held: Mutex<BTreeMap<String, Arc<dyn CacheMutex>>>,
}

impl Worker {
    fn new(configuration: &Value) -> Result<Self, Box<dyn std::error::Error>> {
        let backend = configuration["backend"].as_str().unwrap_or_default();
        let mut config = RegionConfig::new(backend).arguments(&configuration["arguments"]);
        if let Some(seconds) = configuration["expiration_time"].as_f64() {
            config = config.expiration_time(Duration::try_from_secs_f64(seconds)?);
        }
        if let Some(percent) = configuration["early_refresh"].as_u64() {
            config = config.early_refresh(Share::percent(u8::try_from(percent)?));
        }
        if let Some(serializer) = configuration["serializer"].as_str() {
            config = config.serializer_named(serializer);
        }
        let mangled = configuration["mangled"] == json!(true);
        if mangled {
            config = config.key_mangler(sha1_mangle_key);
        }
        let region = CacheRegion::new("worker");
        region.configure(config)?;
        Ok(Worker { region, mangled, held: Mutex::default() })
    }

    fn obey(&self, command: &Value) -> Outcome {
        let (region, key) = (&self.region, command["key"].as_str().unwrap_or_default());
        match command["do"].as_str().unwrap_or_default() {
            "get" => {
                let found = region.get::<Value>(key)?;
                Ok(found.map_or(json!({ "missing": true }), |value| json!({ "value": value })))
            }
            "set" => region.set(key, command["value"].clone()).map(|()| json!({})).map_err(Into::into),
            "delete" => region.delete(key).map(|()| json!({})).map_err(Into::into),
            "get_multi" => {
                let keys: Vec<String> = serde_json::from_value(command["keys"].clone())?;
                Ok(json!({ "values": region.get_multi::<Value>(&keys)? }))
            }
            "set_multi" => {
                let values: BTreeMap<String, Value> = serde_json::from_value(command["values"].clone())?;
                let entries: Vec<(String, Value)> = values.into_iter().collect();
                region.set_multi(entries)?;
                Ok(json!({}))
            }
            "get_or_create" => self.get_or_create(key, &command["value"]),
            "crowd" => self.crowd(command, key),
            "mixed" => mixed::mixed(region, command).map_err(Into::into),
            "acquire" => self.acquire(key, command["wait"] == json!(true)),
            "release" => {
                let held = self.held.lock().remove(key);
                held.ok_or("it is not held")?.release()?;
                Ok(json!({}))
            }
            "key_is_locked" => Ok(json!({ "value": region.key_is_locked(key)? })),
            other => Err(format!("no command is called {other:?}").into()),
        }
    }

    /// Gets or creates the value of `key`. The creator sends `creating` and then waits for a line from the test.
    fn get_or_create(&self, key: &str, value: &Value) -> Outcome {
        let mut created = false;
        let found = self.region.get_or_create(key, || {
            created = true;
            wait_to_be_told(key);
            value.clone()
        })?;
        Ok(json!({ "value": found, "created": created }))
    }

    /// Requests `key` from several threads at once.
    ///
    /// The command has the number of `threads`, and `takes`, the duration of a creation in seconds. Without `takes`, a
    /// creation lasts until a line from the test arrives. The reply has the `values` that the threads got and how many
    /// threads `created`. It also has two times in microseconds since the Unix epoch. `made` is when the last creator
    /// was done, and `got` is when the last thread had the value.
    fn crowd(&self, command: &Value, key: &str) -> Outcome {
        let threads = command["threads"].as_u64().unwrap_or(1) as usize;
        let takes = command["takes"].as_f64().map(Duration::try_from_secs_f64).transpose()?;
        let (created, made) = (AtomicU64::new(0), AtomicU64::new(0));
        let results = together(threads, |_| {
            let found = self.region.get_or_create(key, || {
                created.fetch_add(1, Ordering::Relaxed);
                match takes {
                    Some(takes) => thread::sleep(takes),
                    None => wait_to_be_told(key),
                }
                made.store(now(), Ordering::Relaxed);
                command["value"].clone()
            });
            found.map(|found| (found, now()))
        });
        let results = results.into_iter().collect::<Result<Vec<_>, _>>()?;
        let got = results.iter().map(|(_, got)| *got).max();
        let values: Vec<Value> = results.into_iter().map(|(found, _)| found).collect();
        Ok(json!({ "values": values, "created": created, "made": made, "got": got }))
    }

    fn acquire(&self, key: &str, wait: bool) -> Outcome {
        let mangled = if self.mangled { sha1_mangle_key(key) } else { key.to_owned() };
        let mutex = self.region.backend()?.get_mutex(&mangled).ok_or("the backend has no mutexes")?;
        let acquired = if wait {
            mutex.acquire_until(Instant::now() + Duration::from_secs(600))?
        } else {
            mutex.try_acquire()?
        };
        if acquired {
            self.held.lock().insert(key.to_owned(), mutex);
        }
        Ok(json!({ "value": acquired }))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

fn wait_to_be_told(key: &str) {
    tell(&json!({ "creating": key }));
    if hear().is_none() {
        // The test has ended, so nothing will read the created value.
        std::process::exit(0);
    }
}

fn tell(reply: &Value) {
    // The test may have ended. This process then ends too, because its standard input is closed.
    let _ = writeln!(stdout(), "{reply}");
}

fn hear() -> Option<Value> {
    let mut line = String::new();
    let read = stdin().lock().read_line(&mut line).ok()?;
    if read == 0 { None } else { serde_json::from_str(&line).ok() }
}
