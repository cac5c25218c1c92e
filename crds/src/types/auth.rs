//! Names and values around keys and tokens.
//!
//! Owns their limits. Must never hold a key: a digest is all that a manifest may carry.

text_types! {
    /// Name of an API key within its endpoint.
    KeyName {
        kind: "key name",
        length: 1..=20,
        pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        remedy: "use at most 20 lower-case letters, digits and '-', because it becomes part of a Secret's name",
    }

    /// SHA-256 digest of an API key, as `sha256:` and 64 lower-case hexadecimal digits.
    KeyHash {
        kind: "key hash",
        length: 71..=71,
        pattern: "^sha256:[0-9a-f]{64}$",
        shown: false,
        remedy: "write sha256: and the 64 lower-case hexadecimal digits of the key's SHA-256, never the key itself",
    }

    /// Issuer of tokens: the URL exactly as it appears in the claim `iss`.
    IssuerUrl {
        kind: "issuer URL",
        length: 9..=512,
        pattern: concat!(
            r"^https://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:", port!(), ")?",
            r"(/[A-Za-z0-9._~!$&'()*+,;=:%/-]*)?$"
        ),
        endings: &[
            ("/.well-known/openid-configuration", "leave that away; the provider's configuration is found there by itself"),
            ("/.well-known/openid-configuration/", "leave that away; the provider's configuration is found there by itself"),
        ],
        remedy: "write an https:// URL without user, query and fragment, exactly as tokens carry it in iss",
    }

    /// A value of the claim `aud`.
    Audience {
        kind: "audience",
        length: 1..=256,
        pattern: "^[!-~]+$",
        remedy: "write it exactly as tokens carry it in aud",
    }

    /// A claim: its name, or a path of names separated by dots. A claim whose whole name matches comes first.
    ClaimPath {
        kind: "claim path",
        length: 1..=128,
        pattern: "^[!-~]+$",
        remedy: "write the claim's name, or the path to it with dots, like realm_access.roles",
    }
}

impl KeyHash {
    /// The 64 hexadecimal digits.
    pub fn hex(&self) -> &str {
        self.as_str().strip_prefix("sha256:").unwrap_or(self.as_str())
    }
}
