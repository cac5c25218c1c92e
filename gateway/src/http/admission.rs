//! The checks between a well-formed request and a stream, in the order in which they are cheap.

use crate::auth::audit::Audit;
use crate::auth::limits::Permit;
use crate::auth::{Attempt, Carriers, Principal, QueryCarrier};
use crate::encode::format::{Encoding, Envelope};
use crate::endpoint::Endpoint;
use crate::fanout::shard::run::Admitted;
use crate::fanout::view::ViewSpec;
use crate::rejection::{Rejection, RejectionKind};
use crate::request::{StartPosition, StreamRequest};
use crate::session::Dialect;

use headgate_wire::CloseReason;
use headgate_wire::config::Format;
use headgate_wire::key::Permission;
use http::Request;
use http::header::ORIGIN;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

/// The header by which an `EventSource` resumes (WHATWG HTML, section 9.2.4).
const LAST_EVENT_ID: &str = "last-event-id";

/// How a client wants to be served.
#[derive(Debug)]
pub(super) struct Wanted {
    pub envelope: Envelope,
    /// Set if the envelope leaves no choice.
    pub format: Option<Format>,
    /// For the audit line.
    pub protocol: &'static str,
    /// A token carried by a subprotocol.
    pub bearer: Option<SecretString>,
}

/// Admits a client, or says why not.
pub(super) async fn admit(
    endpoint: &Endpoint,
    request: &Request<()>,
    wanted: Wanted,
    address: IpAddr,
    permit: Permit,
) -> Result<Admitted, Rejection> {
    let config = &endpoint.config;
    let (uri, headers) = (request.uri(), request.headers());
    let asked = StreamRequest::parse(endpoint.app(), uri.path(), uri.query())?;
    let encoding = encoding(&asked, &wanted, config.wire.stream.format)?;
    if endpoint.is_draining() {
        return Err(Rejection::draining());
    }
    if !endpoint.source.status.has_started() {
        return Err(Rejection::new(RejectionKind::Unavailable, "this gateway has not reached Kafka yet; try again"));
    }
    endpoint.authenticator.policy().origins.check(headers, uri)?;
    let query = QueryCarrier::from(&asked.credentials);
    let carriers = Carriers { headers, subprotocol: wanted.bearer.as_ref().map(ExposeSecret::expose_secret), query };
    let attempt = Attempt { carriers, address, needs: Permission::Read };
    let principal = endpoint.authenticator.authenticate(&attempt, Timestamp::now()).await?;
    let permit = permit.for_principal(&principal)?;
    let start = endpoint.resolve(start_position(&asked, request)?).await?;

    let enforced: Arc<[_]> = config.wire.stream.filters.iter().chain(principal.filters()).cloned().collect();
    let filters = enforced.iter().cloned().chain(asked.filters).collect();
    let spec = ViewSpec::new(filters, asked.key, encoding);
    check_cost(endpoint, &spec)?;
    let audit = Audit {
        session: endpoint.next_session(),
        app: endpoint.app().into(),
        principal: principal.label().to_owned(),
        address,
        origin: headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).map(str::to_owned),
        protocol: wanted.protocol,
        opened: Instant::now(),
        bytes: 0,
        messages: 0,
    };
    Ok(Admitted {
        limits: config.wire.limits,
        dialect: dialect(encoding),
        expires_at: end_of_token(&principal),
        spec,
        enforced,
        start,
        principal,
        permit,
        audit,
    })
}

/// Refuses filters that would cost all others more than the pod has left.
fn check_cost(endpoint: &Endpoint, spec: &ViewSpec) -> Result<(), Rejection> {
    let comparisons = spec.comparisons();
    if comparisons == 0 || endpoint.budgets.filters.has_room(comparisons) {
        return Ok(());
    }
    endpoint.metrics.budget_full("filters");
    Err(Rejection::new(
        RejectionKind::GatewayFull,
        "the filters of this gateway's clients take as much as they may; compare with exact values, or try again",
    ))
}

/// When a token ends. An API key ends through the key ring, where its life may also be prolonged.
fn end_of_token(principal: &Principal) -> Option<(Timestamp, CloseReason)> {
    match principal {
        Principal::User(user) => Some((user.expires_at, CloseReason::TokenExpired)),
        Principal::Anonymous | Principal::ApiKey(_) => None,
    }
}

/// Where to begin: the query, or else the header that browsers send by themselves when they reconnect.
fn start_position(asked: &StreamRequest, request: &Request<()>) -> Result<Option<StartPosition>, Rejection> {
    // A reconnecting EventSource repeats its URL, so what it has seen since counts more than what it asked for first.
    let header = match request.headers().get(LAST_EVENT_ID) {
        Some(id) => {
            let id = id.to_str().map_err(|_| Rejection::bad_request("the header Last-Event-ID is not text"))?;
            StartPosition::from_last_event_id(id)?
        }
        None => None,
    };
    Ok(header.or_else(|| asked.last_event_id.clone()).or_else(|| asked.from.clone()))
}

fn encoding(asked: &StreamRequest, wanted: &Wanted, default: Format) -> Result<Encoding, Rejection> {
    let format = match (wanted.format, asked.format) {
        (Some(fixed), Some(asked)) if fixed != asked => {
            return Err(Rejection::bad_request(
                "the subprotocol cloudevents.json carries CloudEvents only; remove `format`, or offer another subprotocol",
            ));
        }
        (Some(fixed), _) => fixed,
        (None, asked) => asked.unwrap_or(default),
    };
    if asked.kafka_metadata && format == Format::Raw {
        return Err(Rejection::bad_request(
            "`metadata=kafka` has no place in the format `raw`; remove it, or ask for `format=cloudevents`",
        ));
    }
    Ok(Encoding { format, envelope: wanted.envelope, kafka_metadata: asked.kafka_metadata })
}

const fn dialect(encoding: Encoding) -> Dialect {
    match (encoding.envelope, encoding.format) {
        (Envelope::HeadgateV1, _) => Dialect::HeadgateV1,
        (Envelope::ServerSentEvents, _) => Dialect::ServerSentEvents,
        (Envelope::Plain, Format::CloudEvents) => Dialect::CloudEvents,
        (Envelope::Plain, _) => Dialect::Plain,
    }
}
