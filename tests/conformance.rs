//! The conformance suite on every backend of ours, through both doors.
//!
//! Behaviour: `redis-generic-suite`, `redis-distributed-mutex`, `redis-distributed-mutex-prefix`, `valkey-generic-suite`,
//! `valkey-distributed-mutex`, `valkey-distributed-mutex-prefix`, `sentinel-generic-suite`, `sentinel-distributed-mutex`,
//! `dbm-behind-proxy`

fn main() -> std::process::ExitCode {
    dogpile_conformance::run(dogpile_tests::setup::setups())
}
