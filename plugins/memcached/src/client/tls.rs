//! [`Tls`]: the TLS settings of connections.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The TLS settings of connections.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

impl Tls {
    /// Creates TLS settings from certificates and keys in PEM.
    ///
    /// `authorities` are the trusted authorities, by default those of the system. `client` is the certificate that is
    /// presented to the server, and its key. `server_name` is the name that the server's certificate must have, by
    /// default the host.
    ///
    /// # Errors
    /// If a certificate or key is invalid. The text is the reason.
    pub fn new(
        authorities: Option<&[u8]>,
        client: Option<(&[u8], &[u8])>,
        server_name: Option<String>,
    ) -> Result<Self, String> {
        let mut trusted = RootCertStore::empty();
        match authorities {
            Some(text) => {
                for certificate in CertificateDer::pem_slice_iter(text) {
                    trusted.add(certificate.map_err(text_of)?).map_err(text_of)?;
                }
            }
            None => {
                trusted.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if trusted.is_empty() {
            return Err("it contains no certificate of an authority".to_owned());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().map_err(text_of)?;
        let config = config.with_root_certificates(trusted);
        let config = match client {
            None => config.with_no_client_auth(),
            Some((certificates, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(key).map_err(text_of)?;
                config.with_client_auth_cert(chain.map_err(text_of)?, key).map_err(text_of)?
            }
        };
        Ok(Tls { config: Arc::new(config), server_name })
    }

    pub(super) fn client(&self, host: &str) -> io::Result<ClientConnection> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)
    }
}

fn text_of(error: impl fmt::Display) -> String {
    error.to_string()
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
