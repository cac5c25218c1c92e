//! The only module of this crate that names serde_yaml, so that it can be replaced.
//!
//! Its errors quote values; those of librdkafka properties may be passwords, so they never get out of here.

use headgate_wire::GatewayConfig;

/// Where passwords may stand.
const SECRET_PATH: &str = "kafka.properties";
/// How similar a known word must be to be suggested (Jaro-Winkler, 0 to 1).
const SIMILAR: f64 = 0.8;
/// Longest word for which a similar one is looked for, in bytes: the measure is quadratic.
const MAX_COMPARED_BYTES: usize = 64;

/// Parses a configuration file. The error is a sentence that quotes no value of the wrong type.
pub(super) fn parse(text: &str) -> Result<GatewayConfig, String> {
    serde_yaml::from_str(text).map_err(|error| {
        let place = error.location().map_or_else(String::new, |location| format!(" at line {}", location.line()));
        without_values(&error.to_string(), &place)
    })
}

/// Keeps what names a field or a choice, and drops what repeats a value.
fn without_values(message: &str, place: &str) -> String {
    if message.starts_with(SECRET_PATH) {
        return format!("{SECRET_PATH}: every value must be a text; put numbers in quotes{place}");
    }
    for kind in ["invalid type: ", "invalid value: "] {
        let Some((path, rest)) = message.split_once(kind) else { continue };
        return match rest.rsplit_once(", expected ") {
            Some((_, expected)) => format!("{path}expected {expected}"),
            None => format!("{path}not what is expected here{place}"),
        };
    }
    match similar(message) {
        Some(known) => format!("{message}; did you mean `{known}`?"),
        None => message.to_owned(),
    }
}

/// What was probably meant by a field or a choice that is not known; serde lists those that are.
fn similar(message: &str) -> Option<&str> {
    let (_, found) = message.split_once("unknown field `").or_else(|| message.split_once("unknown variant `"))?;
    let (word, known) = found.split_once('`').filter(|(word, _)| word.len() <= MAX_COMPARED_BYTES)?;
    let word = word.to_lowercase();
    let scored = known.split('`').skip(1).step_by(2);
    let scored = scored.map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &word), known));
    scored.filter(|(score, _)| *score >= SIMILAR).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "app: orders\nkafka: {bootstrapServers: 'kafka:9092', topic: orders}\nauth: {mode: None}\n";

    #[test]
    fn the_smallest_file_is_enough_and_a_file_without_auth_is_not() {
        assert_eq!(parse(VALID).unwrap().app, "orders");
        assert!(parse(&VALID.replace("auth: {mode: None}\n", "")).unwrap_err().contains("missing field `auth`"));
    }

    #[test]
    fn a_misspelt_field_is_named() {
        let error = parse(&VALID.replace("mode: None", "mode: None, keyFile: x")).unwrap_err();
        assert!(error.contains("keyFile"), "{error}");
    }

    #[test]
    fn a_word_that_is_nearly_right_is_answered_with_the_right_one() {
        for (wrong, meant) in [
            (VALID.replace("mode: None", "mode: None, keyFile: x"), "; did you mean `keysFile`?"),
            (VALID.replace("mode: None", "mode: none"), "; did you mean `None`?"),
            (format!("{VALID}limts: {{}}\n"), "; did you mean `limits`?"),
            (format!("{VALID}limits: {{maxConnection: 1}}\n"), "; did you mean `maxConnections`?"),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(error.ends_with(meant), "{error}");
        }
        for wrong in ["zzz", &"l".repeat(100_000)] {
            let error = parse(&format!("{VALID}{wrong}: {{}}\n")).unwrap_err();
            assert!(!error.contains("did you mean"), "{error}");
        }
    }

    #[test]
    fn a_value_of_the_wrong_type_is_not_quoted() {
        for wrong in [
            VALID.replace("topic: orders", "topic: orders, properties: {sasl.password: ['31337']}"),
            VALID.replace("topic: orders", "topic: orders, properties: ['31337']"),
            VALID.replace("topic: orders", "topic: orders, tls: '31337'"),
            VALID.replace("app: orders", "app: ['31337']"),
            format!("{VALID}limits: '31337'\n"),
            "'31337'".to_owned(),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(!error.contains("31337"), "{error}");
        }
    }
}
