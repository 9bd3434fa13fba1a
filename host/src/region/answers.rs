//! [`Answers`]: which errors of creators are answers, and which are outages.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

/// Returns whether an error is an answer. It is made where the type of the error is known to borrow nothing: as a bound of a
/// creator, that would keep the compiler from finding the futures of calls `Send`.
pub(super) type IsAnswer<E> = fn(&Answers, &E) -> bool;

/// What the application decides on errors of one type.
type Predicate = Arc<dyn Fn(&dyn Any) -> bool + Send + Sync>;

/// Which errors of creators are answers, by the type of the error. All others are outages.
#[derive(Clone, Default)]
pub(crate) struct Answers(Vec<(TypeId, Predicate)>);

impl Answers {
    /// Adds what decides on errors of type `E`. It replaces what decided on them before.
    pub(super) fn add<E: 'static>(&mut self, is_answer: impl Fn(&E) -> bool + Send + Sync + 'static) {
        let is_answer: Predicate = Arc::new(move |error| error.downcast_ref().is_some_and(&is_answer));
        self.0.retain(|(of, _)| *of != TypeId::of::<E>());
        self.0.push((TypeId::of::<E>(), is_answer));
    }

    /// Returns whether `error` is an answer.
    pub(super) fn is_answer<E: 'static>(&self, error: &E) -> bool {
        let of_type = |(of, _): &&(TypeId, Predicate)| *of == TypeId::of::<E>();
        self.0.iter().find(of_type).is_some_and(|(_, is_answer)| is_answer(error))
    }

    /// Returns these, completed by `others`.
    pub(super) fn or(mut self, others: Answers) -> Self {
        for (of, is_answer) in others.0 {
            if self.0.iter().all(|(own, _)| *own != of) {
                self.0.push((of, is_answer));
            }
        }
        self
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answers({} types)", self.0.len())
    }
}
