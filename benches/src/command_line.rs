//! What a bench of ours takes on its command line.

use crate::subject::Failure;

/// Whether `--quick` was given: little is measured, to see that the bench runs.
///
/// # Errors
/// If anything else was given, but for the `--bench` that cargo adds.
pub fn is_quick() -> Result<bool, Failure> {
    let mut quick = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--bench" => {}
            other => {
                return Err(format!("unknown argument {other:?}; the only one is --quick").into());
            }
        }
    }
    Ok(quick)
}
