//! Compilers with a known miscompilation.
//!
//! The list has the stable releases, from the MSRV on, that were replaced by a point release because they generate wrong
//! code on platforms that load plugins. Other faults of compilers are not listed: a longer list would raise
//! warnings that most people can ignore. A nightly or beta compiler is not compared.

use std::path::Path;

use crate::log_targets::REGISTRY;

/// A stable release that generates wrong code.
struct Miscompilation {
    release: &'static str,
    fault: &'static str,
    issue: &'static str,
    fixed_in: &'static str,
}

const KNOWN: &[Miscompilation] = &[
    // The announcement of 1.96.1 and the pull request <https://github.com/rust-lang/rust/pull/158331>.
    Miscompilation {
        release: "1.96.0",
        fault: "an optimization of MIR is unsound",
        issue: "https://github.com/rust-lang/rust/pull/158214",
        fixed_in: "1.96.1",
    },
    // The announcement of 1.97.1. The fault of LLVM is older; a change in 1.97.0 made it much more likely.
    Miscompilation {
        release: "1.97.0",
        fault: "an optimization of LLVM generates wrong code",
        issue: "https://github.com/rust-lang/rust/issues/159035",
        fixed_in: "1.97.1",
    },
    // The announcement of 1.98.1. Safe code calls a null pointer.
    Miscompilation {
        release: "1.98.0",
        fault: "a table of a trait object can lack a function",
        issue: "https://github.com/rust-lang/rust/issues/161441",
        fixed_in: "1.98.1",
    },
];

/// Returns the known miscompilation of `compiler`, such as `rustc 1.98.0 (0123abcd 2026-08-20)`, and what to do.
pub(super) fn miscompilation(compiler: &str) -> Option<String> {
    let release = compiler.strip_prefix("rustc ")?.split_whitespace().next()?;
    let Miscompilation { fault, issue, fixed_in, .. } =
        KNOWN.iter().find(|known| known.release == release)?;
    Some(format!(
        "rustc {release} miscompiles some programs: {fault} ({issue}); rebuild the library with rustc {fixed_in} or later"
    ))
}

/// Logs a warning if the library at `path` was built with a compiler that has a known miscompilation.
pub(super) fn warn_of_miscompilation(path: &Path, compiler: &str) {
    if let Some(problem) = miscompilation(compiler) {
        tracing::warn!(target: REGISTRY, "plugin library {path:?} may misbehave: {problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_stable_releases_are_recognized() {
        for known in KNOWN {
            let text = miscompilation(&format!("rustc {} (0123abcd 2026-01-01)", known.release)).unwrap();
            assert!(text.contains(known.issue) && text.contains(known.fixed_in), "{text}");
            assert_eq!(miscompilation(&format!("rustc {} (0123abcd 2026-01-01)", known.fixed_in)), None);
        }
        let others = ["rustc 1.95.0 (59807616e 2026-04-14)", "rustc 1.98.0-nightly (a 2026-06-01)"];
        for other in others.into_iter().chain(["an unknown compiler", "rustc", "1.98.0", ""]) {
            assert_eq!(miscompilation(other), None, "{other:?}");
        }
    }
}
