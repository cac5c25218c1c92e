//! The command as people run it: `headgate dev` in a process of its own, and clients that connect to it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

/// A running `headgate dev`; killed when the test ends before it does.
struct Dev {
    child: Child,
    ready: Value,
}

impl Dev {
    /// Starts with these options and waits until it is ready.
    fn start(folder: &Path, options: &[&str]) -> Self {
        let mut command = headgate(&["dev", "--admin", "127.0.0.1:0", "-o", "json"]);
        let mut child = command.args(options).env("TMPDIR", folder).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap_or_default() }
    }

    fn stream(&self, app: &str) -> &Value {
        self.ready["streams"].as_array().unwrap().iter().find(|stream| stream["app"] == app).unwrap()
    }

    fn url(&self, app: &str) -> &str {
        self.stream(app)["url"].as_str().unwrap()
    }

    /// Ctrl-C; true if it ended well.
    fn interrupt(mut self) -> bool {
        let interrupted = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        interrupted.success() && self.child.wait().unwrap().success()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // Without effect on one that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn headgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headgate"));
    command.args(arguments).env_remove("HEADGATE_KEY").env_remove("HEADGATE_TOKEN").env_remove("HEADGATE_SERVER");
    command
}

fn run(arguments: &[&str]) -> Output {
    headgate(arguments).output().unwrap()
}

fn code(arguments: &[&str]) -> Option<i32> {
    run(arguments).status.code()
}

/// What the command says when it is refused for good.
fn refused(arguments: &[&str]) -> String {
    let output = run(arguments);
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
    words
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn dev_streams_sample_events_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--listen", "127.0.0.1:0", "--demo-rate", "50"]);
    let (url, key) = (dev.url("orders"), dev.stream("orders")["key"].as_str().unwrap());

    let shown = run(&["stream", url, "--key", key, "-n", "3", "-o", "json", "--from", "earliest"]);
    assert!(shown.status.success());
    let events: Vec<Value> =
        shown.stdout.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
    assert_eq!(events.len(), 3);
    assert!(events.iter().all(|event| event["specversion"] == "1.0"));

    let pretty = run(&["stream", url, "--key", key, "-n", "1", "--from", "earliest"]);
    let (silent, said) = (String::from_utf8_lossy(&shown.stderr), String::from_utf8_lossy(&pretty.stderr));
    assert!(said.starts_with("connected to 127.0.0.1:") && said.contains("/orders with an API key"), "{said}");
    assert!(!silent.contains("connected"), "scripts are not told: {silent}");
    assert_eq!(String::from_utf8_lossy(&pretty.stdout).lines().count(), 1);

    assert!(refused(&["stream", url, "--anonymous"]).contains("no key or token was sent"), "closed by default");
    assert!(refused(&["stream", url, "--key", "not-the-key-at-all"]).contains("was sent and refused"));
    let needless = refused(&["stream", dev.url("sensors"), "--key", "not-the-key-at-all"]);
    assert!(needless.contains("--anonymous, or unset HEADGATE_KEY"), "{needless}");
    assert_eq!(code(&["stream", &format!("{url}x"), "--key", key]), Some(2));
    assert_eq!(code(&["stream", url, "--key", key, "--from", "yesterday"]), Some(1));
    assert_eq!(code(&["stream", dev.url("sensors"), "--anonymous", "-n", "1"]), Some(0), "open");

    assert!(!is_empty(folder.path()), "digests of the keys are there while it runs");
    assert!(dev.interrupt());
    assert!(is_empty(folder.path()));
}

#[test]
fn a_published_event_reaches_the_filter_that_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--listen", "127.0.0.1:0", "--no-demo"]);
    let (url, kafka) = (dev.url("sensors"), dev.ready["kafka"].as_str().unwrap());
    for (device, mode) in [("a", "--ce-structured"), ("b", "--ce-structured"), ("b", "--type=x")] {
        let attribute = format!("device={device}");
        let publish =
            ["publish", "--kafka", kafka, "--app", "sensors", "--attribute", &attribute, mode, "{\"n\":1.50}"];
        assert_eq!(code(&["publish", "--kafka", kafka, "--topic", "iot.sensors", "plain"]), Some(0));
        assert_eq!(run(&publish).status.code(), Some(0));
    }
    let shown = run(&["stream", url, "--anonymous", "--device", "b", "-n", "2", "-o", "raw", "--from", "earliest"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "{\"n\":1.50}\n{\"n\":1.50}\n");
}

