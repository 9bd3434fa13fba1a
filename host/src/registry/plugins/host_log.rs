//! [`TracingHost`]: passes log records of plugin libraries on as `tracing` events with their own targets.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use dogpile_abi::{Host, LogRecord};
use parking_lot::RwLock;
use tracing_core::callsite::{Callsite, Identifier};
use tracing_core::field::{FieldSet, Value};
use tracing_core::metadata::{Kind, LevelFilter};
use tracing_core::subscriber::Interest;
use tracing_core::{Event, Level, Metadata, dispatcher};

/// The host that is lent to libraries.
pub(super) struct TracingHost;

/// How many targets are kept. A record with a further one gets [`OTHER_TARGETS`].
const MAX_TARGETS: usize = 1024;

/// The target of records whose own target is one too many.
const OTHER_TARGETS: &str = crate::log_targets::PLUGINS;

const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

/// The metadata of all targets, by level. `tracing` requires static metadata, so it is never freed.
static TARGETS: LazyLock<RwLock<HashMap<&'static str, [&'static Site; 5]>>> = LazyLock::new(RwLock::default);

/// The place from which the records of one target and level are emitted.
struct Site(std::sync::OnceLock<Metadata<'static>>);

impl Host for TracingHost {
    fn log_enabled(level: u8, target: &str) -> bool {
        is_kept(level_of(level)) && dispatcher::get_default(|log| log.enabled(metadata(level, target)))
    }

    fn log(record: LogRecord<'_>) {
        if is_kept(level_of(record.level)) {
            emit(
                metadata(record.level, record.target.as_str()),
                &format_args!("{}", record.message.as_str()),
            );
        }
    }
}

impl Site {
    fn leak(level: Level, target: &'static str) -> &'static Self {
        let site: &'static Site = Box::leak(Box::new(Site(std::sync::OnceLock::new())));
        let fields = FieldSet::new(&["message"], Identifier(site));
        let metadata = Metadata::new("log record", target, level, None, None, None, fields, Kind::EVENT);
        site.0.get_or_init(|| metadata);
        site
    }
}

impl Callsite for Site {
    fn set_interest(&self, _interest: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().expect("a site is filled before it is shared")
    }
}

fn is_kept(level: Level) -> bool {
    level <= LevelFilter::current()
}

fn emit(metadata: &'static Metadata<'static>, message: &fmt::Arguments<'_>) {
    dispatcher::get_default(|log| {
        let Some(field) = metadata.fields().field("message").filter(|_| log.enabled(metadata)) else {
            return;
        };
        let values = [(&field, Some(message as &dyn Value))];
        log.event(&Event::new(metadata, &metadata.fields().value_set(&values)));
    });
}

/// Returns the metadata of records of `target` at `level`.
fn metadata(level: u8, target: &str) -> &'static Metadata<'static> {
    let number = usize::from(level).clamp(1, LEVELS.len()) - 1;
    let known = TARGETS.read().get(target).copied();
    let sites = known.unwrap_or_else(|| add_target(target));
    sites[number].0.get().expect("a site is filled before it is shared")
}

#[cold]
fn add_target(target: &str) -> [&'static Site; 5] {
    let mut targets = TARGETS.write();
    let target = if targets.len() < MAX_TARGETS { target } else { OTHER_TARGETS };
    if let Some(sites) = targets.get(target) {
        return *sites;
    }
    let target: &'static str = Box::leak(target.into());
    let sites = LEVELS.map(|level| Site::leak(level, target));
    targets.insert(target, sites);
    sites
}

fn level_of(level: u8) -> Level {
    LEVELS[usize::from(level).clamp(1, LEVELS.len()) - 1]
}
