//! The behaviors of dogpile.cache, by area, and the intended improvements.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "port/better.rs"]
mod better;
#[path = "port/chaos.rs"]
mod chaos;
#[path = "port/config.rs"]
mod config;
#[path = "port/contract.rs"]
mod contract;
#[path = "port/creators.rs"]
mod creators;
#[path = "port/decisions.rs"]
mod decisions;
#[path = "port/foreign_code.rs"]
mod foreign_code;
#[path = "port/invalidation.rs"]
mod invalidation;
#[path = "port/keys.rs"]
mod keys;
#[path = "port/lock.rs"]
mod lock;
#[path = "port/logging.rs"]
mod logging;
#[path = "port/memory.rs"]
mod memory;
#[path = "port/multi.rs"]
mod multi;
#[path = "port/name_registry.rs"]
mod name_registry;
#[path = "port/oslo.rs"]
mod oslo;
#[path = "port/oslo_names.rs"]
mod oslo_names;
#[path = "port/proxy.rs"]
mod proxy;
#[path = "port/read_write.rs"]
mod read_write;
#[path = "port/region.rs"]
mod region;
#[path = "port/runner.rs"]
mod runner;
#[path = "port/serializer.rs"]
mod serializer;
#[path = "port/serializer_blob.rs"]
mod serializer_blob;
#[path = "port/serializer_pickle.rs"]
mod serializer_pickle;
#[path = "port/serializer_python.rs"]
mod serializer_python;
#[path = "port/serializer_types.rs"]
mod serializer_types;
#[path = "port/simulation.rs"]
mod simulation;
#[path = "port/supplied_proxies.rs"]
mod supplied_proxies;
#[path = "port/time.rs"]
mod time;
#[path = "port/values.rs"]
mod values;
