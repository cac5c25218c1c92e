//! `headgate lint`: what the API server and then the operator would refuse, without either; with `--cluster` also what the
//! API server of a cluster does refuse.
//!
//! What is right and probably not meant is reported as a warning, which fails nothing. It has no rule of its own: `crate::endpoint` and the API server are asked.

use crate::args::{LintArgs, LintOutput};
use crate::cluster::Cluster;
use crate::cluster::dry_run::Refusal;
use crate::endpoint::{endpoint, warnings};
use crate::manifest::{self, Document};
use crate::output::{Output, notice};
use serde::Serialize;
use std::process::ExitCode;

/// Whether a finding refuses its document.
#[derive(Debug, Clone, Copy, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong or probably not meant, and where.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Finding {
    file: String,
    /// Position in the file, from 1; 0 if the file itself cannot be read.
    document: usize,
    kind: String,
    name: String,
    /// Path of the field; empty if the whole document is meant.
    path: String,
    message: String,
    severity: Severity,
}

/// What was looked at.
#[derive(Debug, Default)]
struct Report {
    findings: Vec<Finding>,
    checked: usize,
    skipped: usize,
}

/// Checks every document of every file.
pub(crate) fn run(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let mut right = Vec::new();
    for file in &args.files {
        match manifest::read(file) {
            Ok(documents) => right.extend(documents.into_iter().filter(|document| report.check(document))),
            Err(error) => report.findings.push(Finding::of_file(file.display().to_string(), error.to_string())),
        }
    }
    if args.ask_cluster {
        super::block_on(async {
            let cluster = Cluster::connect(&args.cluster).await?;
            report.ask(&cluster, &right).await
        })?;
    }
    report.print(args.output)?;
    Ok(if report.count(Severity::Error) == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::EXIT_FAILURE) })
}

impl Report {
    /// True for a document of ours without a problem.
    fn check(&mut self, document: &Document) -> bool {
        if !headgate_crds::lint::is_ours(&document.value) {
            self.skipped += 1;
            return false;
        }
        self.checked += 1;
        let problems = endpoint(document).err().unwrap_or_default();
        let right = problems.is_empty();
        self.findings.extend(problems.into_iter().map(|problem| Finding::of(document, problem.path, problem.message)));
        if right {
            let warning = |path: &str, message: &str| Finding {
                severity: Severity::Warning,
                ..Finding::of(document, path.to_owned(), message.to_owned())
            };
            self.findings.extend(warnings(document).into_iter().map(|found| warning(&found.field, found.message)));
        }
        right
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    async fn ask(&mut self, cluster: &Cluster, documents: &[Document]) -> anyhow::Result<()> {
        for document in documents {
            let refused = cluster.dry_run(&document.value).await?;
            let finding = |refusal: Refusal| Finding::of(document, refusal.path, refusal.message);
            self.findings.extend(refused.into_iter().map(finding));
        }
        Ok(())
    }

    fn print(&self, form: LintOutput) -> anyhow::Result<()> {
        let mut output = Output::stdout();
        match form {
            LintOutput::Json => output.line(&serde_json::to_vec(&self.findings)?)?,
            LintOutput::Text => {
                for finding in &self.findings {
                    output.line(finding.to_string().as_bytes())?;
                }
            }
        }
        output.flush()?;
        if form == LintOutput::Text {
            let Self { checked, skipped, .. } = self;
            let (problems, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
            notice(format_args!(
                "{checked} document(s) checked, {skipped} skipped, {problems} problem(s), {warnings} warning(s)"
            ));
        }
        Ok(())
    }
}

impl Finding {
    fn of(document: &Document, path: String, message: String) -> Self {
        let Document { file, number, .. } = document;
        let (kind, name) = (document.kind().to_owned(), document.name());
        Self { file: file.clone(), document: *number, kind, name, path, message, severity: Severity::Error }
    }

    fn of_file(file: String, message: String) -> Self {
        let (kind, name, path) = (String::new(), String::new(), String::new());
        Self { file, document: 0, kind, name, path, message, severity: Severity::Error }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, document, kind, name, path, message, severity } = self;
        if *document == 0 {
            return f.write_str(message);
        }
        if *severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        write!(f, "{file}, document {document} ({kind} {name}): ")?;
        if path.is_empty() { f.write_str(message) } else { write!(f, "{path}: {message}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        let mut report = Report::default();
        for document in manifest::parse("f.yaml", text).unwrap() {
            report.check(&document);
        }
        report
    }

    const MINIMAL: &str = "apiVersion: headgate.dev/v1alpha1
kind: StreamEndpoint
metadata: {name: orders, namespace: shop}
spec:
  app: orders
  topic: shop.orders
  auth: {mode: ApiKey}
  publicAccess: {}
";

    #[test]
    fn the_smallest_endpoint_is_right_and_other_kinds_are_skipped() {
        let report = report(&format!("{MINIMAL}---\napiVersion: v1\nkind: Service\n"));
        assert_eq!(report.findings, []);
        assert_eq!((report.checked, report.skipped), (1, 1));
    }

    #[test]
    fn a_problem_names_file_document_object_and_field() {
        let wrong = MINIMAL.replace("mode: ApiKey", "mode: None");
        let report = report(&format!("kind: Other\n---\n{wrong}"));
        let line = report.findings.first().unwrap().to_string();
        assert!(line.starts_with("f.yaml, document 2 (StreamEndpoint shop/orders): spec"), "{line}");
    }

    #[test]
    fn what_is_probably_not_meant_is_a_warning_and_its_document_is_right() {
        let any_account = "mode: OIDC, oidc: {kubernetes: {}, audiences: [orders]}";
        let document = manifest::parse("f.yaml", &MINIMAL.replace("mode: ApiKey", any_account)).unwrap().remove(0);
        let mut report = Report::default();
        assert!(report.check(&document));
        assert_eq!((report.count(Severity::Error), report.count(Severity::Warning)), (0, 1));
        let line = report.findings[0].to_string();
        let place =
            "warning: f.yaml, document 1 (StreamEndpoint shop/orders): spec.auth.oidc.kubernetes: every ServiceAccount";
        assert!(line.starts_with(place), "{line}");
        assert_eq!(serde_json::to_value(&report.findings[0]).unwrap()["severity"], "warning");
    }

    #[test]
    fn an_address_that_is_more_than_a_network_is_refused_with_the_network_that_may_be_meant() {
        let report = report(&MINIMAL.replace("publicAccess: {}", "publicAccess: {trustedProxies: [10.0.0.5/8]}"));
        let line = report.findings.first().unwrap().to_string();
        assert!(
            line.contains("trustedProxies[0]: `10.0.0.5/8` is an address within a network: write `10.0.0.0/8`"),
            "{line}"
        );
    }
}
