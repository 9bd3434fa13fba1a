//! Adapters between the traits that authors implement and their form in `dogpile-abi`, in safe code.
//!
//! `exported` carries our objects to the other side. `loaded` turns the other side's objects into ours.

mod crossing;
mod deadline;
mod error;
mod exported;
mod exported_operations;
mod loaded;
mod loaded_operations;
mod options;
mod plugin;

pub use exported::ExportedBackend;
pub use loaded::LoadedBackend;
pub use plugin::{Exported, ExportedPlugin};
