//! Keys and outcomes of calls, in our form and in stable layout.

use dogpile_abi::CachedValue;
use dogpile_abi::std_types::{ROption, RStr, RVec};

/// An outcome that can cross the FFI boundary.
pub(super) trait Crossing: Send + 'static {
    /// The outcome in stable layout.
    type Stable: Send + 'static;

    fn into_stable(self) -> Self::Stable;
    fn from_stable(stable: Self::Stable) -> Self;
}

impl Crossing for () {
    type Stable = ();

    fn into_stable(self) {}
    fn from_stable((): ()) {}
}

impl Crossing for bool {
    type Stable = bool;

    fn into_stable(self) -> bool {
        self
    }

    fn from_stable(stable: bool) -> Self {
        stable
    }
}

impl Crossing for Option<CachedValue> {
    type Stable = ROption<CachedValue>;

    fn into_stable(self) -> Self::Stable {
        self.into()
    }

    fn from_stable(stable: Self::Stable) -> Self {
        stable.into()
    }
}

impl Crossing for Vec<Option<CachedValue>> {
    type Stable = RVec<ROption<CachedValue>>;

    fn into_stable(self) -> Self::Stable {
        self.into_iter().map(ROption::from).collect()
    }

    fn from_stable(stable: Self::Stable) -> Self {
        stable.into_iter().map(Option::from).collect()
    }
}

/// Lends `keys` to the other side.
pub(super) fn stable_keys<'a>(keys: &[&'a str]) -> Vec<RStr<'a>> {
    keys.iter().map(|key| RStr::from_str(key)).collect()
}
