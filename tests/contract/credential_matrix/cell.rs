//! The dimensions of the matrix, and every combination of them.

use headgate_wire::config::{AuthMode, QueryCredentials};

/// How a credential travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Nothing,
    Bearer,
    Basic,
    Subprotocol,
    QueryToken,
    QueryApiKey,
    /// The parameter made for tickets.
    QueryTicket,
    /// The same header twice.
    Twice,
    /// The parameter made for tickets, and a good header.
    QueryTicketAndHeader,
    Cookie,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    ApiKey,
    Token,
    /// Bought with an API key.
    TicketOfKey,
    /// Bought with a token.
    TicketOfToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Valid,
    /// Of the right form, and nobody's; a token that somebody else signed; a ticket sealed with another secret.
    Wrong,
    Expired,
    /// Good elsewhere: a key of another endpoint, a token for another audience, a ticket of another app.
    OfAnother,
    /// Nothing where the credential should be, or not encoded as its carrier demands.
    Malformed,
    /// Good until it was withdrawn: a key that was removed, a signing key that is no longer published, a ticket of a key
    /// that was removed or of a token that was admitted by rules that have changed.
    Revoked,
    /// A key without the permission to read, a token without a claim that the rules ask for; a ticket that such a caller
    /// bought when it still was admitted.
    Unentitled,
    /// A ticket that has opened a connection.
    Spent,
    /// A ticket in which one character was changed.
    Changed,
    /// A ticket that outlives the key or the token that it was bought with.
    CallerExpired,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Stream,
    Events,
    Alias,
    Channel,
    Tickets,
    Page,
}

/// How a gateway is configured.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub mode: AuthMode,
    pub anonymous: bool,
    pub in_url: QueryCredentials,
}

#[derive(Debug, Clone, Copy)]
pub struct Cell {
    pub rules: Rules,
    pub carrier: Carrier,
    pub kind: Kind,
    pub state: State,
    pub target: Target,
}

const CARRIERS: [Carrier; 10] = [
    Carrier::Nothing,
    Carrier::Bearer,
    Carrier::Basic,
    Carrier::Subprotocol,
    Carrier::QueryToken,
    Carrier::QueryApiKey,
    Carrier::QueryTicket,
    Carrier::Twice,
    Carrier::QueryTicketAndHeader,
    Carrier::Cookie,
];
const KINDS: [Kind; 4] = [Kind::ApiKey, Kind::Token, Kind::TicketOfKey, Kind::TicketOfToken];
const STATES: [State; 7] =
    [State::Valid, State::Wrong, State::Expired, State::OfAnother, State::Malformed, State::Revoked, State::Unentitled];
/// What only a ticket can be.
const STATES_OF_TICKETS: [State; 3] = [State::Spent, State::Changed, State::CallerExpired];
const TARGETS: [Target; 6] =
    [Target::Stream, Target::Events, Target::Alias, Target::Channel, Target::Tickets, Target::Page];
const MODES: [AuthMode; 4] = [AuthMode::ApiKey, AuthMode::Oidc, AuthMode::ApiKeyOrOidc, AuthMode::None];

impl Kind {
    /// What a ticket was bought with; anything else as it is.
    pub fn bought_with(self) -> Self {
        match self {
            Self::ApiKey | Self::TicketOfKey => Self::ApiKey,
            Self::Token | Self::TicketOfToken => Self::Token,
        }
    }

    pub fn is_ticket(self) -> bool {
        matches!(self, Self::TicketOfKey | Self::TicketOfToken)
    }

    fn states(self, carrier: Carrier) -> Vec<State> {
        match carrier {
            // There is nothing that could be in a state.
            Carrier::Nothing if self == Self::ApiKey => vec![State::Valid],
            Carrier::Nothing => Vec::new(),
            _ if self.is_ticket() => [&STATES[..], &STATES_OF_TICKETS].concat(),
            _ => STATES.to_vec(),
        }
    }
}

impl Target {
    pub fn is_websocket(self) -> bool {
        matches!(self, Self::Stream | Self::Alias | Self::Channel)
    }
}

impl Rules {
    /// Of every gateway of the matrix.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for mode in MODES {
            // A gateway without any credential is an open one, or none.
            for anonymous in [true, false].into_iter().filter(|anonymous| mode != AuthMode::None || *anonymous) {
                let in_url = [QueryCredentials::Denied, QueryCredentials::Allowed];
                all.extend(in_url.map(|in_url| Self { mode, anonymous, in_url }));
            }
        }
        all
    }

    /// Every cell of a gateway.
    pub fn cells(self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for carrier in CARRIERS {
            for kind in KINDS {
                for state in kind.states(carrier) {
                    cells.extend(TARGETS.map(|target| Cell { rules: self, carrier, kind, state, target }));
                }
            }
        }
        cells
    }
}
