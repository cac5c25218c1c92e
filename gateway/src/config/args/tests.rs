//! What a gateway is started with, and everything that refuses to start it.

use super::*;
use headgate_wire::config::{AuthMode, Format, QueryCredentials};
use proptest::prelude::*;

const KEY: &str = "planted-key-31337-0123456789";
const BASE: [&str; 4] = ["--kafka", "kafka:9092", "--topic", "shop.orders"];

/// Arguments, variables, and the mode with whether it is open.
type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)], Result<(AuthMode, bool), SettingError>);

fn start(args: &[&str], env: &[(&str, &str)]) -> Result<Startup, ArgsError> {
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    from_sources(std::iter::once(&"headgate-gateway").chain(args), &env)
}

fn with_base(args: &[&str], env: &[(&str, &str)]) -> Result<Startup, ArgsError> {
    start(&[&BASE, args].concat(), env)
}

fn config(startup: Startup) -> GatewayConfig {
    match startup.source {
        ConfigSource::Flags(config) => *config,
        ConfigSource::File(path) => panic!("a file: {}", path.display()),
    }
}

fn problems(result: Result<Startup, ArgsError>) -> Vec<SettingError> {
    match result {
        Err(ArgsError::Settings(problems)) => problems,
        other => panic!("{other:?}"),
    }
}

#[test]
fn flags_alone_make_a_configuration_that_is_accepted() {
    let startup = with_base(&["--app", "orders", "--anonymous", "--format", "raw"], &[]).unwrap();
    assert_eq!(startup.warnings.len(), 1);
    let config = startup.load().unwrap().wire;
    assert_eq!((config.app.as_str(), config.kafka.topic.as_str()), ("orders", "shop.orders"));
    assert_eq!((config.auth.mode, config.stream.format), (AuthMode::None, Format::Raw));
}

#[test]
fn flags_that_are_not_given_mean_the_same_as_fields_that_are_not_written() {
    let text = "app: shop.orders\nkafka: {bootstrapServers: 'kafka:9092', topic: shop.orders}\nauth: {mode: None}\n\
                publicAccess: {anonymous: true}";
    assert_eq!(config(with_base(&["--anonymous"], &[]).unwrap()), Config::parse_yaml(text).unwrap());
}

#[test]
fn the_variables_of_the_connectors_that_it_replaces_are_understood() {
    let env = [
        ("input", "orders"),
        ("PORT", "8000"),
        ("AUTH_ENABLED", "true"),
        ("AUTH_API_KEYS", KEY),
        ("KAFKA__BOOTSTRAP_SERVERS", "kafka:9092"),
        ("KAFKA__PROPERTIES__SASL_PASSWORD", "planted-31337"),
        ("KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_SSL"),
    ];
    let startup = start(&[], &env).unwrap();
    assert!(startup.warnings.iter().any(|warning| warning.contains("?token=")), "{:?}", startup.warnings);
    assert!(!format!("{startup:?}").contains("31337"));
    let config = startup.load().unwrap();
    assert_eq!(config.key_ring.len(), 1);
    let wire = config.wire;
    assert_eq!((wire.app.as_str(), wire.listeners.stream.to_string().as_str()), ("orders", "0.0.0.0:8000"));
    assert_eq!(wire.public_access.query_credentials, QueryCredentials::Allowed);
    assert_eq!((wire.auth.mode, wire.public_access.anonymous), (AuthMode::ApiKey, false));
    assert_eq!(wire.kafka.properties.0["sasl.password"], "planted-31337");
    assert_eq!(wire.kafka.properties.0["security.protocol"], "SASL_SSL");
}

