//! Helpers that several test suites share.

#![forbid(unsafe_code)]

pub mod certificates;
pub mod crowd;
pub mod desk;
pub mod dialect;
pub mod errors;
pub mod events;
pub mod fault;
pub mod faulty_load;
pub mod faulty_relay;
pub mod front;
pub mod hostile;
pub mod interop;
pub mod libraries;
pub mod load;
pub mod memcached;
pub mod peer;
pub mod redis;
pub mod refresh;
pub mod regions;
pub mod relay;
pub mod scripted;
pub mod servers;
pub mod setup;
pub mod threads;
pub mod worker;
