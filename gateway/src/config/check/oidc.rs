//! The rules that `auth.oidc` must keep: nothing in it may be without effect, and nothing that is missing may open a
//! stream wider than its author believes.

use super::Problem;
use crate::auth::oidc::WELL_KNOWN;
use crate::stream::filter;
use headgate_wire::GatewayConfig;
use headgate_wire::config::bounds::{MAX_AUDIENCES, MAX_CLAIM_FILTERS, MAX_CLAIM_VALUES, MAX_CLAIMS};
use headgate_wire::config::{AuthMode, ClaimMatch, Oidc};
use headgate_wire::filter::{Comparisons, Filter};
use http::Uri;
use std::net::IpAddr;

/// Longest text of the section, in bytes.
const MAX_TEXT_BYTES: usize = 512;

pub(super) fn check(config: &GatewayConfig, problems: &mut Vec<Problem>) {
    let mut add = |field: &str, message: &str| problems.push(Problem::new(format!("auth.{field}"), message));
    let accepts_tokens = matches!(config.auth.mode, AuthMode::Oidc | AuthMode::ApiKeyOrOidc);
    match &config.auth.oidc {
        None if accepts_tokens => add("oidc", "a mode with tokens needs to know whose: add issuerURL and audiences"),
        Some(_) if !accepts_tokens => {
            add("oidc", "it has no effect in this mode; use OIDC or ApiKeyOrOIDC, or remove it");
        }
        Some(oidc) => {
            section(oidc, &mut add);
            if config.public_access.anonymous && !oidc.filters.is_empty() {
                let message = "they limit what a caller sees, but anonymous callers would see everything; set \
                               publicAccess.anonymous: false, or remove the filters";
                add("oidc.filters", message);
            }
        }
        None => {}
    }
}

fn section(oidc: &Oidc, add: &mut impl FnMut(&str, &str)) {
    if oidc.issuer_url.trim_end_matches('/').ends_with(WELL_KNOWN) {
        let message = "is where the provider's configuration is, not the issuer: leave /.well-known/openid-configuration \
                       away, it is found there by itself";
        add("oidc.issuerURL", message);
    } else if !is_issuer(&oidc.issuer_url) {
        let message = "must be an https:// URL without query and fragment, exactly as tokens carry it in iss; http:// \
                       is for an issuer on this machine only";
        add("oidc.issuerURL", message);
    }
    if oidc.audiences.is_empty()
        || oidc.audiences.len() > MAX_AUDIENCES
        || !oidc.audiences.iter().all(|audience| is_text(audience))
    {
        add("oidc.audiences", "must be 1 to 16 texts, exactly as tokens carry them in aud");
    }
    if oidc.algorithms.is_empty() {
        add("oidc.algorithms", "without any, no token is accepted; leave it out for the usual ones");
    }
    let claims = [&oidc.roles_claim, &oidc.organization_claim].into_iter().flatten().chain([&oidc.username_claim]);
    if !claims.into_iter().all(|claim| is_text(claim)) {
        add("oidc", "a claim is a name or a path with dots of 1 to 512 bytes; leave out what you do not need");
    }
    for (field, all) in [("oidc.required", &oidc.required), ("oidc.publish", &oidc.publish)] {
        if all.len() > MAX_CLAIMS || !all.iter().all(is_match) {
            add(field, "must be at most 16 claims, each with 1 to 32 values");
        }
    }
    if oidc.filters.len() > MAX_CLAIM_FILTERS {
        add("oidc.filters", "must be at most 8");
    }
    for entry in &oidc.filters {
        let sample = Filter::Exact(Comparisons::from([(entry.attribute.clone(), "value".to_owned())]));
        if let Err(error) = filter::validate(&sample) {
            add("oidc.filters", &error.to_string());
        } else if !is_text(&entry.claim) {
            add("oidc.filters", "every filter needs a claim");
        }
    }
}

fn is_text(text: &str) -> bool {
    (1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

fn is_match(wanted: &ClaimMatch) -> bool {
    is_text(&wanted.claim) && (1..=MAX_CLAIM_VALUES).contains(&wanted.values.len())
}

fn is_issuer(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_this_machine = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let is_secure = uri.scheme_str() == Some("https") || (uri.scheme_str() == Some("http") && is_this_machine);
    is_secure && uri.query().is_none() && !url.contains(['#', '@']) && url.len() <= MAX_TEXT_BYTES
}
