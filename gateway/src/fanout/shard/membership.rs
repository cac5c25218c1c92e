//! Clients come, change their filter, and go; views exist as long as somebody is in them.

use super::client::{CatchUp, Client, ClientId, Join, Reading, Renewal, State};
use super::outbox::Outbox;
use super::{ClientSocket, Shard};
use crate::auth::{Principal, User};
use crate::encode::format::Envelope;
use crate::encode::frame::{self, Inbound};
use crate::fanout::view::{View, ViewSpec};
use crate::session::{Millis, NewToken, Output, Session};
use crate::stream::entry::Gap;
use crate::stream::feed::{Beginning, Generation};
use crate::stream::position::Position;
use headgate_wire::close::Retry;
use headgate_wire::message::ErrorCode;
use headgate_wire::{CloseReason, Filter};
use std::sync::Arc;

/// How long a closing client may take to read what is left for it and to answer the close, in milliseconds.
const CLOSE_TIMEOUT_MS: u64 = 5_000;

/// The same for a client that may no longer read, in milliseconds: its socket is gone soon, even if it takes nothing.
const ACCESS_END_TIMEOUT_MS: u64 = 750;

/// Told to a client whose filters would cost more than the pod has left.
const FILTERS_FULL: &str =
    "the filters of all clients take as much as they may; compare with exact values, which costs nothing, or try again";

impl<S: ClientSocket> Shard<S> {
    /// Takes a connection over; returns its id for the task that reads from it.
    pub fn join(&mut self, join: Join<S>) -> ClientId {
        let view = self.view_for(join.spec);
        let id = ClientId { index: self.clients.vacant_key(), serial: self.next_serial };
        self.next_serial += 1;
        join.audit.log_open();
        self.metrics.connections.inc();
        self.metrics.opened.inc();
        let slot = self.views[view].members.len();
        self.views[view].members.push(id.index);
        self.clients.insert(Client {
            id,
            socket: join.socket,
            view,
            slot,
            at: 0,
            boundary: 0,
            state: State::Closing { deadline: Millis(u64::MAX), linger: true },
            outbox: Outbox::new(&self.settings.budgets.outboxes),
            skipped_from: None,
            next_filters: None,
            blocked: false,
            takes_nothing_since: None,
            attended: false,
            session: Session::new(join.session, self.now),
            enforced: join.enforced,
            principal: join.principal,
            audit: join.audit,
            _permit: join.permit,
            frames_counted: 0,
            drain_at: self.draining.then_some(self.now),
            close_reason: None,
        });
        self.begin(id.index, join.start);
        id
    }

    fn begin(&mut self, index: usize, start: Beginning) {
        let Beginning { position, resumed, gaps, generation } = start;
        let ready = if gaps.is_empty() {
            Some(resumed)
        } else {
            self.tell_gaps(index, &position, &gaps);
            None
        };
        self.catch_up_from(index, position, ready, generation);
        if generation < self.generation {
            // The topic began again while the client was on its way: its position means nothing any more.
            self.close(index, CloseReason::Restart);
        }
        self.attend(index);
    }

    /// Says what is missing before `position`, after the message that must come first.
    fn tell_gaps(&mut self, index: usize, position: &Position, gaps: &[Gap]) {
        let client = &mut self.clients[index];
        let encoding = self.views[client.view].spec.encoding;
        let mut before = position.clone();
        for gap in gaps {
            before.set(gap.partition, gap.from);
        }
        let ready = self.encoder.ready(&before, &client.audit.session, false, encoding);
        client.outbox.push(ready);
        self.encoder.position_changed();
        for gap in gaps {
            let frame = self.encoder.gap(*gap, &self.settings.context, encoding, position);
            client.outbox.push(frame);
        }
        self.encoder.position_changed();
    }

    /// From now on the client reads its view's log, from its head.
    pub(super) fn stream_from_head(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let view = &mut self.views[client.view];
        if view.streaming == 0 {
            // The log had no readers and took nothing in; it begins anew where the stream stands.
            view.log.release(view.log.head());
            view.account();
            view.cursor_sent.clone_from(self.recent.head());
        }
        client.at = view.log.head();
        client.boundary = client.at;
        client.frames_counted = view.log.frames();
        client.state = State::Streaming;
        view.streaming += 1;
        // The sweep may have passed it in this circle already.
        view.hold(client.at);
        self.catching_up.remove(&index);
    }

    /// The client reads by itself, from a position that was taken when the stream had begun `generation` times.
    pub(super) fn catch_up_from(
        &mut self,
        index: usize,
        position: Position,
        ready: Option<bool>,
        generation: Generation,
    ) {
        let is_known = generation <= self.generation;
        let memory = self.recent.first_wanted(&position).filter(|_| is_known).map(Reading::Memory);
        let reading = memory.unwrap_or(Reading::Waiting);
        let catch_up = CatchUp { position, reading, ready_pending: ready, generation, waits_for_room: false };
        self.clients[index].state = State::CatchingUp(Box::new(catch_up));
        self.catching_up.insert(index);
        if is_known && reading == Reading::Waiting {
            self.replays.wait(index);
            self.start_replays_if_alone();
        }
    }

