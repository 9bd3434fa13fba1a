//! [`with_causes`]: messages of errors that include their causes in the alternate form, `{:#}`.

use std::error::Error;
use std::fmt;

use dogpile_sdk::error_chain;

/// Writes `message` and, in the alternate form, the chain of `source` after it.
pub(crate) fn with_causes(
    f: &mut fmt::Formatter<'_>,
    message: fmt::Arguments<'_>,
    source: &(dyn Error + 'static),
) -> fmt::Result {
    f.write_fmt(message)?;
    if f.alternate() { write!(f, ": {}", error_chain(source)) } else { Ok(()) }
}
