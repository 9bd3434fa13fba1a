//! [`error_chain`]: an error and its causes as one line of text.

use std::error::Error;
use std::fmt;

/// How many causes are shown. A longer chain is most likely a loop.
const MAX_CAUSES: usize = 16;

/// Returns `error` and its causes, the nearest first, for display on one line.
///
/// Each message is separated from the next by a colon. At most 16 causes are shown.
///
/// ```
/// use dogpile_sdk::{BackendError, ErrorKind, error_chain};
///
/// let cause = BackendError::new(ErrorKind::Timeout, "no reply within 3s");
/// let error = BackendError::new(ErrorKind::Other, "cannot read the slot map").with_source(cause);
/// assert_eq!(error_chain(&error).to_string(), "cannot read the slot map: no reply within 3s");
/// ```
pub fn error_chain<'e>(error: &'e (dyn Error + 'e)) -> ErrorChain<'e> {
    ErrorChain(error)
}

/// An error and its causes, which display as one line. [`error_chain`] creates it.
#[derive(Clone, Copy, Debug)]
pub struct ErrorChain<'e>(&'e (dyn Error + 'e));

impl<'e> ErrorChain<'e> {
    /// Returns the messages of the error and its causes, the nearest first.
    pub fn messages(self) -> impl Iterator<Item = String> + use<'e> {
        std::iter::once(self.0.to_string()).chain(causes(self.0).map(ToString::to_string))
    }
}

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `{:#}`: an error whose own `{:#}` includes its causes would show them twice.
        write!(f, "{}", self.0)?;
        causes(self.0).try_for_each(|cause| write!(f, ": {cause}"))
    }
}

/// Returns the causes of `error`, the nearest first, and at most [`MAX_CAUSES`].
pub(crate) fn causes<'e>(error: &'e (dyn Error + 'e)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (**cause).source()).take(MAX_CAUSES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{BackendError, ErrorKind};

    #[test]
    fn chain_is_shown_nearest_cause_first() {
        let error = |message: &str| BackendError::new(ErrorKind::Other, message);
        let chain = error("a").with_source(error("b").with_source(error("c")));
        assert_eq!(error_chain(&chain).to_string(), "a: b: c");
        assert_eq!(error_chain(&chain).messages().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((format!("{chain}"), format!("{chain:#}")), ("a".to_owned(), "a: b: c".to_owned()));
    }

    #[test]
    fn endless_chain_is_cut_off() {
        #[derive(Debug)]
        struct Loop;

        impl fmt::Display for Loop {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("loop")
            }
        }

        impl Error for Loop {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&Loop)
            }
        }

        let shown = error_chain(&Loop).to_string();
        assert_eq!(shown.matches("loop").count(), 1 + MAX_CAUSES);
    }
}