    fn view_for(&mut self, spec: ViewSpec) -> usize {
        if let Some(view) = self.by_spec.get(&spec) {
            return *view;
        }
        let index = self.views.insert(View::new(spec.clone(), &self.settings.budgets));
        self.router.insert(index, &spec);
        self.by_spec.insert(spec, index);
        self.metrics.views.set(self.views.len() as i64);
        index
    }

    /// Something came from a client.
    pub fn inbound(&mut self, id: ClientId, inbound: Result<Inbound, CloseReason>) {
        let now = self.now;
        let Some(client) = self.client(id) else { return };
        if let State::Closing { linger, .. } = &mut client.state {
            // With the answer to our close, or after it a breach of the protocol, nothing more is owed but what is unsent:
            // a client that broke the protocol with its close frame has not had ours yet.
            if matches!(inbound, Ok(Inbound::Close(_)) | Err(_)) {
                *linger = false;
                self.attend(id.index);
            }
            return;
        }
        let output = match inbound {
            Ok(message) => client.session.on_inbound(now, message),
            Err(reason) => client.session.on_protocol_error(reason),
        };
        self.carry_out(id.index, output);
    }

    /// The connection is gone: the client left or its path broke.
    pub fn gone(&mut self, id: ClientId) {
        if self.client(id).is_some() {
            self.remove(id.index);
        }
    }

