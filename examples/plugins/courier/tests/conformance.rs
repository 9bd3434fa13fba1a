//! The conformance suite on `courier.shelf`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use courier_dogpile::{Courier, CourierConfig};
use dogpile_conformance::Setup;
use dogpile_sdk::CacheBackend;

fn setup(name: &str, change: fn(&mut CourierConfig)) -> Setup {
    Setup::new(name, move || {
        let mut config = CourierConfig::default();
        change(&mut config);
        Ok(Arc::new(Courier::start(config)?) as Arc<dyn CacheBackend>)
    })
}

fn main() -> ExitCode {
    dogpile_conformance::run([
        setup("prompt", |_| {}),
        setup("slow", |config| config.latency = Duration::from_millis(1)),
        setup("one_thread", |config| config.threads = 1),
    ])
}
