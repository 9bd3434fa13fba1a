//! [`HostRef`]: what the host lends to a library, which is its log.

use abi_stable::prefix_type::WithMetadata;
use abi_stable::std_types::RStr;
use abi_stable::{StableAbi, staticref};

use crate::contain::contain_drop;

/// A log record on its way to the host.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct LogRecord<'a> {
    /// The level. 1 is error, 2 is warning, 3 is information, 4 is debugging, and 5 is tracing.
    pub level: u8,
    /// The source of the record, such as the path of a module.
    pub target: RStr<'a>,
    /// The message.
    pub message: RStr<'a>,
}

/// What a host implements to receive its plugins' log records.
pub trait Host: 'static {
    /// Returns whether a record of `level` (as in [`LogRecord`]) from `target` would be written.
    ///
    /// A library calls it for each record, so that a change of the host's level takes effect at once.
    fn log_enabled(level: u8, target: &str) -> bool;
    /// Writes a record.
    fn log(record: LogRecord<'_>);
}

/// The functions behind [`HostRef`].
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostRef, prefix_fields = HostFields)))]
pub struct HostTable {
    log_enabled: extern "C" fn(u8, RStr<'_>) -> bool,
    #[sabi(last_prefix_field)]
    log: extern "C" fn(LogRecord<'_>),
}

struct TableOf<H>(std::marker::PhantomData<H>);

impl<H: Host> TableOf<H> {
    staticref!(const TABLE: WithMetadata<HostTable> = WithMetadata::new(HostTable {
        log_enabled: log_enabled::<H>,
        log: log::<H>,
    }));
}

extern "C" fn log_enabled<H: Host>(level: u8, target: RStr<'_>) -> bool {
    let mut enabled = false;
    contain_drop(|| enabled = H::log_enabled(level, target.as_str()));
    enabled
}

extern "C" fn log<H: Host>(record: LogRecord<'_>) {
    contain_drop(|| H::log(record));
}

impl HostRef {
    /// Creates the functions of the host `H`.
    pub fn of<H: Host>() -> Self {
        HostRef(TableOf::<H>::TABLE.as_prefix())
    }

    /// See [`Host::log_enabled`].
    pub fn is_log_enabled(self, level: u8, target: &str) -> bool {
        (self.log_enabled())(level, RStr::from_str(target))
    }

    /// See [`Host::log`].
    pub fn write_log(self, level: u8, target: &str, message: &str) {
        (self.log())(LogRecord { level, target: RStr::from_str(target), message: RStr::from_str(message) });
    }
}
