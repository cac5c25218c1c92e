//! docs/cli.md against the command line that it describes.

use super::Cli;
use clap::{Command, CommandFactory as _};
use std::collections::BTreeSet;
use std::path::Path;

/// Options that one section of the page describes for all commands.
const OF_A_CLUSTER: [&str; 3] = ["--context", "--kubeconfig", "--namespace"];

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md")).unwrap()
}

/// The text under a heading.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, after) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no section {heading}"));
    after.split("\n## ").next().unwrap_or_default()
}

/// Every `--option` that a text mentions.
fn mentioned(text: &str) -> BTreeSet<String> {
    let names = text
        .split("--")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect::<String>());
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase())).map(|name| format!("--{name}")).collect()
}

fn check(command: &Command, path: &str, page: &str) {
    let text = section(page, path);
    let usage = command.clone().bin_name(path.to_owned()).render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    assert!(text.contains(&format!("```text\n{usage}\n```")), "the section {path} does not show: {usage}");
    let long = |argument: &clap::Arg| argument.get_long().map(|long| format!("--{long}"));
    let options: BTreeSet<String> = command.get_arguments().filter_map(long).collect();
    let known: BTreeSet<String> = options.iter().cloned().chain(OF_A_CLUSTER.map(str::to_owned)).collect();
    let mentioned = mentioned(text);
    for option in options.iter().filter(|option| !OF_A_CLUSTER.contains(&option.as_str())) {
        assert!(mentioned.contains(option), "the section {path} does not mention {option}");
    }
    for option in mentioned {
        assert!(known.contains(&option), "the section {path} mentions {option}, which is none");
    }
}

#[test]
fn every_command_has_its_section_with_its_usage_and_its_options_and_no_others() {
    let page = page();
    for command in Cli::command().get_subcommands() {
        let path = format!("headgate {}", command.get_name());
        if !command.has_subcommands() {
            check(command, &path, &page);
        }
        for inner in command.get_subcommands() {
            check(inner, &format!("{path} {}", inner.get_name()), &page);
        }
    }
    for option in OF_A_CLUSTER {
        assert!(section(&page, "Options of a cluster").contains(option));
    }
}
