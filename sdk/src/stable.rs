//! Between the traits that authors implement and their form in `dogpile-abi`, in safe code.
//!
//! `exported` is the way out (ours, for the other side to call), `loaded` the way in.

mod error;
mod exported;
mod loaded;
mod plugin;

pub use exported::ExportedBackend;
pub use loaded::LoadedBackend;
pub use plugin::{Exported, ExportedPlugin};
