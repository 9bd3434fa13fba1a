//! Certificates for servers with TLS.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

use crate::servers::folder;

/// A private authority, and its certificates for a client and a server. The server is `localhost`
/// or 127.0.0.1.
///
/// They are files in PEM, which are removed when the value is dropped.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Creates new certificates.
    ///
    /// # Panics
    /// Panics if they cannot be created or written.
    pub fn new() -> Self {
        let certificates = Certificates { folder: folder() };
        let mut authority = parameters("authority", &[]);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let authority = CertifiedIssuer::self_signed(authority, key).expect("it can sign");
        certificates.write("ca.pem", &authority.pem());
        for (name, hosts) in [("server", &["localhost", "127.0.0.1"][..]), ("client", &["client"])] {
            let key = KeyPair::generate().expect("a key can be made");
            let signed = parameters(name, hosts).signed_by(&key, &authority).expect("it can be signed");
            certificates.write(&format!("{name}.pem"), &signed.pem());
            certificates.write(&format!("{name}.key"), &key.serialize_pem());
        }
        certificates
    }

    /// Returns the path of the authority's certificate.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Returns the paths of the server's certificate and key.
    pub fn server(&self) -> (PathBuf, PathBuf) {
        self.pair("server")
    }

    /// Returns the paths of the client's certificate and key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        self.pair("client")
    }

    fn pair(&self, name: &str) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("the folder can be written to");
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Certificates::new()
    }
}

fn parameters(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts).expect("they are names and addresses");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
