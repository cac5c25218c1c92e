//! The only module of this crate that names serde_yaml, so that it can be replaced.
//!
//! Must write exactly what the gateway's own parser reads.

use headgate_wire::GatewayConfig;

/// The text of `gateway.yaml`.
///
/// Serialising can fail only for a path that is not UTF-8, which no setting of ours is. Then the text is a comment that says
/// so, and a gateway refuses to start without configuration rather than starting with half of one.
pub fn to_yaml(config: &GatewayConfig) -> String {
    serde_yaml::to_string(config).unwrap_or_else(|error| format!("# failed to write the configuration: {error}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_wire::Filter;
    use proptest::prelude::*;

    const SMALLEST: &str = "app: a\nkafka: {bootstrapServers: 'k:1', topic: t}\nauth: {mode: None}\n";

    fn read(text: &str) -> GatewayConfig {
        serde_yaml::from_str(text).unwrap()
    }

    proptest! {
        #[test]
        fn no_text_changes_its_meaning_on_the_way(text in "\\PC{0,20}|[-0-9a-z_.:~ynoe#'\"!&*|>%@`{}\\[\\], ]{0,20}|null|~|yes|0x1F|1_000|1e3|<<|=") {
            let mut config = read(SMALLEST);
            config.app.clone_from(&text);
            config.stream.event_type.clone_from(&text);
            config.stream.filters = vec![Filter::Any(vec![Filter::exact(text.clone(), text.clone()), Filter::Not(Box::new(Filter::All(vec![])))])];
            config.public_access.allowed_origins = vec![text];
            prop_assert_eq!(read(&to_yaml(&config)), config);
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_written_is_no_configuration() {
        use std::os::unix::ffi::OsStringExt as _;
        let mut config = read(SMALLEST);
        config.auth.keys_file = Some(std::ffi::OsString::from_vec(vec![0xff]).into());
        assert!(serde_yaml::from_str::<GatewayConfig>(&to_yaml(&config)).is_err());
    }
}
