//! A test issuer for dev mode: OpenID Connect without passwords, so that logging in can be tried without a network.
//!
//! FOR DEVELOPMENT ONLY: whoever reaches it is whoever they click on. It listens on this machine only, sends nobody
//! elsewhere, and everything that it knows is gone with the process.

mod grants;
mod pages;
pub(crate) mod people;
pub(crate) mod readers;
mod signing;

use crate::login::encode;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use grants::{Grants, Refusal};
use people::Person;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use signing::SigningKey;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::net::TcpListener;

/// The client of the tokens that the issuer's own page shows.
const OWN_PAGE: &str = "test-issuer";

/// Fields of a form or a query. The first of several with one name counts.
type Fields = BTreeMap<String, String>;

/// An issuer that listens.
#[derive(Debug)]
pub(crate) struct TestIssuer {
    listener: TcpListener,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    key: SigningKey,
    /// Whom its tokens are for.
    audiences: Vec<String>,
    /// Who can log in.
    people: Vec<Person>,
    grants: Mutex<Grants>,
}

impl TestIssuer {
    /// Listens, with a key that nobody has had before. Its tokens are for these audiences, and
    /// these people have them.
    pub(crate) async fn bind(address: SocketAddr, audiences: Vec<String>, people: Vec<Person>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (key, grants) = (SigningKey::generate()?, Mutex::new(Grants::default()));
        Ok(Self { listener, shared: Arc::new(Shared { url, key, audiences, people, grants }) })
    }

    /// Its issuer URL.
    pub(crate) fn url(&self) -> &str {
        &self.shared.url
    }

    /// Answers until it is dropped.
    pub(crate) async fn run(self) -> io::Result<()> {
        let router = Router::new()
            .route("/", get(choose_token).post(token_chosen))
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(choose_person).post(person_chosen))
            .route("/device_authorization", post(begin_device))
            .route("/device", get(choose_device).post(device_chosen))
            .route("/token", post(token))
            .fallback(async || page(StatusCode::NOT_FOUND, &pages::words("There is no such page here.")))
            .with_state(self.shared);
        axum::serve(self.listener, router).await
    }
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&mut Grants) -> T) -> T {
        work(&mut self.grants.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn form(&self, heading: &str, before: &str) -> String {
        pages::people(&self.people, heading, before)
    }

    /// The person whose button was pressed.
    fn chosen(&self, body: &Bytes) -> Option<usize> {
        let name = fields(&String::from_utf8_lossy(body)).remove("user")?;
        self.people.iter().position(|person| person.subject == name)
    }
}

async fn choose_token(State(issuer): State<Arc<Shared>>) -> Response {
    page(StatusCode::OK, &issuer.form("Show a token of", &pages::introduction(&issuer.url)))
}

/// A token for whoever wants to try it by hand. It cannot be renewed.
async fn token_chosen(State(issuer): State<Arc<Shared>>, body: Bytes) -> Response {
    let Some(number) = issuer.chosen(&body) else { return choose_token(State(issuer)).await };
    let person = &issuer.people[number];
    let granted =
        grants::Granted { person: number, client_id: OWN_PAGE.to_owned(), nonce: None, refresh_token: String::new() };
    let audience = issuer.audiences.clone().into();
    match people::tokens(&issuer.url, &issuer.key, (person, &granted), &audience) {
        Ok(answer) => {
            let token = answer["access_token"].as_str().unwrap_or_default();
            page(StatusCode::OK, &pages::token(person, token, people::TOKEN_SECONDS))
        }
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, &pages::words("The token could not be signed.")),
    }
}

async fn discovery(State(issuer): State<Arc<Shared>>) -> Response {
    let url = &issuer.url;
    let document = json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "device_authorization_endpoint": format!("{url}/device_authorization"),
        "jwks_uri": format!("{url}/keys"),
        "scopes_supported": ["openid", "offline_access", "profile"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", grants::DEVICE_GRANT],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "authorization_response_iss_parameter_supported": true,
    });
    json_answer(StatusCode::OK, &document)
}

async fn keys(State(issuer): State<Arc<Shared>>) -> Response {
    json_answer(StatusCode::OK, &json!({ "keys": [issuer.key.jwk()] }))
}

async fn choose_person(State(issuer): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    match grants::Authorization::read(&fields(&query.unwrap_or_default())) {
        Ok(_) => page(StatusCode::OK, &issuer.form("Log in as", "")),
        Err(problem) => page(StatusCode::BAD_REQUEST, &pages::words(problem)),
    }
}