    pub(super) fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::Nothing => {}
            Output::Send(answer) => self.answer(index, &answer),
            Output::Close(reason) => self.begin_closing(index, reason, &[], true),
            Output::PeerClosed(code) => {
                self.begin_closing(index, CloseReason::Bye, &frame::close_echo_frame(code), false);
            }
            Output::Renew(NewToken(token)) => {
                if let Some(client) = self.clients.get(index) {
                    self.renewals.push(Renewal { client: client.id, principal: client.principal.clone(), token });
                }
            }
            Output::Filter(filters) => self.take_filters(index, filters),
        }
    }

    /// Remembers the filters that a client changes to, unless they cost more than the pod has left.
    fn take_filters(&mut self, index: usize, filters: Vec<Filter>) {
        let Some(client) = self.clients.get_mut(index) else { return };
        let spec = &self.views[client.view].spec;
        let spec = spec.with_filters(client.enforced.iter().cloned().chain(filters.iter().cloned()).collect());
        let comparisons = if self.by_spec.contains_key(&spec) { 0 } else { spec.comparisons() };
        if comparisons > 0 && !self.settings.budgets.filters.has_room(comparisons) {
            self.metrics.budget_full("filters");
            let output = client.session.on_refused(ErrorCode::TryLater, FILTERS_FULL.to_owned());
            return self.carry_out(index, output);
        }
        client.next_filters = Some(filters);
        self.change_filter(index);
    }

    /// Puts an answer in line. A client that causes more answers than it reads is closed.
    fn answer(&mut self, index: usize, frame: &[u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if client.outbox.push_answer(frame) {
            self.attend(index);
        } else {
            self.metrics.slow_clients.inc();
            self.close(index, CloseReason::TooSlow);
        }
    }

    /// What became of a client's newer token: who it is now and until when, or the answer that refuses it.
    pub fn renewed(&mut self, id: ClientId, outcome: Result<(Arc<User>, Millis), (ErrorCode, String)>) {
        let Some(client) = self.client(id) else { return };
        let output = match outcome {
            // It is good, and changes nothing: the connection is not cut short by an older one.
            Ok((user, _)) if client.principal.expires_at() > Some(user.expires_at) => {
                let expires_at = client.principal.expires_at().map(|end| end.to_string()).unwrap_or_default();
                client.session.on_kept(expires_at)
            }
            Ok((user, end)) => {
                let principal = Principal::User(user);
                if principal.has_same_rights(&client.principal) {
                    let expires_at = principal.expires_at().map(|end| end.to_string()).unwrap_or_default();
                    client.audit.log_renewed(&expires_at);
                    client.principal = principal;
                    client.session.on_renewed(end, expires_at)
                } else {
                    // A new connection gets the new rights from its first record on.
                    client.session.close(CloseReason::AccessChanged)
                }
            }
            Err((code, message)) => client.session.on_refused(code, message),
        };
        self.carry_out(id.index, output);
    }

    /// Tokens that clients sent since the last call.
    pub fn take_renewals(&mut self) -> Vec<Renewal> {
        std::mem::take(&mut self.renewals)
    }

    /// Closes a client for a reason of ours.
    pub(super) fn close(&mut self, index: usize, reason: CloseReason) {
        if let Some(client) = self.clients.get_mut(index) {
            let output = client.session.close(reason);
            self.carry_out(index, output);
        }
    }

    /// Lets the client finish the frame that it is in, says why, and gives it a bounded time to go.
    fn begin_closing(&mut self, index: usize, reason: CloseReason, echo: &[u8], linger: bool) {
        let Some(client) = self.clients.get_mut(index).filter(|client| !client.is_closing()) else { return };
        let view = &self.views[client.view];
        client.leave_log(&view.log);
        let encoding = view.spec.encoding;
        let linger = linger && encoding.envelope != Envelope::ServerSentEvents;
        let last = if echo.is_empty() { self.encoder.close(reason, encoding) } else { echo };
        client.outbox.push(last);
        // Nothing may follow the close frame. What it missed is not lost: its cursor is older.
        client.skipped_from = None;
        client.close_reason = Some(reason);
        let timeout =
            if reason.retry() == Retry::WithNewCredentials { ACCESS_END_TIMEOUT_MS } else { CLOSE_TIMEOUT_MS };
        let deadline = Millis(self.now.0 + timeout);
        self.leave_state(index, State::Closing { deadline, linger });
        self.attend(index);
    }

    /// Forgets a closing client that has got everything and need not answer.
    pub(super) fn finish_closing(&mut self, index: usize) {
        if let Some(client) = self.clients.get(index)
            && matches!(client.state, State::Closing { linger: false, .. })
        {
            self.remove(index);
        }
    }

    /// Moves a client to the view of its new filter, if it stands at an exact position: while it catches up, or once it
    /// has everything that its view has shown. Until then, this is tried again after each write.
    pub(super) fn change_filter(&mut self, index: usize) {
        let Some(client) = self.clients.get(index).filter(|client| !client.is_closing()) else { return };
        let position = match &client.state {
            State::CatchingUp(catch_up) => catch_up.position.clone(),
            _ if client.at == self.views[client.view].log.head() => self.recent.head().clone(),
            _ => return,
        };
        // What it missed comes before anything of its new filter.
        self.write_skipped(index);
        let Some(client) = self.clients.get_mut(index) else { return };
        let view = &self.views[client.view];
        let Some(own) = client.next_filters.take() else { return };
        let filters = client.enforced.iter().cloned().chain(own).collect();
        let spec = view.spec.with_filters(filters);
        let (ready, generation) = match &client.state {
            State::CatchingUp(catch_up) => (catch_up.ready_pending, catch_up.generation),
            _ => (None, self.generation),
        };
        self.leave_state(index, State::Closing { deadline: Millis(u64::MAX), linger: true });
        self.leave_view(index);
        let view = self.view_for(spec);
        let client = &mut self.clients[index];
        client.view = view;
        client.slot = self.views[view].members.len();
        client.at = 0;
        client.boundary = 0;
        self.views[view].members.push(index);
        self.catch_up_from(index, position, ready, generation);
        self.attend(index);
    }

    /// Changes a client's state and the counts that depend on it.
    fn leave_state(&mut self, index: usize, next: State) {
        let Some(client) = self.clients.get_mut(index) else { return };
        match std::mem::replace(&mut client.state, next) {
            State::Streaming => self.views[client.view].streaming -= 1,
            State::CatchingUp(catch_up) => {
                self.catching_up.remove(&index);
                if let Reading::Replay(id, _) = catch_up.reading {
                    self.replays.leave(id, index);
                }
            }
            State::Closing { .. } => {}
        }
    }

    fn leave_view(&mut self, index: usize) {
        let (view_index, slot) = (self.clients[index].view, self.clients[index].slot);
        let view = &mut self.views[view_index];
        view.members.swap_remove(slot);
        if let Some(moved) = view.members.get(slot).copied() {
            self.clients[moved].slot = slot;
            if self.clients[moved].is_streaming() {
                // The sweep may not meet it again in this circle.
                view.hold(self.clients[moved].at);
            }
        }
        view.begin_circle();
        if view.members.is_empty() {
            let view = self.views.remove(view_index);
            self.router.remove(view_index, &view.spec);
            self.by_spec.remove(&view.spec);
            self.to_sweep.retain(|queued| *queued != view_index);
            self.metrics.views.set(self.views.len() as i64);
        }
    }

    /// Forgets a client and ends its connection.
    pub(super) fn remove(&mut self, index: usize) {
        if !self.clients.contains(index) {
            return;
        }
        self.leave_state(index, State::Closing { deadline: Millis(0), linger: false });
        self.leave_view(index);
        let client = self.clients.remove(index);
        client.socket.shutdown();
        client.audit.log_close(client.close_reason);
        self.metrics.connections.dec();
        self.metrics.closed(client.close_reason);
    }
}
