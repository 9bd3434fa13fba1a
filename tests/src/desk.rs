//! [`Desk`], a runner that leaves its creations to the test.

use dogpile::{Creation, Runner};
use parking_lot::Mutex;

/// A runner that keeps its creations until the test runs or drops them.
#[derive(Debug, Default)]
pub struct Desk(Mutex<Vec<Creation>>);

impl Runner for Desk {
    fn run(&self, creation: Creation) {
        self.0.lock().push(creation);
    }
}

impl Desk {
    /// Takes the creations that arrived since the last call.
    pub fn take(&self) -> Vec<Creation> {
        std::mem::take(&mut *self.0.lock())
    }
}
