//! The conformance suite on `depot.moka`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use depot_dogpile::{MokaBackend, MokaConfig};
use dogpile_conformance::Setup;
use dogpile_sdk::CacheBackend;

fn setup(name: &str, config: MokaConfig) -> Setup {
    Setup::new(name, move || Ok(Arc::new(MokaBackend::new(&config)?) as Arc<dyn CacheBackend>))
}

fn main() -> ExitCode {
    let plain = MokaConfig::default();
    let limited = MokaConfig {
        max_value_bytes: 1 << 20,
        time_to_live: Some(Duration::from_secs(600)),
        ..plain.clone()
    };
    dogpile_conformance::run(vec![setup("plain", plain), setup("limited", limited)])
}
