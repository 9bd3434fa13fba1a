//! [`Progress`]: how far the call of a cached function has come.

/// Why a creator finds its arguments: a region calls a creator at most once.
pub(super) const ONCE: &str = "a region calls a creator at most once";

/// Why a failed call has a result: the region did not call the creator, dropped it while it was running, or has its value. An
/// error of the creator itself is not a failure of the region.
pub(super) const CALLED_OR_RETURNED: &str =
    "a failed region did not call the creator to its end, or has its value";

/// How far a call has come. It decides what remains to be done if the region fails.
pub(super) enum Progress<A, T> {
    /// The function was not called yet. Holds its arguments.
    Waiting(A),
    /// The function was called and has not returned a value.
    Called,
    /// The function returned this value.
    Made(T),
}

impl<A, T> Progress<A, T> {
    /// Takes the arguments, marking the function as called.
    pub(super) fn begin(&mut self) -> Option<A> {
        match std::mem::replace(self, Progress::Called) {
            Progress::Waiting(arguments) => Some(arguments),
            Progress::Called | Progress::Made(_) => None,
        }
    }

    /// Returns the function's result, calling `original` if that did not happen yet.
    pub(super) fn end<E>(self, original: impl FnOnce(A) -> Result<T, E>) -> Option<Result<T, E>> {
        match self {
            Progress::Waiting(arguments) => Some(original(arguments)),
            Progress::Made(value) => Some(Ok(value)),
            Progress::Called => None,
        }
    }
}