async fn person_chosen(State(issuer): State<Arc<Shared>>, RawQuery(query): RawQuery, body: Bytes) -> Response {
    let asked = match grants::Authorization::read(&fields(&query.unwrap_or_default())) {
        Ok(asked) => asked,
        Err(problem) => return page(StatusCode::BAD_REQUEST, &pages::words(problem)),
    };
    let Some(person) = issuer.chosen(&body) else { return page(StatusCode::OK, &issuer.form("Log in as", "")) };
    let (redirect, state) = (asked.redirect_uri.clone(), asked.state.clone());
    let code = match issuer.with(|grants| grants.code(asked, person, Instant::now())) {
        Ok(code) => code,
        Err(refusal) => return refused(refusal),
    };
    let separator = if redirect.contains('?') { '&' } else { '?' };
    let answer = encode(&[("code", code.as_str()), ("state", &state), ("iss", &issuer.url)]);
    let mut response = StatusCode::SEE_OTHER.into_response();
    if let Ok(location) = HeaderValue::try_from(format!("{redirect}{separator}{answer}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

async fn begin_device(State(issuer): State<Arc<Shared>>, body: Bytes) -> Response {
    let asked = fields(&String::from_utf8_lossy(&body));
    match issuer.with(|grants| grants.device(&asked, Instant::now())) {
        Ok((device_code, user_code)) => {
            let page = format!("{}/device", issuer.url);
            let answer = json!({
                "device_code": device_code, "user_code": user_code, "verification_uri": page,
                "verification_uri_complete": format!("{page}?{}", encode(&[("user_code", user_code.as_str())])),
                "expires_in": grants::LIFETIME.as_secs(), "interval": 1,
            });
            json_answer(StatusCode::OK, &answer)
        }
        Err(refusal) => refused(refusal),
    }
}

async fn choose_device(State(issuer): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let code = fields(&query.unwrap_or_default()).remove("user_code").unwrap_or_default();
    page(StatusCode::OK, &issuer.form("Let the device log in as", &pages::code_field(&code)))
}

async fn device_chosen(State(issuer): State<Arc<Shared>>, body: Bytes) -> Response {
    let code = fields(&String::from_utf8_lossy(&body)).remove("user_code").unwrap_or_default();
    let person = issuer.chosen(&body);
    let known = person.is_some_and(|person| issuer.with(|grants| grants.allow(&code, person, Instant::now())));
    if known {
        page(StatusCode::OK, &pages::words("The device is logged in. You can close this page."))
    } else {
        let form = issuer.form("This code is not known. Let the device log in as", &pages::code_field(""));
        page(StatusCode::BAD_REQUEST, &form)
    }
}

async fn token(State(issuer): State<Arc<Shared>>, body: Bytes) -> Response {
    let asked = fields(&String::from_utf8_lossy(&body));
    match issuer.with(|grants| grants.redeem(&asked, Instant::now())) {
        Err(refusal) => refused(refusal),
        Ok(granted) => {
            let audience: Value = match asked.get("resource").or_else(|| asked.get("audience")) {
                Some(one) => one.as_str().into(),
                None => issuer.audiences.clone().into(),
            };
            let Some(person) = issuer.people.get(granted.person) else { return refused(Refusal::ServerError) };
            match people::tokens(&issuer.url, &issuer.key, (person, &granted), &audience) {
                Ok(answer) => json_answer(StatusCode::OK, &answer),
                Err(_) => refused(Refusal::ServerError),
            }
        }
    }
}

fn refused(refusal: Refusal) -> Response {
    json_answer(StatusCode::BAD_REQUEST, &json!({ "error": refusal.word() }))
}

fn json_answer(status: StatusCode, document: &Value) -> Response {
    // Pages of any origin may try it: there is nothing to protect here.
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
    (status, headers, document.to_string()).into_response()
}

fn page(status: StatusCode, text: &str) -> Response {
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (status, headers, text.to_owned()).into_response()
}

/// `application/x-www-form-urlencoded`, as a query and as a form.
fn fields(text: &str) -> Fields {
    let decoded = |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).rev();
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decoded(n), decoded(v))).collect()
}

/// Whether a redirect stays on this machine (RFC 8252 section 7.3).
fn is_local_redirect(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_here && uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        let fields = fields("user=alice&scope=openid+profile&redirect_uri=http%3A%2F%2F127.0.0.1%3A1&user=bob&x");
        assert_eq!(fields["scope"], "openid profile");
        assert_eq!(fields["redirect_uri"], "http://127.0.0.1:1");
        assert_eq!((fields["user"].as_str(), fields["x"].as_str()), ("alice", ""));
    }

    /// What a browser gets for a request to a new issuer, head and body.
    async fn answer(request: &str) -> String {
        let people = people::people(&[]);
        let issuer = TestIssuer::bind(([127, 0, 0, 1], 0).into(), vec!["orders".to_owned()], people).await.unwrap();
        let address = issuer.listener.local_addr().unwrap();
        let serving = tokio::spawn(issuer.run());
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket
            .write_all(request.replace("HTTP/1.1", "HTTP/1.1\r\nhost: h\r\nconnection: close").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        serving.abort();
        answer
    }

    #[tokio::test]
    async fn its_address_in_a_browser_says_who_is_there_and_shows_a_token_of_whoever_is_chosen() {
        let start = answer("GET / HTTP/1.1\r\n\r\n").await;
        assert!(start.starts_with("HTTP/1.1 200"), "{start}");
        assert!(start.contains("value=\"alice\"") && start.contains("value=\"carol\""), "{start}");
        assert!(start.contains("headgate login http://127.0.0.1:"), "{start}");
        let shown = answer("POST / HTTP/1.1\r\ncontent-length: 8\r\n\r\nuser=bob").await;
        let token = shown.split("readonly>").nth(1).and_then(|rest| rest.split('<').next()).unwrap();
        assert_eq!(crate::login::user(token).as_deref(), Some("bob"), "{shown}");
        let nobody = answer("POST / HTTP/1.1\r\ncontent-length: 8\r\n\r\nuser=eve").await;
        assert!(nobody.contains("value=\"alice\"") && !nobody.contains("readonly>"), "{nobody}");
        assert!(answer("GET /elsewhere HTTP/1.1\r\n\r\n").await.contains("There is no such page here."));
    }

    #[test]
    fn nobody_is_sent_away_from_this_machine() {
        assert!(
            ["http://127.0.0.1:9/callback", "http://localhost:3000/", "http://[::1]:1/x"]
                .into_iter()
                .all(is_local_redirect)
        );
        for away in ["https://example.com", "http://127.0.0.1.example.com/", "javascript:alert(1)", "//evil", ""] {
            assert!(!is_local_redirect(away), "{away}");
        }
    }
}
