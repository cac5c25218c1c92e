//! What the flags accept, refuse and mean. Variables are those of the test process, so that only flags are used here.

use super::*;
use std::collections::BTreeSet;

fn parse(line: &str) -> Result<Startup, ArgsError> {
    from_arguments(std::iter::once("headgate-operator").chain(line.split_whitespace()))
}

fn options(line: &str) -> Options {
    match parse(&format!("--gateway-image gateway:1 {line}")).unwrap().task {
        Task::Run(options) => *options,
        Task::CheckWebsocket { .. } => panic!("not a subcommand"),
    }
}

fn refusal(line: &str) -> String {
    parse(line).unwrap_err().to_string()
}

#[test]
fn an_image_is_all_that_the_operator_needs() {
    let options = options("");
    let settings = options.settings("headgate");
    assert_eq!(settings.pods.image, "gateway:1");
    assert_eq!((settings.pods.image_pull_policy.as_str(), settings.pods.pre_stop_seconds), ("IfNotPresent", 5));
    assert_eq!(settings.cluster_domain, "cluster.local");
    let policy = settings.network_policy.unwrap();
    assert_eq!((policy.operator_namespace.as_str(), policy.admin_namespaces.len()), ("headgate", 0));
    let installation = options.installation("headgate", "operator-1");
    assert_eq!(installation, Installation { identity: "operator-1".to_owned(), ..Installation::default() });
    assert!(installation.cluster_wide());
    assert_eq!(options.admin, "0.0.0.0:9090".parse().unwrap());
    assert_eq!(options.lease.as_deref(), Some("headgate-operator"));
}

#[test]
fn lists_are_separated_by_commas_and_may_be_empty() {
    let options = options("--watch-namespaces shop,billing,shop, --admin-namespaces= --gateway-image-pull-secrets a,b");
    assert_eq!(options.watch_namespaces, ["shop", "billing"]);
    assert_eq!(options.network_policy, Some(Vec::new()));
    assert_eq!(options.pods.image_pull_secrets, ["a", "b"]);
}

#[test]
fn what_is_switched_off_is_off() {
    let options = options("--network-policy Disabled --leader-election Disabled --cluster-domain k8s.example.");
    assert_eq!(options.settings("headgate").network_policy, None);
    assert_eq!(options.lease, None);
    assert_eq!(options.cluster_domain, "k8s.example");
}

#[test]
fn every_mistake_is_answered_with_the_flag_and_what_to_write() {
    for (line, flag, remedy) in [
        ("", "--gateway-image", "for example to"),
        ("--gateway-image=", "--gateway-image", "write a name"),
        ("--watch-namespaces Shop", "--watch-namespaces", "lower-case letters"),
        ("--admin-namespaces a_b", "--admin-namespaces", "lower-case letters"),
        ("--network-policy enabled", "--network-policy", "Enabled, Disabled"),
        ("--leader-election off", "--leader-election", "Enabled, Disabled"),
        ("--gateway-image-pull-policy Sometimes", "--gateway-image-pull-policy", "Always, IfNotPresent, Never"),
        ("--resync-seconds 0", "--resync-seconds", "10..=86400"),
        ("--pre-stop-seconds 1000", "--pre-stop-seconds", "0..=300"),
        ("--concurrency 0", "--concurrency", "1..=256"),
        ("--admin 9090", "--admin", "socket address"),
        ("--cluster-domain K8s", "--cluster-domain", "for example cluster.local"),
        ("--log-format xml", "--log-format", "`text` and `json`"),
        ("--gateway-image g --network-policy Disabled --admin-namespaces m", "--admin-namespaces", "remove one"),
        ("--watch-namespace shop", "--watch-namespace", "similar argument exists: '--watch-namespaces'"),
    ] {
        let refusal = refusal(line);
        assert!(refusal.contains(flag) && refusal.contains(remedy), "{line}: {refusal}");
    }
}

#[test]
fn the_subcommand_needs_no_image() {
    let startup = parse("check-websocket ws://orders-gateway.shop.svc:8080/orders --log-format json").unwrap();
    let address = "ws://orders-gateway.shop.svc:8080/orders".to_owned();
    assert_eq!((startup.task, startup.log_format), (Task::CheckWebsocket { address }, Some(LogFormat::Json)));
}

#[test]
fn help_has_an_example_and_the_variable_of_every_flag() {
    let help = Flags::command().render_long_help().to_string();
    assert!(help.contains("Examples:\n  headgate-operator --gateway-image"), "{help}");
    for argument in Flags::command().get_arguments().filter(|argument| argument.get_long().is_some()) {
        let name = argument.get_long().unwrap();
        let expected = match name {
            "help" | "version" => continue,
            "namespace" => "POD_NAMESPACE".to_owned(),
            "identity" => "POD_NAME".to_owned(),
            _ => format!("{PREFIX}{}", name.to_ascii_uppercase().replace('-', "_")),
        };
        assert_eq!(argument.get_env().and_then(|env| env.to_str()), Some(expected.as_str()), "--{name}");
        assert!(help.contains(&format!("[env: {expected}=")), "--{name}");
    }
}

#[test]
fn the_operations_page_describes_every_flag() {
    let page = include_str!("../../../docs/operations.md");
    for argument in Flags::command().get_arguments() {
        let (Some(flag), Some(variable)) = (argument.get_long(), argument.get_env().and_then(|env| env.to_str()))
        else {
            continue;
        };
        assert!(page.contains(&format!("| `--{flag}` | `{variable}` |")), "docs/operations.md lacks --{flag}");
    }
}

#[test]
fn a_variable_that_is_no_setting_is_named_and_those_of_kubernetes_are_not() {
    let names = [
        "HEADGATE_WATCH_NAMESPACE",
        "HEADGATE_WATCH_NAMESPACES",
        "HEADGATE_KEY",
        "HEADGATE_METRICS_SERVICE_HOST",
        "HEADGATE_METRICS_PORT_9090_TCP_ADDR",
        "PATH",
    ];
    let warnings = unknown(names.into_iter().map(str::to_owned));
    assert_eq!(warnings, ["the variable HEADGATE_WATCH_NAMESPACE is no setting and is ignored; see --help"]);
}

#[test]
fn the_chart_sets_variables_that_exist() {
    let chart = include_str!("../../../charts/headgate/templates/deployment.yaml");
    let set: BTreeSet<String> = chart
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: "))
        .filter(|name| name.starts_with(PREFIX))
        .map(str::to_owned)
        .collect();
    assert!(set.contains("HEADGATE_GATEWAY_IMAGE"), "{set:?}");
    assert_eq!(unknown(set.into_iter()), Vec::<String>::new());
}
