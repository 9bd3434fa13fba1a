//! The form of entry-point names.

use super::error::RegistryError;

/// Returns an error unless `name` can be the name of an entry point.
pub(super) fn check_name(name: &str) -> Result<(), RegistryError> {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(RegistryError::InvalidName { name: name.to_owned() });
    }
    Ok(())
}
