//! What the documents say, held against the code that they describe.

use headgate_gateway::rejection::RejectionKind;
use headgate_wire::message::GapReason;
use headgate_wire::{ClientMessage, CloseReason, Retry, ServerMessage};
use std::fs;
use std::path::PathBuf;

fn document(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    assert!(path.exists(), "{}", path.display());
    fs::read_to_string(&path).unwrap_or_default()
}

/// Cells of the table after a marker comment, without its two heading rows.
fn table(text: &str, marker: &str) -> Vec<Vec<String>> {
    let after = text.split_once(&format!("<!-- {marker}:")).map(|(_, after)| after).unwrap_or_default();
    let rows = after.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// Lines of the fenced blocks with this information string.
fn samples<'t>(text: &'t str, information: &'t str) -> Vec<&'t str> {
    let fence = format!("```{information}");
    let mut inside = false;
    let mut found = Vec::new();
    for line in text.lines() {
        match line {
            _ if line == fence => inside = true,
            _ if line.starts_with("```") => inside = false,
            _ if inside => found.push(line),
            _ => {}
        }
    }
    assert!(!found.is_empty(), "no sample of {information}");
    found
}

const fn advice(retry: Retry) -> &'static str {
    match retry {
        Retry::Soon => "soon",
        Retry::WithNewCredentials => "with new credentials",
        Retry::No => "no",
    }
}

#[test]
fn the_table_of_close_codes_is_the_code() {
    let documented: Vec<_> =
        table(&document("docs/wire-protocol.md"), "close reasons").into_iter().map(|row| row[..3].to_vec()).collect();
    let expected: Vec<_> = CloseReason::ALL
        .iter()
        .map(|reason| vec![reason.code().to_string(), format!("`{reason}`"), advice(reason.retry()).to_owned()])
        .collect();
    assert_eq!(documented, expected);
}

#[test]
fn the_table_of_refusals_is_the_code() {
    let expected: Vec<_> = RejectionKind::ALL
        .iter()
        .map(|kind| {
            let retry_after = kind.default_retry_after().map(|seconds| seconds.to_string()).unwrap_or_default();
            vec![kind.status().as_u16().to_string(), format!("`{}`", kind.word()), retry_after]
        })
        .collect();
    let documented = table(&document("docs/wire-protocol.md"), "refusals");
    assert_eq!(documented.iter().map(|row| row[..3].to_vec()).collect::<Vec<_>>(), expected);
    assert!(documented.iter().all(|row| row[3].ends_with('.')), "each says when it occurs");
}

#[test]
fn every_sample_message_is_one() {
    let text = document("docs/wire-protocol.md");
    for sample in samples(&text, "json server") {
        let message: ServerMessage = serde_json::from_str(sample).unwrap_or_else(|error| panic!("{error}: {sample}"));
        let again = serde_json::to_value(&message).unwrap();
        assert_eq!(again, serde_json::from_str::<serde_json::Value>(sample).unwrap(), "{sample}");
        assert!(sample.starts_with("{\"type\":"), "{sample}");
    }
    for sample in samples(&text, "json client") {
        serde_json::from_str::<ClientMessage>(sample).unwrap_or_else(|error| panic!("{error}: {sample}"));
    }
}

#[test]
fn every_reason_of_a_gap_is_explained() {
    let text = document("docs/wire-protocol.md");
    for reason in [
        GapReason::Retention,
        GapReason::SlowClient,
        GapReason::TooLarge,
        GapReason::Undecodable,
        GapReason::TopicReset,
    ] {
        assert!(text.contains(&format!("| `{}` |", reason.as_str())), "{reason:?}");
    }
}

#[test]
fn the_sample_cursors_are_cursors() {
    let text = document("docs/wire-protocol.md");
    let cursors: Vec<_> = text.split("\"cursor\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(cursors.len() > 3);
    for cursor in cursors {
        cursor.parse::<headgate_wire::Cursor>().unwrap_or_else(|error| panic!("{cursor}: {error}"));
    }
}

#[test]
fn the_readme_stays_short_and_its_links_lead_somewhere() {
    let guides = [
        "docs/cli.md",
        "docs/install.md",
        "docs/operations.md",
        "docs/quickstart.md",
        "docs/security.md",
        "docs/tokens.md",
        "docs/wire-protocol.md",
    ];
    for path in guides.into_iter().chain(["README.md"]) {
        let text = document(path);
        assert!(path != "README.md" || text.lines().count() < 150);
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let external = target.starts_with("http");
            assert!(external || file.is_empty() || folder.join(file).exists(), "{path} links to {target}");
        }
    }
}

#[test]
fn the_page_needs_nothing_but_itself_and_writes_text_only() {
    let page = document("console/page.html");
    for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick="]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for external in
        ["src=", "@import", ": url(", "http://", "https://", "localStorage", "sessionStorage", "document.cookie"]
    {
        assert!(!page.contains(external), "{external}");
    }
    assert_eq!(page.matches("<script nonce=\"{{nonce}}\">").count(), 1);
    assert_eq!(page.matches("<style nonce=\"{{nonce}}\">").count(), 1);
}

/// Every `fn` in the sources.
fn functions(folder: &std::path::Path, found: &mut std::collections::HashSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let names =
                text.split("fn ").skip(1).filter_map(|rest| rest.split_once('(')).map(|(name, _)| name.to_owned());
            found.extend(names);
        }
    }
}

#[test]
fn every_test_that_the_security_page_names_is_there() {
    let mut known = std::collections::HashSet::new();
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["crds", "wire", "process", "operator", "gateway", "cli", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let rows = table(&document("docs/security.md"), "tests");
    assert!(!rows.is_empty());
    for row in rows {
        let named: Vec<_> = row[1].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test for: {}", row[0]);
        for test in named {
            assert!(known.contains(test), "{test} is not there");
        }
    }
}
