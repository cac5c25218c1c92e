//! From Secrets as they are found in clusters to the files that a gateway reads.
//!
//! Owns the layouts: which entry of which kind of Secret holds what. Must never let a value out by `Debug`, an error or
//! a message: those name entries only.
//!
//! | layout | user | client certificate | authority |
//! |---|---|---|---|
//! | plain | `username`, `password` | `tls.crt`, `tls.key` | any entry, `ca.crt` if none is named |
//! | Strimzi KafkaUser | the Secret's own name, `password` | `user.crt`, `user.key` | `ca.crt` of the cluster's Secret |
//! | Strimzi KafkaAccess | `username`, `password` | `ssl.keystore.crt`, `ssl.keystore.key` | `ssl.truststore.crt` |
//! | Knative | `user`, `password` | `user.crt`, `user.key` | `ca.crt` |

use crate::model::{Certificates, KafkaSasl, KafkaTls, SecretEntry, SecretLocation};
use crate::settings::{
    CA_FILE, CERTIFICATE_FILE, CLIENT_CERTIFICATE_FILE, CLIENT_KEY_FILE, KEY_FILE, PASSWORD_FILE, USERNAME_FILE,
};
use headgate_crds::names;
use k8s_openapi::api::core::v1::Secret;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// Most bytes of one entry, so that all files together fit into the Secret that is made of them.
const MAX_ENTRY_BYTES: usize = 256 * 1024;
/// Entries with a user's name, the first that is there counts. Without any, the Secret is called like the user.
const USERNAMES: [&str; 2] = ["username", "user"];
/// Entry with a user's password.
const PASSWORD: &str = "password";
/// Entries with a client certificate and its key, the first pair of which something is there counts.
const CLIENT_CERTIFICATES: [(&str, &str); 3] =
    [("tls.crt", "tls.key"), ("user.crt", "user.key"), ("ssl.keystore.crt", "ssl.keystore.key")];
/// Entry that an endpoint means if it names none, and where else certificates of an authority are.
const AUTHORITIES: (&str, &str) = ("ca.crt", "ssl.truststore.crt");

/// Secrets that were looked for; `None` = missing or forbidden, which is the same to whoever asked.
pub type Secrets = BTreeMap<SecretLocation, Option<SecretContent>>;

/// Type of a Secret with the token of a ServiceAccount.
const SERVICE_ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";

/// The entries of a Secret, and whether they may be used as credentials at all.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretContent {
    entries: BTreeMap<String, Vec<u8>>,
    /// It is ours, or the token of a ServiceAccount. Whoever may write an endpoint, but not read Secrets, could have a
    /// gateway send what is in it to brokers of their own.
    is_reserved: bool,
}

/// What a gateway logs in to Kafka with: file name and content.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct KafkaFiles(BTreeMap<&'static str, Vec<u8>>);

/// What a Secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Certificates of the brokers' authority.
    Authority,
    /// Client certificate and its key.
    ClientCertificate,
    /// User and password.
    User,
}

/// Why a Secret cannot be used. The text goes on after the name of the Secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// There is none, or it may not be read.
    #[error("does not exist, or cannot be read: create it")]
    Missing,
    /// It is not for this use.
    #[error("belongs to Headgate or to a ServiceAccount: use another one")]
    Reserved,
    /// None of these entries is there, or it is empty.
    #[error("has no entry {0}: add it")]
    NoEntry(String),
    /// An entry is not a certificate in PEM.
    #[error("has no certificate in PEM in its entry {0}: correct it")]
    NoCertificate(String),
    /// An entry is not a private key in PEM that can be read without a password.
    #[error("has no private key in PEM in its entry {0}, or one that is encrypted: correct it")]
    NoKey(String),
    /// An entry is not a line of text.
    #[error("has something else than one line of text in its entry {0}: correct it")]
    NoLine(String),
    /// An entry is too large.
    #[error("has more than {MAX_ENTRY_BYTES} bytes in its entry {0}: shorten it")]
    TooLarge(String),
}

/// A Secret that cannot be used, with what it is for.
pub type Unusable = (Role, SecretLocation, Flaw);

impl SecretContent {
    /// One entry, unless it is absent or empty.
    pub fn get(&self, entry: &str) -> Option<&[u8]> {
        self.entries.get(entry).map(Vec::as_slice).filter(|content| !content.is_empty())
    }

    fn usable(&self) -> Result<&Self, Flaw> {
        if self.is_reserved { Err(Flaw::Reserved) } else { Ok(self) }
    }

    fn entry(&self, entry: &str) -> Result<&[u8], Flaw> {
        match self.get(entry) {
            None => Err(Flaw::NoEntry(entry.to_owned())),
            Some(content) if content.len() > MAX_ENTRY_BYTES => Err(Flaw::TooLarge(entry.to_owned())),
            Some(content) => Ok(content),
        }
    }

    fn certificate(&self, entry: &str) -> Result<&[u8], Flaw> {
        let content = self.entry(entry)?;
        let is_pem = contains(content, "-----BEGIN CERTIFICATE-----") && contains(content, "-----END CERTIFICATE-----");
        if is_pem { Ok(content) } else { Err(Flaw::NoCertificate(entry.to_owned())) }
    }

    fn key(&self, entry: &str) -> Result<&[u8], Flaw> {
        let content = self.entry(entry)?;
        let is_pem = contains(content, "-----BEGIN ") && contains(content, "PRIVATE KEY-----");
        if is_pem && !contains(content, "ENCRYPTED") { Ok(content) } else { Err(Flaw::NoKey(entry.to_owned())) }
    }