#[test]
fn a_stream_survives_a_restart_of_its_gateway_without_loss_or_repetition() {
    const EVENTS: usize = 120;
    let folder = tempfile::tempdir().unwrap();
    let kafka = Dev::start(folder.path(), &["--listen", "127.0.0.1:0", "--demo-rate", "50"]);
    let bootstrap = kafka.ready["kafka"].as_str().unwrap();
    let gateway = |listen: &str| Dev::start(folder.path(), &["--listen", listen, "--no-demo", "--kafka", bootstrap]);

    let listen = &address_to_keep();
    let first = gateway(listen);
    let url = first.url("sensors").to_owned();
    let mut client = headgate(&["stream", &url, "--anonymous", "--from", "earliest", "--metadata", "-o", "json"])
        .args(["-n", &EVENTS.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
    let mut offsets = BTreeMap::new();
    take(&mut lines, 10, &mut offsets);
    assert!(first.interrupt());
    let second = gateway(listen);
    take(&mut lines, EVENTS - 10, &mut offsets);
    assert!(client.wait().unwrap().success());

    for (partition, offsets) in &offsets {
        assert_eq!(*offsets, (0..offsets.len() as i64).collect::<Vec<_>>(), "partition {partition}");
    }
    assert!(second.interrupt());
}

/// An address that nobody listens on, and whose port is never that of an outgoing connection: a client that keeps trying it
/// while its gateway is away could be given this very port, and would keep the gateway from coming back.
fn address_to_keep() -> String {
    let first = std::process::id() % 12_000;
    let mut addresses = (0..12_000).map(|further| format!("127.0.0.1:{}", 20_000 + (first + further) % 12_000));
    addresses.find(|address| std::net::TcpListener::bind(address).is_ok()).unwrap()
}

/// Reads events and notes their offsets by partition.
fn take(lines: &mut Lines<BufReader<ChildStdout>>, count: usize, offsets: &mut BTreeMap<i64, Vec<i64>>) {
    for line in lines.take(count) {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let offset = event["headgateoffset"].as_str().unwrap().parse().unwrap();
        offsets.entry(event["headgatepartition"].as_i64().unwrap()).or_default().push(offset);
    }
}

#[test]
fn tokens_that_only_a_cluster_can_check_are_refused_with_what_stands_in_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoint.yaml");
    let manifest = "apiVersion: headgate.dev/v1alpha1\nkind: StreamEndpoint\nmetadata: {name: a, namespace: b}\n\
                    spec: {app: a, topic: a, auth: {mode: OIDC, oidc: {kubernetes: {}, audiences: [x]}}}";
    std::fs::write(&file, manifest).unwrap();
    let refused = run(&["dev", "-f", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("add --oidc"), "{told}");
}

/// The first line on the standard error output.
fn first_complaint(mut command: Command) -> String {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line
}

#[test]
fn a_provider_that_does_not_answer_is_named_and_not_taken_for_kafka() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoint.yaml");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let manifest = format!(
        "apiVersion: headgate.dev/v1alpha1\nkind: StreamEndpoint\nmetadata: {{name: a, namespace: b}}\n\
         spec: {{app: a, topic: a, auth: {{mode: OIDC, oidc: {{issuerURL: 'https://{nobody}', audiences: [x]}}}}}}"
    );
    std::fs::write(&file, manifest).unwrap();
    let mut dev = headgate(&["dev", "-f", file.to_str().unwrap(), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    dev.env("TMPDIR", folder.path()).env("RUST_LOG", "off");
    let line = first_complaint(dev);
    assert!(line.contains(&format!("waiting for the identity provider https://{nobody}")), "{line}");
    assert!(line.contains("--oidc") && !line.contains("Kafka"), "{line}");
}

#[test]
fn a_key_for_some_rows_only_is_shown_sample_events_of_those() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("endpoint.yaml");
    let manifest = "apiVersion: headgate.dev/v1alpha1\nkind: StreamEndpoint\nmetadata: {name: a, namespace: b}\n\
                    spec: {app: a, topic: a, auth: {mode: ApiKey, apiKeys: [{name: all}, \
                    {name: partner, filters: [{exact: {tenant: partner}}]}]}}";
    std::fs::write(&file, manifest).unwrap();
    let file = file.to_str().unwrap();
    let dev = Dev::start(folder.path(), &["--listen", "127.0.0.1:0", "--demo-rate", "50", "-f", file]);
    let keys = dev.stream("a")["keys"].as_array().unwrap();
    let partner = keys.iter().find(|key| key["name"] == "partner").unwrap();
    assert_eq!(partner["filters"][0]["exact"]["tenant"], "partner");
    let stream = ["stream", dev.url("a"), "--key", partner["key"].as_str().unwrap()];
    let shown = run(&[&stream[..], &["-n", "3", "-o", "json", "--from", "earliest"]].concat());
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.matches(r#""tenant":"partner""#).count(), 3, "{shown}");
    assert!(dev.interrupt());
}

#[test]
fn a_port_that_is_taken_is_explained_by_the_option_that_changes_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--listen", "--admin"] {
        let other = if option == "--listen" { "--admin" } else { "--listen" };
        let refused = run(&["dev", option, &address, other, "127.0.0.1:0"]);
        assert_eq!(refused.status.code(), Some(1));
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(words.contains(&address) && words.contains(option), "{words}");
    }
}

#[test]
fn a_record_that_waits_for_a_broker_says_so_long_before_it_gives_up() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let publish = headgate(&["publish", "--kafka", &nobody, "--topic", "orders", "data"]);
    let line = first_complaint(publish);
    assert!(line.starts_with("still waiting for Kafka") && line.contains(&nobody), "{line}");
}

#[test]
fn nobody_at_the_address_is_exit_code_3() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(code(&["stream", &format!("http://{nobody}/orders"), "--connect-timeout", "1"]), Some(3));
}

#[test]
fn whoever_logs_out_without_a_login_is_not_told_to_log_in() {
    let folder = tempfile::tempdir().unwrap();
    let told = |words: &[&str]| {
        let output = headgate(words).env("XDG_CONFIG_HOME", folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let nobody = (Some(1), "headgate: nobody is logged in\n".to_owned());
    assert_eq!(told(&["logout"]), nobody);
    let nobody = (Some(1), "headgate: nobody is logged in at https://id.example.com\n".to_owned());
    assert_eq!(told(&["logout", "https://id.example.com"]), nobody);
    assert_eq!(told(&["logout", "--all"]), (Some(0), "nobody is logged in\n".to_owned()));
}
