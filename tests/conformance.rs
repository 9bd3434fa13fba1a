//! The conformance suite on every backend of ours, through both doors.
//!
//! Behaviour: `redis-generic-suite`, `redis-distributed-mutex`, `redis-distributed-mutex-prefix`

fn main() -> std::process::ExitCode {
    dogpile_conformance::run(dogpile_tests::setup::setups())
}
