//! [`TlsContext`]: how connections are encrypted.

use std::fs;
use std::path::{Path, PathBuf};

use dogpile_sdk::BackendError;
use serde::Deserialize;

use super::wrong;
use crate::client::Tls;

/// The table `tls_context`, with the names of Python's `ssl.create_default_context` and `load_cert_chain`. An empty table
/// trusts whom the system trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsContext {
    /// A file of certificates, in PEM, one of which must have signed the server's. Default: those that the system
    /// trusts.
    pub cafile: Option<PathBuf>,
    /// The same as a text.
    pub cadata: Option<String>,
    /// A file with the certificate, in PEM, that is shown to the server. Default: none.
    pub certfile: Option<PathBuf>,
    /// A file with its key, in PEM.
    pub keyfile: Option<PathBuf>,
    /// The name that the server's certificate must be for. Default: the name in `url`.
    pub server_hostname: Option<String>,
}

impl TlsContext {
    pub(super) fn tls(&self) -> Result<Tls, BackendError> {
        let authorities = match (&self.cafile, &self.cadata) {
            (Some(file), _) => Some(read("cafile", file)?),
            (None, text) => text.clone().map(String::into_bytes),
        };
        let client = match (&self.certfile, &self.keyfile) {
            (Some(certificate), Some(key)) => Some((read("certfile", certificate)?, read("keyfile", key)?)),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "\"certfile\" and \"keyfile\" of \"tls_context\" come together".to_owned(),
                ));
            }
        };
        let client = client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        Tls::new(authorities.as_deref(), client, self.server_hostname.clone())
            .map_err(|why| wrong(format!("argument \"tls_context\" cannot be used: {why}")))
    }
}

fn read(name: &str, file: &Path) -> Result<Vec<u8>, BackendError> {
    fs::read(file).map_err(|error| {
        wrong(format!("{name:?} of \"tls_context\": {} cannot be read: {error}", file.display()))
    })
}