    /// A line without its end, which `kubectl create secret --from-file` keeps.
    fn line(&self, entry: &str) -> Result<&[u8], Flaw> {
        let content = self.entry(entry)?;
        let text = std::str::from_utf8(content).map(|text| text.trim_end_matches(['\r', '\n']));
        let line = text.ok().filter(|line| !line.is_empty() && !line.contains(char::is_control));
        line.map(str::as_bytes).ok_or_else(|| Flaw::NoLine(entry.to_owned()))
    }
}

impl From<Secret> for SecretContent {
    fn from(secret: Secret) -> Self {
        let is_ours = secret.metadata.labels.iter().flatten().any(|(label, _)| label.starts_with(names::PREFIX));
        let is_token = secret.type_.as_deref() == Some(SERVICE_ACCOUNT_TOKEN);
        let data = secret.data.unwrap_or_default().into_iter();
        Self { entries: data.map(|(entry, content)| (entry, content.0)).collect(), is_reserved: is_ours || is_token }
    }
}

impl fmt::Debug for SecretContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.entries.keys()).finish()
    }
}

impl KafkaFiles {
    /// Whether there is nothing to log in with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The files by name, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        self.0.iter().map(|(name, content)| (*name, content.as_slice()))
    }
}

impl fmt::Debug for KafkaFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn contains(content: &[u8], words: &str) -> bool {
    content.windows(words.len()).any(|window| window == words.as_bytes())
}

/// The Secrets in which the credentials are.
pub fn locations(tls: Option<&KafkaTls>, sasl: Option<&KafkaSasl>) -> impl Iterator<Item = SecretLocation> {
    let authority = tls.and_then(|tls| tls.authority.as_ref()).map(|entry| &entry.secret);
    let certificate = tls.and_then(|tls| tls.client_certificate.as_ref());
    let user = sasl.map(|sasl| &sasl.credentials);
    [authority, certificate, user].into_iter().flatten().cloned().collect::<Vec<_>>().into_iter()
}

/// What a gateway logs in with.
///
/// # Errors
///
/// Every Secret that cannot be used.
pub fn kafka_files(
    tls: Option<&KafkaTls>,
    sasl: Option<&KafkaSasl>,
    secrets: &Secrets,
) -> Result<KafkaFiles, Vec<Unusable>> {
    let mut files = KafkaFiles::default();
    let mut unusable = Vec::new();
    let mut read = |role: Role, secret: &SecretLocation, read: &dyn Fn(&SecretContent) -> Result<KafkaFiles, Flaw>| {
        let content = secrets.get(secret).and_then(Option::as_ref).ok_or(Flaw::Missing);
        match content.and_then(SecretContent::usable).and_then(read) {
            Ok(more) => files.0.extend(more.0),
            Err(flaw) => unusable.push((role, secret.clone(), flaw)),
        }
    };
    if let Some(entry) = tls.and_then(|tls| tls.authority.as_ref()) {
        read(Role::Authority, &entry.secret, &|content| authority(content, entry));
    }
    if let Some(secret) = tls.and_then(|tls| tls.client_certificate.as_ref()) {
        read(Role::ClientCertificate, secret, &client_certificate);
    }
    if let Some(sasl) = sasl {
        read(Role::User, &sasl.credentials, &|content| user(content, &sasl.credentials));
    }
    if unusable.is_empty() { Ok(files) } else { Err(unusable) }
}

fn authority(content: &SecretContent, entry: &SecretEntry) -> Result<KafkaFiles, Flaw> {
    let (usual, other) = AUTHORITIES;
    let meant = entry.key.as_str();
    let certificates = match content.certificate(meant) {
        Err(Flaw::NoEntry(_)) if meant == usual && content.get(other).is_some() => content.certificate(other)?,
        certificates => certificates?,
    };
    Ok(KafkaFiles([(CA_FILE, certificates.to_vec())].into()))
}

fn client_certificate(content: &SecretContent) -> Result<KafkaFiles, Flaw> {
    let has_part = |(certificate, key): &&(&str, &str)| content.get(certificate).or(content.get(key)).is_some();
    let Some((certificate, key)) = CLIENT_CERTIFICATES.iter().find(has_part) else {
        let names: Vec<_> = CLIENT_CERTIFICATES.iter().map(|(certificate, _)| *certificate).collect();
        return Err(Flaw::NoEntry(names.join(" or ")));
    };
    let (certificate, key) = (content.certificate(certificate)?, content.key(key)?);
    Ok(KafkaFiles([(CLIENT_CERTIFICATE_FILE, certificate.to_vec()), (CLIENT_KEY_FILE, key.to_vec())].into()))
}

fn user(content: &SecretContent, secret: &SecretLocation) -> Result<KafkaFiles, Flaw> {
    let username = match USERNAMES.iter().find(|entry| content.get(entry).is_some()) {
        Some(entry) => content.line(entry)?,
        None => secret.name.as_bytes(),
    };
    let password = content.line(PASSWORD)?;
    Ok(KafkaFiles([(USERNAME_FILE, username.to_vec()), (PASSWORD_FILE, password.to_vec())].into()))
}

/// Certificates of the authority of a token provider.
///
/// # Errors
///
/// What is wrong with the Secret or its entry.
pub fn provider_authority(content: &SecretContent, entry: &SecretEntry) -> Result<Certificates, Flaw> {
    content.usable()?.certificate(entry.key.as_str()).map(|certificates| Certificates(certificates.to_vec()))
}

/// SHA-256 of the certificate for clients, in hexadecimal digits; its key is not part of it.
///
/// # Errors
///
/// What is wrong with the Secret, which has to be one of type `kubernetes.io/tls`.
pub fn certificate_digest(content: &SecretContent) -> Result<String, Flaw> {
    let certificate = content.usable()?.certificate(CERTIFICATE_FILE)?;
    content.key(KEY_FILE)?;
    Ok(hexadecimal(&Sha256::digest(certificate)))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests;
