//! What time brings: pings, cursors for quiet clients, expiry, deadlines, the drain.

use super::client::State;
use super::{ClientSocket, Shard};
use crate::auth::Principal;
use crate::encode::format::Envelope;
use crate::encode::frame;
use crate::fanout::budget::Budgets;
use crate::session::Millis;
use headgate_wire::CloseReason;

/// What a server-sent-events client gets instead of a ping (WHATWG HTML, section 9.2: a comment line).
const SSE_PING: &[u8] = b": ping\n\n";
/// A client whose socket takes nothing for this long although there is something to send is closed, whatever it sends
/// meanwhile: what it has not read is memory that others need. In milliseconds.
const TAKES_NOTHING_MS: u64 = 30_000;
/// A drain sends its last client away after this share of its window, so that closing handshakes fit in.
const DRAIN_SPREAD_PERCENT: u64 = 80;
/// Told to clients that a restart sends away: long enough that they do not all meet the next gateway at once.
const DRAIN_RETRY_AFTER_MS: u64 = 500;

impl<S: ClientSocket> Shard<S> {
    /// Does what is due. Call it a few times a second.
    pub fn tick(&mut self) {
        if self.now >= self.next_ping {
            self.next_ping = Millis(self.now.0 + self.settings.ping_interval.as_millis() as u64);
            self.ping();
        }
        self.send_cursors();
        for index in self.clients.iter().map(|(index, _)| index).collect::<Vec<_>>() {
            self.tick_client(index);
        }
        self.arrange_replays();
        self.bound_all_logs();
        self.give_room();
        self.report();
    }

    fn report(&mut self) {
        self.metrics.replays_running.set(self.replays.len() as i64);
        let Budgets { logs, outboxes, replays, relays, .. } = &self.settings.budgets;
        self.metrics.log_bytes.set(logs.used() as i64);
        for (name, budget) in [("logs", logs), ("outboxes", outboxes), ("replays", replays), ("relays", relays)] {
            self.metrics.budget(name, budget.used());
        }
    }

    fn tick_client(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index) else { return };
        if let State::Closing { deadline, .. } = client.state {
            if self.now >= deadline {
                self.remove(index);
            }
            return;
        }
        let takes_nothing = client.takes_nothing_since.is_some_and(|since| self.now.0 - since.0 > TAKES_NOTHING_MS);
        let output = if takes_nothing {
            self.metrics.slow_clients.inc();
            client.session.close(CloseReason::TooSlow)
        } else {
            client.session.on_tick(self.now)
        };
        let drain_now = client.drain_at.is_some_and(|at| self.now >= at);
        self.carry_out(index, output);
        if drain_now {
            self.send_away(index);
        }
    }

    /// One ping frame serves all members of a view.
    fn ping(&mut self) {
        let websocket_ping = frame::ping_frame(&[]);
        let ping = |envelope| if envelope == Envelope::ServerSentEvents { SSE_PING } else { &websocket_ping[..] };
        for index in self.views.iter().map(|(index, _)| index).collect::<Vec<_>>() {
            let view = &mut self.views[index];
            if view.streaming > 0 {
                view.log.append_notice(ping(view.spec.encoding.envelope), self.recent.head());
                view.account();
                self.bound_log(index);
                self.queue_sweep(index);
            }
        }
        for index in self.catching_up.iter().copied().collect::<Vec<_>>() {
            let client = &mut self.clients[index];
            if client.outbox.is_empty() {
                client.outbox.push(ping(self.views[client.view].spec.encoding.envelope));
                self.attend(index);
            }
        }
    }

    /// Clients whose view shows little, or whose events carry no cursor, still learn how far the stream is.
    fn send_cursors(&mut self) {
        for index in self.views.iter().map(|(index, _)| index).collect::<Vec<_>>() {
            let view = &mut self.views[index];
            if view.streaming == 0 || self.now < view.next_cursor || view.cursor_sent == *self.recent.head() {
                continue;
            }
            let frame = self.encoder.cursor(self.recent.head(), view.spec.encoding);
            if !frame.is_empty() {
                view.log.append_notice(frame, self.recent.head());
                view.account();
                view.cursor_sent.clone_from(self.recent.head());
                view.next_cursor = Millis(self.now.0 + super::CURSOR_INTERVAL_MS);
                self.queue_sweep(index);
            }
        }
    }

    /// Closes the clients that `check` no longer admits.
    pub fn revalidate(&mut self, check: &dyn Fn(&Principal) -> Result<(), CloseReason>) {
        for index in self.clients.iter().map(|(index, _)| index).collect::<Vec<_>>() {
            let Some(client) = self.clients.get_mut(index) else { continue };
            if let Err(reason) = check(&client.principal) {
                let output = client.session.on_revoked(reason);
                self.carry_out(index, output);
            }
        }
    }

    /// Sends every client elsewhere, spread over `window_ms`, each with its cursor.
    pub fn drain(&mut self, window_ms: u64) {
        self.draining = true;
        let spread = window_ms * DRAIN_SPREAD_PERCENT / 100;
        for (_, client) in &mut self.clients {
            let share = scatter(client.id.serial) % (spread + 1);
            client.drain_at = Some(Millis(self.now.0 + share));
        }
    }

    fn send_away(&mut self, index: usize) {
        let Some(client) = self.clients.get_mut(index).filter(|client| !client.is_closing()) else { return };
        client.drain_at = None;
        let view = &self.views[client.view];
        client.leave_log(&view.log);
        let position = match &client.state {
            State::CatchingUp(catch_up) => &catch_up.position,
            // What it missed by being slow is not lost: it can have it elsewhere.
            _ if client.skipped_from.is_some() => {
                &client.skipped_from.take().map(|from| from.position).unwrap_or_default()
            }
            _ => &view.log.position_at(client.at).unwrap_or_else(|| self.recent.head().clone()),
        };
        let frame = self.encoder.draining(position, DRAIN_RETRY_AFTER_MS, view.spec.encoding);
        client.outbox.push(frame);
        self.close(index, CloseReason::Restart);
    }
}

/// Spreads neighbouring numbers evenly (the finaliser of SplitMix64).
pub(super) fn scatter(serial: u64) -> u64 {
    let mut z = serial.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
