//! [`Tls`]: the TLS settings of connections.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

/// The TLS settings of connections.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server_name: Option<String>,
}

/// How the certificate of a server is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// It must come from a trusted authority and be for the host.
    Full,
    /// It must come from a trusted authority.
    Authority,
    /// Any certificate is accepted.
    None,
}

impl Tls {
    /// Creates TLS settings from certificates and keys in PEM.
    ///
    /// `authorities` are the trusted authorities, by default those of the system. `client` is the certificate that is
    /// presented to the server, and its key.
    ///
    /// # Errors
    /// If a certificate or key is invalid. The text is the reason.
    pub fn new(
        authorities: Option<&[u8]>,
        client: Option<(&[u8], &[u8])>,
        checks: Checks,
    ) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(authorities, checks, &provider)?;
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().map_err(text_of)?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let config = match client {
            None => config.with_no_client_auth(),
            Some((certificates, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>();
                let key = PrivateKeyDer::from_pem_slice(key).map_err(text_of)?;
                config.with_client_auth_cert(chain.map_err(text_of)?, key).map_err(text_of)?
            }
        };
        Ok(Tls { config: Arc::new(config), server_name: None })
    }

    /// Sets the name that the server's certificate must have. Default: the host.
    #[must_use]
    pub fn with_server_name(self, name: impl Into<String>) -> Self {
        Tls { server_name: Some(name.into()), ..self }
    }

    pub(crate) fn client(&self, host: &str) -> io::Result<ClientConnection> {
        ClientConnection::new(Arc::clone(&self.config), self.name(host)?).map_err(io::Error::other)
    }

    /// Returns the settings of connections.
    #[cfg(feature = "tokio")]
    pub(crate) fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// Returns the name that the certificate of the server at `host` must have.
    pub(crate) fn name(&self, host: &str) -> io::Result<ServerName<'static>> {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        ServerName::try_from(name).map_err(io::Error::other)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

fn text_of(error: impl fmt::Display) -> String {
    error.to_string()
}

/// Checks the certificates of servers as far as the configuration requires.
#[derive(Debug)]
struct Verifier {
    /// `None` if any certificate is accepted.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn new(
        authorities: Option<&[u8]>,
        checks: Checks,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let authorities = match checks {
            Checks::None => None,
            _ => {
                let trusted = Arc::new(trusted(authorities)?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(trusted, Arc::clone(provider)).build();
                Some(verifier.map_err(text_of)?)
            }
        };
        Ok(Verifier { authorities, checks_name: checks == Checks::Full, provider: Arc::clone(provider) })
    }
}

/// Returns the trusted authorities: those in the text, or those of the system.
fn trusted(text: Option<&[u8]>) -> Result<RootCertStore, String> {
    let mut trusted = RootCertStore::empty();
    match text {
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
        Err("there is no certificate of a trusted authority".to_owned())
    } else {
        Ok(trusted)
    }
}

/// Returns whether a certificate failed only because it is for another host.
fn is_for_another_host(error: &Error) -> bool {
    let Error::InvalidCertificate(error) = error else { return false };
    matches!(error, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        match authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is checked last, so that the rest of the certificate is valid.
            Err(error) if !self.checks_name && is_for_another_host(&error) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, supported)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let supported = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, supported)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
