//! Code of the application that the host calls may use the host: no lock is held meanwhile.

use std::env;
use std::process::Command;
use std::sync::{Arc, OnceLock};

use dogpile::proxy::{Chaos, ChaosConfig, ChaosControl, ChaosScript};
use dogpile::sdk::{CreationTime, proxy};
use dogpile::{Clock, Registry};
use dogpile_tests::events::Events;
use dogpile_tests::scripted::Scripted;
use dogpile_tests::threads::bounded;

/// Lists the entry points of its registry when it is dropped.
struct Listing(Registry);

impl Drop for Listing {
    fn drop(&mut self) {
        assert_eq!(self.0.entry_points().len(), 1);
    }
}

#[test]
fn refused_entry_point_may_use_its_registry_when_it_is_dropped() {
    bounded(|| {
        let registry = Registry::empty();
        let register = |listing: Option<Listing>| {
            registry.register_backend("acme.shelf", move |_| {
                let _listing = &listing;
                Ok(Scripted::new())
            })
        };
        register(None).unwrap();
        assert!(register(Some(Listing(registry.clone()))).is_err());
    });
}

/// A clock that looks at the control of the proxy that reads it.
#[derive(Debug, Default)]
struct Looking(Arc<OnceLock<ChaosControl>>);

impl Clock for Looking {
    fn now(&self) -> CreationTime {
        let calls = self.0.get().map_or(0, |control| control.counts().calls);
        CreationTime::from_seconds(calls as f64)
    }
}

#[test]
fn clock_of_a_chaos_proxy_may_use_its_control() {
    bounded(|| {
        let control = Arc::default();
        let mut config = ChaosConfig::default();
        config.clock = Some(Arc::new(Looking(Arc::clone(&control))));
        let chaos = Chaos::new(config, Scripted::new()).unwrap();
        control.set(chaos.control()).unwrap();
        let (chaos, backend) = (chaos.control(), proxy(chaos));
        assert!(backend.get("key").unwrap().is_none());
        chaos.set_script(ChaosScript::new().errors(1.0)).unwrap();
        chaos.set_clock(Arc::new(Looking(control)));
        assert!(backend.get("key").is_err());
    });
}

#[test]
fn log_sink_may_use_the_control_that_it_hears_of() {
    bounded(|| {
        let name = "log_sink_may_use_the_control_that_it_hears_of";
        let events = Events::reacting("name", name, move || assert!(ChaosControl::named(name).is_some()));
        let mut config = ChaosConfig::default();
        config.name = Some(name.to_owned());
        let _chaos = Chaos::new(config, Scripted::new()).unwrap();
        assert_eq!(events.take().len(), 1);
    });
}

/// Runs in a process of its own, whose global registry does not exist yet.
#[test]
fn log_sink_may_use_the_registry_that_it_hears_of() {
    const FOLDER: &str = "/nowhere/log_sink_may_use_the_registry_that_it_hears_of";
    if env::var_os("DOGPILE_PLUGIN_PATH").is_some_and(|path| path == FOLDER) {
        return bounded(|| {
            let events =
                Events::reacting("message", FOLDER, || assert_eq!(Registry::global().problems().len(), 1));
            assert!(!Registry::global().entry_points().is_empty());
            assert_eq!(events.take().len(), 1);
        });
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "foreign_code::log_sink_may_use_the_registry_that_it_hears_of"]);
    let output = child.env("DOGPILE_PLUGIN_PATH", FOLDER).output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
}
