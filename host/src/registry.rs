//! stub
use dogpile_sdk::*;
use std::sync::Arc;
/// x
#[derive(Debug)]
pub struct Registry;
/// x
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct RegistryError(#[source] BackendError);
#[allow(missing_docs)]
impl Registry {
    pub fn global() -> &'static Registry {
        &Registry
    }
    pub fn new() -> Registry {
        Registry
    }
    pub fn add_folder(&self, _p: std::path::PathBuf) -> Result<(), RegistryError> {
        Ok(())
    }
    pub fn build_backend(&self, name: &str, a: Arguments) -> Result<Arc<dyn CacheBackend>, RegistryError> {
        (BackendEntry::linked()
            .find(|e| e.name == name)
            .ok_or_else(|| RegistryError(BackendError::new(ErrorKind::Other, "unknown")))?
            .build)(a)
        .map_err(RegistryError)
    }
    pub fn build_proxy(
        &self,
        name: &str,
        a: Arguments,
        p: Arc<dyn CacheBackend>,
    ) -> Result<Arc<dyn CacheBackend>, RegistryError> {
        (ProxyEntry::linked()
            .find(|e| e.name == name)
            .ok_or_else(|| RegistryError(BackendError::new(ErrorKind::Other, "unknown")))?
            .build)(a, p)
        .map_err(RegistryError)
    }
}
