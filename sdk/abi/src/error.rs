//! [`AbiError`]: a backend's error in stable layout.

use abi_stable::StableAbi;
use abi_stable::std_types::{RBox, ROption, RString, RVec};

/// An error on its way across the border. Boxed, so that the good case stays small.
#[repr(transparent)]
#[derive(Debug, StableAbi)]
pub struct AbiError(RBox<AbiErrorParts>);

/// What an [`AbiError`] says.
#[repr(C)]
#[derive(Debug, Clone, StableAbi)]
pub struct AbiErrorParts {
    /// The kind, by the name that the SDK gives it; an unknown one is taken for "other".
    pub kind: RString,
    /// What was being done.
    pub operation: ROption<RString>,
    /// The key it was done to.
    pub key: ROption<RString>,
    /// What happened.
    pub message: RString,
    /// The messages of its causes, the nearest first.
    pub sources: RVec<RString>,
    /// Whether the other side panicked rather than answered.
    pub panicked: bool,
}

impl AbiError {
    /// Wraps `parts` up.
    pub fn new(parts: AbiErrorParts) -> Self {
        AbiError(RBox::new(parts))
    }

    /// The error that stands for a contained panic.
    pub(crate) fn panicked(message: String) -> Self {
        Self::new(AbiErrorParts {
            kind: RString::new(),
            operation: ROption::RNone,
            key: ROption::RNone,
            message: message.into(),
            sources: RVec::new(),
            panicked: true,
        })
    }

    /// What it says.
    pub fn parts(&self) -> &AbiErrorParts {
        &self.0
    }

    /// Unwraps it.
    pub fn into_parts(self) -> AbiErrorParts {
        RBox::into_inner(self.0)
    }
}
