//! [`AbiError`]: the error of a backend in stable layout.

use abi_stable::StableAbi;
use abi_stable::std_types::{RBox, ROption, RString, RVec};

/// An error that crosses the FFI boundary. It is boxed, so that results without an error stay small.
#[repr(transparent)]
#[derive(Debug, StableAbi)]
pub struct AbiError(RBox<AbiErrorParts>);

/// The contents of an [`AbiError`].
#[repr(C)]
#[derive(Debug, Clone, StableAbi)]
pub struct AbiErrorParts {
    /// The name of the kind. An unknown name means "other".
    pub kind: RString,
    /// The operation that failed.
    pub operation: ROption<RString>,
    /// The key of the operation.
    pub key: ROption<RString>,
    /// The server that failed.
    pub server: ROption<RString>,
    /// The argument of the configuration that is wrong.
    pub argument: ROption<RString>,
    /// The reason.
    pub message: RString,
    /// The messages of the causes, the nearest first.
    pub sources: RVec<RString>,
    /// The file and line of a panic.
    pub location: ROption<RString>,
    /// Whether the other side panicked instead of returning an error.
    pub panicked: bool,
}

impl AbiError {
    /// Creates an error from `parts`.
    pub fn new(parts: AbiErrorParts) -> Self {
        AbiError(RBox::new(parts))
    }

    /// Creates the error that stands for a contained panic.
    pub(crate) fn panicked(message: String, location: Option<String>) -> Self {
        Self::new(AbiErrorParts {
            kind: RString::new(),
            operation: ROption::RNone,
            key: ROption::RNone,
            server: ROption::RNone,
            argument: ROption::RNone,
            message: message.into(),
            sources: RVec::new(),
            location: location.map(RString::from).into(),
            panicked: true,
        })
    }

    /// Returns its contents.
    pub fn parts(&self) -> &AbiErrorParts {
        &self.0
    }

    /// Converts it into its contents.
    pub fn into_parts(self) -> AbiErrorParts {
        RBox::into_inner(self.0)
    }
}
