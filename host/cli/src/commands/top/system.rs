//! What needs unix: the connection to a process, and reading single keys.

#[cfg(unix)]
mod process;
#[cfg(unix)]
mod terminal;
#[cfg(not(unix))]
mod unsupported;

#[cfg(not(unix))]
pub(super) use self::unsupported::{Keyboard, Process, size};
#[cfg(unix)]
pub(super) use self::{
    process::Process,
    terminal::{Keyboard, size},
};
