//! The regular expression of a port, for the patterns that contain one.
//!
//! Owns 1 to 65535, without leading zeros, which only a regular expression lets the API server check.

/// A port from 1 to 65535, as a literal.
macro_rules! port {
    () => {
        "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_port_matches_and_nothing_else_does() {
        let regex = regex::Regex::new(concat!("^", port!(), "$")).unwrap();
        for number in 0..=100_000_u32 {
            assert_eq!(
                regex.is_match(&number.to_string()),
                u16::try_from(number).is_ok_and(|port| port > 0),
                "{number}"
            );
        }
        for text in ["", "080", "00", "+1", "1x"] {
            assert!(!regex.is_match(text), "{text}");
        }
    }
}
