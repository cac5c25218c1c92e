//! An explanation as text for people. Pure: the present time is an argument.

use super::explain::{ConditionReport, Explanation, Finding};
use super::pods::PodReport;
use crate::table;
use jiff::Timestamp;

/// Lines of the explanation.
pub(crate) fn render(explanation: &Explanation, now: Timestamp) -> Vec<String> {
    let Explanation { namespace, name, ready, cause, .. } = explanation;
    let mut lines = Vec::new();
    if *ready {
        let url = explanation.url.as_deref().map(|url| format!(": {url}")).unwrap_or_default();
        lines.push(format!("{namespace}/{name} is ready{url}"));
    } else {
        lines.push(format!("{namespace}/{name} is not ready: {}", cause.reason));
        lines.extend(sentences(cause));
    }
    lines.extend(conditions(explanation, now));
    if !*ready {
        if let Some(connection) = &explanation.kafka_connection {
            lines.push(String::new());
            lines.push(format!("KafkaConnection {} is not ready: {}", connection.name, connection.finding.reason));
            lines.extend(sentences(&connection.finding));
        }
        lines.extend(pods(&explanation.pods));
        lines.extend(events(explanation, now));
    }
    if !explanation.warnings.is_empty() {
        lines.push(String::new());
        lines.extend(explanation.warnings.iter().map(|text| format!("warning: {text}")));
    }
    if !explanation.unseen.is_empty() {
        lines.push(String::new());
        lines.extend(explanation.unseen.iter().map(|text| format!("Not looked at: {text}")));
    }
    lines
}

fn sentences(finding: &Finding) -> Vec<String> {
    let message = (!finding.message.is_empty()).then(|| format!("  {}", finding.message));
    let remedy = finding.remedy.as_ref().map(|remedy| format!("  → {remedy}"));
    message.into_iter().chain(remedy).collect()
}

fn conditions(explanation: &Explanation, now: Timestamp) -> Vec<String> {
    if explanation.conditions.is_empty() {
        return Vec::new();
    }
    let cells = |one: &ConditionReport| {
        [one.kind.clone(), one.status.clone(), one.finding.reason.clone(), age(&one.since, now)]
    };
    let rows: Vec<[String; 4]> = explanation.conditions.iter().map(cells).collect();
    let mut table = table::lines(["CONDITION", "STATUS", "REASON", "SINCE"], &rows).into_iter();
    let mut lines = vec![String::new()];
    lines.extend(table.next());
    for (line, condition) in table.zip(&explanation.conditions) {
        lines.push(line);
        // What the first lines have said already is not said again.
        if !condition.good && condition.finding != explanation.cause {
            lines.extend(sentences(&condition.finding));
        }
    }
    lines
}

fn pods(pods: &[PodReport]) -> Vec<String> {
    let ready = pods.iter().filter(|pod| pod.ready).count();
    let mut lines = vec![String::new()];
    lines.push(match pods.len() {
        0 => "There is no gateway pod.".to_owned(),
        count => format!("{ready} of {count} gateway pod(s) ready"),
    });
    for pod in pods.iter().filter(|pod| !pod.ready) {
        let restarts = if pod.restarts == 0 { String::new() } else { format!(", {} restart(s)", pod.restarts) };
        lines.push(format!("  {}: {}{restarts}", pod.name, pod.state));
        lines.extend(Some(&pod.message).filter(|text| !text.is_empty()).map(|text| format!("    {text}")));
        lines.extend(pod.remedy.as_ref().map(|remedy| format!("    → {remedy}")));
    }
    lines
}

fn events(explanation: &Explanation, now: Timestamp) -> Vec<String> {
    let rows: Vec<[String; 5]> = explanation
        .events
        .iter()
        .map(|event| {
            let event = event.clone();
            [age(&event.time, now), event.kind, event.object, event.reason, event.message]
        })
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new()];
    lines.extend(table::lines(["EVENT", "TYPE", "OBJECT", "REASON", "MESSAGE"], &rows));
    lines
}

/// How long ago, in the largest unit, as kubectl shows ages.
fn age(since: &str, now: Timestamp) -> String {
    let Ok(since) = since.parse::<Timestamp>() else { return String::new() };
    match now.duration_since(since).as_secs().max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..7200 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
