//! [`TlsContext`]: the TLS settings of connections.

use std::fs;
use std::path::{Path, PathBuf};

use dogpile_sdk::BackendError;
use dogpile_sdk::bounds::invalid;
use serde::Deserialize;

use crate::client::{Checks, Tls};

/// The table `tls_context`, with the names of Python's `ssl.create_default_context` and `load_cert_chain`.
///
/// With an empty table, the authorities of the system are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsContext {
    /// File with the certificates of the trusted authorities, in PEM. Default: the authorities of the system.
    pub cafile: Option<PathBuf>,
    /// Certificates of the trusted authorities, in PEM. `cafile` overrides it. Default: none.
    pub cadata: Option<String>,
    /// File with the certificate that is presented to the server, in PEM. Default: none.
    pub certfile: Option<PathBuf>,
    /// File with the key of `certfile`, in PEM. Default: none.
    pub keyfile: Option<PathBuf>,
    /// Name that the server's certificate must have. Default: the host in `url`.
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
                let why = "only one of \"certfile\" and \"keyfile\" is set; set both or neither";
                return Err(invalid("tls_context", why));
            }
        };
        let client = client.as_ref().map(|(certificate, key)| (&certificate[..], &key[..]));
        let tls = Tls::new(authorities.as_deref(), client, Checks::Full)
            .map_err(|why| invalid("tls_context", why))?;
        Ok(match &self.server_hostname {
            Some(name) => tls.with_server_name(name),
            None => tls,
        })
    }
}

fn read(name: &str, file: &Path) -> Result<Vec<u8>, BackendError> {
    fs::read(file).map_err(|error| {
        let why = format!("cannot read {name:?} {}; check the path and its permissions", file.display());
        invalid("tls_context", why).with_source(error)
    })
}
