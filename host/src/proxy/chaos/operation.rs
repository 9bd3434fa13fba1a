//! [`ChaosOperation`]: the operations of a backend that can fail on purpose.

use std::fmt;
use std::str::FromStr;

use dogpile_sdk::did_you_mean;
use serde::{Deserialize, Deserializer, de};

/// An operation of a backend that can fail on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChaosOperation {
    /// `get`
    Get,
    /// `set`
    Set,
    /// `delete`
    Delete,
    /// `get_multi`
    GetMulti,
    /// `set_multi`
    SetMulti,
    /// `delete_multi`
    DeleteMulti,
    /// `acquire`: both ways to acquire a mutex
    Acquire,
    /// `release` of a mutex
    Release,
    /// `locked`: whether a mutex is held
    Locked,
    /// `health`
    Health,
}

impl ChaosOperation {
    /// All operations.
    pub const ALL: [ChaosOperation; 10] = [
        ChaosOperation::Get,
        ChaosOperation::Set,
        ChaosOperation::Delete,
        ChaosOperation::GetMulti,
        ChaosOperation::SetMulti,
        ChaosOperation::DeleteMulti,
        ChaosOperation::Acquire,
        ChaosOperation::Release,
        ChaosOperation::Locked,
        ChaosOperation::Health,
    ];

    /// Returns the name of the operation in a configuration, such as `get_multi`.
    pub fn name(self) -> &'static str {
        match self {
            ChaosOperation::Get => "get",
            ChaosOperation::Set => "set",
            ChaosOperation::Delete => "delete",
            ChaosOperation::GetMulti => "get_multi",
            ChaosOperation::SetMulti => "set_multi",
            ChaosOperation::DeleteMulti => "delete_multi",
            ChaosOperation::Acquire => "acquire",
            ChaosOperation::Release => "release",
            ChaosOperation::Locked => "locked",
            ChaosOperation::Health => "health",
        }
    }

    pub(super) fn is_write(self) -> bool {
        let (single, multi) = (ChaosOperation::Set, ChaosOperation::SetMulti);
        let (delete, deletes) = (ChaosOperation::Delete, ChaosOperation::DeleteMulti);
        [single, multi, delete, deletes].contains(&self)
    }

    /// Returns whether a call that fails still reaches the backend.
    ///
    /// A mutex that is never released would be held, and its lease renewed, until the process ends. After a real failure,
    /// the lease ends.
    pub(super) fn always_reaches(self) -> bool {
        self == ChaosOperation::Release
    }
}

impl fmt::Display for ChaosOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ChaosOperation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|operation| operation.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            format!("unknown operation {text:?} (known: {}){}", names.join(", "), did_you_mean(text, names))
        })
    }
}

impl<'de> Deserialize<'de> for ChaosOperation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_parsed_by_their_names() {
        for operation in ChaosOperation::ALL {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
        let error = "get_mutli".parse::<ChaosOperation>().unwrap_err();
        assert!(error.starts_with("unknown operation \"get_mutli\" (known: get, set, "), "{error}");
        assert!(error.ends_with("; did you mean \"get_multi\"?"), "{error}");
    }
}
