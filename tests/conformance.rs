//! The conformance suite on every backend of ours, through both doors.

fn main() -> std::process::ExitCode {
    dogpile_conformance::run(dogpile_tests::setup::setups())
}
