//! Certificates made on the spot: an authority, and what it signs for servers and clients.
//!
//! No key of these tests is ever stored in the repository.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// A certificate authority of its own.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

impl Authority {
    /// A new authority.
    pub fn new(common_name: &str) -> Result<Self> {
        let mut params = named(common_name, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Its certificate in PEM: what clients must trust.
    pub fn certificate(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for a server with these names and addresses.
    pub fn server(&self, names: &[&str]) -> Result<Issued> {
        let mut params = named(names.first().copied().unwrap_or("server"), names)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params)
    }

    /// A certificate for a client of this name.
    pub fn client(&self, common_name: &str) -> Result<Issued> {
        let mut params = named(common_name, &[])?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// A certificate that serves at these names and addresses and is a client too: a component of Kubernetes, whose
    /// common name is its user and whose organisation is its group.
    pub fn component(&self, common_name: &str, organization: Option<&str>, names: &[&str]) -> Result<Issued> {
        let mut params = named(common_name, names)?;
        if let Some(organization) = organization {
            params.distinguished_name.push(DnType::OrganizationName, organization);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// Its certificate and its key: for a program that signs in its name.
    pub fn itself(&self) -> Issued {
        Issued { certificate: self.certificate(), key: self.issuer.key().serialize_pem() }
    }

    fn issue(&self, params: &CertificateParams) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn named(common_name: &str, alternatives: &[&str]) -> Result<CertificateParams> {
    let alternatives: Vec<String> = alternatives.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(alternatives)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    Ok(params)
}
