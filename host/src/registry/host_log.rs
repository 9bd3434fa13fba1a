//! Where the log records of plugin libraries go: on, as `tracing` events, under the targets that they came with.

use dogpile_abi::{Host, LogRecord};
use log::{Level, Log, Metadata, Record};
use tracing_log::LogTracer;

/// The host that is lent to libraries.
pub(super) struct TracingHost;

impl Host for TracingHost {
    fn log_enabled(level: u8, target: &str) -> bool {
        let metadata = Metadata::builder().level(level_of(level)).target(target).build();
        LogTracer::new().enabled(&metadata)
    }

    fn log(record: LogRecord<'_>) {
        let (level, target) = (level_of(record.level), record.target.as_str());
        let message = format_args!("{}", record.message.as_str());
        LogTracer::new().log(&Record::builder().level(level).target(target).args(message).build());
    }
}

fn level_of(level: u8) -> Level {
    match level {
        0 | 1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        4 => Level::Debug,
        _ => Level::Trace,
    }
}