#[test]
fn a_flag_wins_over_its_variable_and_that_over_an_older_name() {
    let env =
        [("HEADGATE_TOPIC", "two"), ("input", "three"), ("HEADGATE_ANONYMOUS", "true"), ("HEADGATE_KAFKA", "k:1")];
    assert_eq!(config(start(&["--topic", "one"], &env).unwrap()).kafka.topic, "one");
    assert_eq!(config(start(&[], &env).unwrap()).kafka.topic, "two");
    let older = [("input", "three"), ("HEADGATE_ANONYMOUS", "true"), ("HEADGATE_KAFKA", "k:1")];
    assert_eq!(config(start(&[], &older).unwrap()).kafka.topic, "three");
    let lists = [("HEADGATE_ALLOWED_ORIGIN", "https://a.example, https://b.example")];
    let origins = config(with_base(&["--anonymous"], &lists).unwrap()).public_access.allowed_origins;
    assert_eq!(origins, ["https://a.example", "https://b.example"]);
}

#[test]
fn who_may_connect_is_said_clearly_or_the_gateway_does_not_start() {
    use AuthMode::{ApiKey, None};
    let keys = ("AUTH_API_KEYS", KEY);
    let cases: [Case<'_>; 13] = [
        (&[], &[], Err(SettingError::NobodySaysWho)),
        (&["--anonymous"], &[], Ok((None, true))),
        (&["--keys-file", "k"], &[], Ok((ApiKey, false))),
        (&["--keys-file", "k", "--anonymous"], &[], Ok((ApiKey, true))),
        (&[], &[keys], Ok((ApiKey, false))),
        (&[], &[("AUTH_ENABLED", "true")], Err(SettingError::NoKeys)),
        (&[], &[("AUTH_ENABLED", "true"), keys], Ok((ApiKey, false))),
        (&["--anonymous"], &[("AUTH_ENABLED", "true"), keys], Err(SettingError::Contradiction)),
        (&[], &[("AUTH_ENABLED", "false")], Ok((None, true))),
        (&[], &[("AUTH_ENABLED", "false"), ("AUTH_API_KEYS", "")], Ok((None, true))),
        (&[], &[("AUTH_ENABLED", "false"), keys], Ok((ApiKey, true))),
        (&[], &[("AUTH_API_KEYS", "")], Err(SettingError::Keys(BroughtKeysError::Empty))),
        (&[], &[("AUTH_API_KEYS", "a.b.c")], Err(SettingError::Keys(BroughtKeysError::LooksLikeToken(1)))),
    ];
    for (args, env, expected) in cases {
        let result = with_base(args, env);
        match expected {
            Ok(expected) => {
                let startup = result.unwrap();
                assert_eq!(
                    startup.warnings.iter().any(|w| w.contains("anyone may read")),
                    expected.1,
                    "{args:?} {env:?}"
                );
                let config = config(startup);
                assert_eq!((config.auth.mode, config.public_access.anonymous), expected, "{args:?} {env:?}");
            }
            Err(expected) => assert_eq!(problems(result), [expected], "{args:?} {env:?}"),
        }
    }
}

#[test]
fn a_misspelt_setting_refuses_to_start_and_names_the_likeliest_one() {
    for (wrong, suggestion) in [
        ("AUTH_ENABLE", Some("AUTH_ENABLED")),
        ("AUTH_APIKEYS", Some("AUTH_API_KEYS")),
        ("HEADGATE_KEY_FILES", Some("HEADGATE_KEYS_FILE")),
        ("HEADGATE_KAFKA_PASSWORD", Some("HEADGATE_KAFKA_PASSWORD_FILE")),
        ("KAFKA__BOOTSTRAP_SERVER", Some("KAFKA__BOOTSTRAP_SERVERS")),
        ("AUTH_ZZZZ", Some("AUTH_ENABLED")),
    ] {
        let found = problems(with_base(&["--anonymous"], &[(wrong, "planted-31337")]));
        let [SettingError::Unknown { name, suggestion: found }] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(name, wrong);
        if wrong != "AUTH_ZZZZ" {
            assert_eq!(found.as_deref(), suggestion);
        }
    }
    for value in ["", "True", "1", "yes", " true"] {
        let found = problems(with_base(&["--anonymous"], &[("AUTH_ENABLED", value)]));
        assert_eq!(found, [SettingError::NotBoolean("AUTH_ENABLED".into())], "{value:?}");
    }
    assert!(with_base(&["--anonymous"], &[("AUTH_SERVICE_HOST", "10.0.0.1")]).is_ok());
}

