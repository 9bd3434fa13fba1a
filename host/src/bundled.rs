//! x
#[cfg(feature = "memory")]
use dogpile_memory as _;
