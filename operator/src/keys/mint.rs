//! New keys.
//!
//! Owns that no two keys of an endpoint have one id, by which gateways and logs tell them apart.

use super::{Context, Entropy, layout};
use headgate_wire::key;
use std::collections::BTreeSet;
use std::fmt;

/// How often an id that is taken is drawn again. Ids have 47 bits, so that once is more than enough.
const MAX_DRAWS: usize = 4;

/// Makes keys from entropy.
pub(super) struct Mint<'a> {
    taken: BTreeSet<String>,
    entropy: &'a mut dyn FnMut() -> Entropy,
}

impl fmt::Debug for Mint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mint").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl<'a> Mint<'a> {
    /// A mint that knows every id that the endpoint has already.
    pub(super) fn new(context: &Context<'_>, entropy: &'a mut dyn FnMut() -> Entropy) -> Self {
        let names = context.endpoint.auth.keys().iter().map(|key| key.name.to_string());
        let secrets = context.inputs.secrets.iter().chain(context.inputs.brought);
        Self { taken: names.chain(secrets.flat_map(layout::ids)).collect(), entropy }
    }

    /// The text of a new key; `None` if the entropy repeats itself, which must not go unnoticed.
    pub(super) fn key(&mut self) -> Option<String> {
        (0..MAX_DRAWS).find_map(|_| {
            let Entropy { id, secret } = (self.entropy)();
            let (id, text) = key::mint(id, &secret);
            self.taken.insert(id).then_some(text)
        })
    }
}
