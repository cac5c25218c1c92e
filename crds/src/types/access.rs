//! Names under which a stream is reached from outside.
//!
//! Owns their limits. Must never decide who may use them.

text_types! {
    /// DNS name, in lower case and without a wildcard.
    Hostname {
        kind: "host name",
        length: 1..=253,
        pattern: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        remedy: "write a DNS name in lower case, like streams.example.com, without scheme, port or wildcard",
    }

    /// Web origin: scheme, host and, unless it is the scheme's own, port.
    Origin {
        kind: "origin",
        length: 4..=300,
        pattern: concat!(r"^[a-z][a-z0-9+.-]*://([a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:", port!(), ")?$"),
        remedy: "write scheme://host or scheme://host:port in lower case, with a port from 1 to 65535, without path and wildcard, as browsers send it",
    }
}
