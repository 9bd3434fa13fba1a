//! The proxies that are supplied: `dogpile.proxy.logging`, `dogpile.proxy.key_prefix`, `dogpile.proxy.readonly`, and
//! `dogpile.proxy.chaos`.
//!
//! They are registered as any third party's would be.

mod chaos;
mod key_prefix;
mod logging;
mod readonly;

pub use self::chaos::{
    Chaos, ChaosConfig, ChaosControl, ChaosCounts, ChaosDelay, ChaosOperation, ChaosScript, ChaosWindow,
};
pub use self::key_prefix::{KeyPrefix, KeyPrefixConfig};
pub use self::logging::{Logging, LoggingConfig};
pub use self::readonly::ReadOnly;