#[test]
fn a_file_excludes_every_other_setting_and_authentication_besides_it_is_refused() {
    let file = ["--config", "gateway.yaml"];
    assert!(matches!(start(&file, &[]).unwrap().source, ConfigSource::File(path) if path.ends_with("gateway.yaml")));
    let startup = start(&file, &[("PORT", "80"), ("HEADGATE_LOG_FORMAT", "json")]).unwrap();
    assert_eq!((startup.warnings.len(), startup.log_format), (1, Some(LogFormat::Json)));
    for (args, env) in [
        (&["--anonymous"][..], &[][..]),
        (&[], &[("AUTH_ENABLED", "true")]),
        (&[], &[("AUTH_API_KEYS", KEY)]),
        (&[], &[("HEADGATE_ANONYMOUS", "true")]),
    ] {
        let found = problems(start(&[&file, args].concat(), env));
        assert!(matches!(found.as_slice(), [SettingError::BesidesConfig(_)]), "{found:?}");
    }
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let text = start(&[], &[]).unwrap_err().to_string();
    for part in ["--topic", "--kafka", "nothing says who may connect"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_no_message_repeats_one() {
    const SECRET: &str = "planted-31337";
    let anonymous = "--anonymous";
    let property = format!("sasl.password={SECRET}");
    let equals = format!("--kafka-password={SECRET}");
    for (args, env) in [
        (vec![anonymous, "--kafka-password", SECRET], vec![]),
        (vec![anonymous, &equals], vec![]),
        (vec![anonymous, "--api-key", SECRET], vec![]),
        (vec![anonymous, "--kafka-property", &property], vec![]),
        (vec![anonymous, "--kafka-property", SECRET], vec![]),
        (vec![anonymous, SECRET], vec![]),
        (vec![], vec![("AUTH_ENABLED", SECRET)]),
        (vec![], vec![("AUTH_API_KEYS", "planted-31337,planted-31337")]),
        (vec![], vec![("AUTH_API_KEYS", "planted-31337.x.y")]),
        (vec![], vec![("PORT", SECRET)]),
        (vec![], vec![("AUTH_PASSWORD", SECRET)]),
        (vec![], vec![("HEADGATE_ANONYMOUS", SECRET)]),
        (vec![], vec![("KAFKA__PROPERTIES__SASL_PASSWORD", SECRET)]),
        (vec!["--config", "f"], vec![("AUTH_API_KEYS", SECRET)]),
    ] {
        let error = with_base(&args, &env).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET), "{error}");
    }
}

#[test]
fn help_shows_examples_and_no_flag_that_takes_a_secret() {
    let Err(ArgsError::Usage(help)) = start(&["--help"], &[]) else { panic!("no help") };
    let text = help.to_string();
    assert!(text.contains("Examples:") && text.contains("AUTH_API_KEYS") && text.contains("--keys-file"));
    assert!(!text.contains("--kafka-password <") && !text.contains("--api-key"));
}

#[test]
fn a_wrong_value_in_the_environment_is_said_to_be_there() {
    let error = with_base(&["--anonymous"], &[("HEADGATE_LISTEN", "nowhere")]).unwrap_err();
    assert!(matches!(&error, ArgsError::Environment(_)), "{error:?}");
}

proptest! {
    #[test]
    fn a_stream_is_open_only_if_somebody_said_so(
        name in "(AUTH|HEADGATE|HEADGATE_AUTH)_[A-Z_]{1,12}",
        value in "(true|false|TRUE|0|1|[ -~]{0,10})",
    ) {
        let said_so = ["AUTH_ENABLED=false", "HEADGATE_ANONYMOUS=true"].contains(&format!("{name}={value}").as_str());
        let opened = with_base(&[], &[(&name, &value)])
            .is_ok_and(|startup| startup.load().is_ok_and(|config| config.wire.public_access.anonymous));
        prop_assert_eq!(opened, said_so);
    }
}
