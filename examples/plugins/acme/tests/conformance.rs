//! The conformance suite on the shelf, bare and behind the hit counter.

use std::{process::ExitCode, sync::Arc};

use acme_dogpile::{HitCounter, Shelf};
use dogpile_conformance::Setup;

fn main() -> ExitCode {
    dogpile_conformance::run([
        Setup::new("shelf", || Ok(Arc::new(Shelf::default()))),
        Setup::new("hit_counter", || {
            let counter = HitCounter::new(Default::default(), Arc::new(Shelf::default()));
            Ok(dogpile_sdk::proxy(counter.expect("the default arguments are right")))
        }),
    ])
}
