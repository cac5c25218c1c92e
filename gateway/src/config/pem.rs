//! Why a PEM file (RFC 7468) cannot be used, in words of our own: those of the library repeat a line of the file, and that
//! may be a private key.

use rustls_pki_types::pem;
use std::io;

/// A PEM file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnusablePem {
    /// The file is not there, or may not be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    /// Something else may be in it.
    #[error("it has nothing of that kind")]
    Nothing,
    /// Not PEM.
    #[error(
        "it is not in PEM form: each BEGIN and END must be a line of its own, with the same words, and Base64 between them"
    )]
    Form,
}

impl From<pem::Error> for UnusablePem {
    fn from(error: pem::Error) -> Self {
        match error {
            pem::Error::Io(error) => Self::Read(error),
            pem::Error::NoItemsFound => Self::Nothing,
            _ => Self::Form,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject as _;

    #[test]
    fn a_key_whose_lines_were_joined_is_not_repeated() {
        let joined = "-----BEGIN PRIVATE KEY----- UExBTlRFRA== -----END PRIVATE KEY-----";
        let cut = "-----BEGIN PRIVATE KEY----- UExBTlRFRA==";
        let unfinished = "-----BEGIN PRIVATE KEY-----\nUExBTlRFRA==\n";
        let other = "-----BEGIN PRIVATE KEY-----\nUExB!!RFRA==\n-----END PRIVATE KEY-----\n";
        for text in [joined, cut, unfinished, other] {
            let error = UnusablePem::from(PrivateKeyDer::from_pem_slice(text.as_bytes()).unwrap_err());
            assert!(matches!(error, UnusablePem::Form), "{text}");
            let told = format!("{error} {error:?}");
            assert!(!told.contains("UExB") && !told.contains("85, 69, 120"), "{told}");
        }
        let nothing = UnusablePem::from(PrivateKeyDer::from_pem_slice(b"").unwrap_err());
        assert!(matches!(nothing, UnusablePem::Nothing));
    }
}
