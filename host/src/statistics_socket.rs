//! [`StatisticsSocket`]: the unix socket on which `dogpile top` reads a process.
//!
//! Only the user of the process can connect.
//!
//! ```text
//! region ──publishes──> Published <──reads── server thread <──requests── clients
//!    │                                           ▲
//!    └──owns──> StatisticsSocket ──ends──────────┘
//! ```
//!
//! The regions of a configuration own its socket. When the last of them is dropped, the thread ends and removes the file.
//! `docs/observability.md` describes the protocol.

#[cfg(unix)]
mod bind;
#[cfg(unix)]
mod client;
mod path;
mod published;
#[cfg(unix)]
mod server;
mod snapshot;
#[cfg(unix)]
mod socket;
#[cfg(not(unix))]
#[path = "statistics_socket/unsupported.rs"]
mod socket;

pub(crate) use self::path::SocketPath;
pub(crate) use self::published::Source;
pub(crate) use self::snapshot::RegionReading;
pub(crate) use self::socket::StatisticsSocket;
