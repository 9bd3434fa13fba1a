//! The command line of our benches.

use crate::subject::Failure;

/// Returns whether `--quick` was given. The bench then measures little, to show that it runs.
///
/// # Errors
/// If another argument was given, except the `--bench` that cargo adds.
pub fn is_quick() -> Result<bool, Failure> {
    let mut quick = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => quick = true,
            "--bench" => {}
            other => {
                return Err(format!("unknown argument {other:?}: the only one is --quick").into());
            }
        }
    }
    Ok(quick)
}
