//! Every carrier × mode × kind and state of a credential × endpoint, and with and without anonymous readers and credentials
//! in the URL: each answer is the one that docs/wire-protocol.md promises (W9 to W12).
//!
//! [`expected`] is written from that page alone. It must never be changed to fit the gateway.

mod cell;
mod counter;
mod credentials;
mod request;

use crate::stage::SOON;
use crate::tickets;
use anyhow::Result;
use cell::{Carrier, Cell, Kind, Rules, State, Target};
use credentials::Credentials;
use headgate_tests::gateway::{Gateway, write_keys};
use headgate_tests::wait::eventually;
use headgate_wire::config::{AuthMode, QueryCredentials};
use request::status;
use std::path::Path;

/// The status that the protocol promises.
fn expected(cell: Cell) -> u16 {
    let Cell { rules, carrier, kind, state, target } = cell;
    let granted = match target {
        Target::Stream | Target::Alias | Target::Channel => 101,
        Target::Tickets => 201,
        Target::Events => 200,
        // The page is for everybody; the stream that it shows is not.
        Target::Page => return 200,
    };
    // Only a WebSocket has subprotocols, and cookies are never read.
    let carries_nothing = match carrier {
        Carrier::Nothing | Carrier::Cookie => true,
        Carrier::Subprotocol => !target.is_websocket(),
        _ => false,
    };
    let anonymous = match (rules.anonymous, target) {
        (false, _) => 401,
        // Who needs no credential needs no ticket.
        (true, Target::Tickets) => 400,
        (true, _) => granted,
    };
    if carries_nothing {
        return anonymous;
    }
    if state == State::Malformed || !is_well_formed(cell) {
        return 400;
    }
    // A credential that is present but wrong is refused, also where anonymous readers are welcome.
    let accepted = match rules.mode {
        AuthMode::ApiKey => kind.bought_with() == Kind::ApiKey,
        AuthMode::Oidc => kind.bought_with() == Kind::Token,
        AuthMode::ApiKeyOrOidc => true,
        AuthMode::None => false,
    };
    // Nothing but a ticket is one, and a ticket is nothing else.
    if !accepted || kind.is_ticket() != (carrier == Carrier::QueryTicket) {
        return 401;
    }
    match state {
        State::Valid => granted,
        // A stranger with good credentials is never worse off than one without (W8).
        State::Unentitled if !kind.is_ticket() => {
            if rules.anonymous {
                anonymous
            } else {
                403
            }
        }
        _ => 401,
    }
}

/// Whether the request can be understood, and carries what its endpoint lets it carry.
fn is_well_formed(Cell { rules, carrier, target, .. }: Cell) -> bool {
    match carrier {
        // Two credentials.
        Carrier::Twice | Carrier::QueryTicketAndHeader => false,
        Carrier::QueryToken | Carrier::QueryApiKey => rules.in_url == QueryCredentials::Allowed,
        // A ticket is not exchanged for another.
        Carrier::QueryTicket => target != Target::Tickets,
        _ => true,
    }
}

/// The credential of a cell; every ticket is one that no other cell has used.
async fn text(cell: Cell, gateway: &Gateway, credentials: &Credentials) -> Result<String> {
    let Cell { carrier, kind, state, .. } = cell;
    if !kind.is_ticket() {
        return Ok(credentials.text(kind, state).to_owned());
    }
    let buyer = kind.bought_with();
    let purchase = Cell { carrier: Carrier::Bearer, kind: buyer, state: State::Valid, target: Target::Tickets, ..cell };
    if state == State::Valid && expected(purchase) == 201 {
        return tickets::ticket(gateway, credentials.text(buyer, State::Valid)).await;
    }
    let ticket = credentials.ticket(kind, state)?;
    if state == State::Spent && carrier == Carrier::QueryTicket {
        let first = Cell { state: State::Valid, target: Target::Stream, ..cell };
        status(gateway.stream, first, &ticket, credentials).await?;
    }
    Ok(ticket)
}

/// Removes a key that was good, where keys are accepted at all.
async fn revoke(rules: Rules, gateway: &Gateway, credentials: &Credentials, keys: &Path) -> Result<()> {
    let (carrier, kind) = (Carrier::Bearer, Kind::ApiKey);
    let good = Cell { rules, carrier, kind, state: State::Valid, target: Target::Stream };
    if expected(good) != 101 {
        return Ok(());
    }
    let text = credentials.text(kind, State::Revoked);
    let answer = async || status(gateway.stream, good, text, credentials).await;
    assert_eq!(answer().await?, 101, "the key is good until it is revoked");
    write_keys(keys, &credentials.keys.current())?;
    eventually("the key to be revoked", SOON, async || answer().await.is_ok_and(|status| status == 401)).await
}

/// Asks for every cell of a gateway and gives those with another answer than expected.
async fn surprises(rules: Rules, credentials: &Credentials) -> Result<Vec<String>> {
    let folder = tempfile::tempdir()?;
    let keys = folder.path().join("keys.json");
    let gateway = Gateway::start(credentials.configuration(rules, &keys)?).await?;
    revoke(rules, &gateway, credentials, &keys).await?;
    let mut surprises = Vec::new();
    for cell in rules.cells() {
        let text = text(cell, &gateway, credentials).await?;
        let answer = status(gateway.stream, cell, &text, credentials).await?;
        if answer != expected(cell) {
            surprises.push(format!("{answer} instead of {}: {cell:?}", expected(cell)));
        }
    }
    Ok(surprises)
}

/// W9, W10, W11, W12
#[tokio::test(flavor = "multi_thread")]
async fn every_combination_of_carrier_mode_credential_and_endpoint_gets_the_documented_answer() -> Result<()> {
    let credentials = Credentials::new().await?;
    let mut found = Vec::new();
    for rules in Rules::all() {
        found.extend(surprises(rules, &credentials).await?);
    }
    assert!(found.is_empty(), "{} unexpected answers:\n{}", found.len(), found.join("\n"));
    Ok(())
}
