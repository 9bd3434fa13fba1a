//! [`Desk`]: a runner whose creations wait for the test.

use dogpile::{AsyncCreationRunner, Creation};
use parking_lot::Mutex;

/// Keeps creations until the test runs or drops them.
#[derive(Debug, Default)]
pub struct Desk(Mutex<Vec<Creation>>);

impl AsyncCreationRunner for Desk {
    fn run(&self, creation: Creation) {
        self.0.lock().push(creation);
    }
}

impl Desk {
    /// What it was given since it was last asked.
    pub fn take(&self) -> Vec<Creation> {
        std::mem::take(&mut *self.0.lock())
    }
}
