//! The manifests that the documentation tells people to apply are accepted.

use headgate_crds::lint::check_manifest;
use serde_json::Value;

use super::{CHART, documents, path, read};

/// The manifests of ours within a text: from their `apiVersion` to the end of the code block or here-document.
fn manifests(name: &str, text: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let bare = line.trim_start();
        if !bare.starts_with("apiVersion: headgate.dev/") {
            continue;
        }
        let indent = line.len() - bare.len();
        let mut manifest = format!("{bare}\n");
        while let Some(next) = lines.next_if(|next| !["EOF", "```", "---"].contains(&next.trim())) {
            manifest.push_str(next.get(indent..).unwrap_or_default());
            manifest.push('\n');
        }
        found.extend(documents(name, &manifest));
    }
    found
}

fn check(name: &str) -> usize {
    let found = manifests(name, &read(name));
    for manifest in &found {
        let problems: Vec<String> = check_manifest(manifest, None).iter().map(ToString::to_string).collect();
        assert_eq!(problems, Vec::<String>::new(), "{name}:\n{manifest:#}");
    }
    found.len()
}

#[test]
fn every_page_shows_manifests_that_are_accepted() {
    let mut pages = vec!["README.md".to_owned(), format!("{CHART}/README.md")];
    for entry in std::fs::read_dir(path("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        pages.extend(name.strip_suffix(".md").map(|page| format!("docs/{page}.md")));
    }
    assert!(pages.iter().map(|page| check(page)).sum::<usize>() >= 4);
}

#[test]
fn the_notes_of_the_chart_show_manifests_that_are_accepted() {
    assert_eq!(check(&format!("{CHART}/templates/NOTES.txt")), 2);
}

#[test]
fn a_manifest_with_a_mistake_would_be_found() {
    let text =
        "  cat <<EOF\n  apiVersion: headgate.dev/v1alpha1\n  kind: StreamEndpoint\n  metadata: {name: x}\n  EOF\n";
    let [manifest] = manifests("text", text).try_into().unwrap();
    assert!(!check_manifest(&manifest, None).is_empty());
}
