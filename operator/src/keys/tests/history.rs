//! Random lives of keys: time passes, specs change, Secrets vanish, and the operator dies between any two writes.
//!
//! The store knows what was written; the `Record` knows, from what happened alone, which texts must open the stream.

use super::*;
use headgate_crds::names::LABEL_KEY;
use proptest::prelude::*;

const NAMES: [&str; 3] = ["etl", "iot", "web"];

/// How the spec lists one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Not,
    Issued,
    Until(u32),
    Digest,
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u32),
    List(usize, Listed),
    Rotation(Option<(u32, u32)>),
    Ask(u8),
    AskFor(usize, u8),
    DeleteSecret(usize),
    EraseEntry(usize),
    Bring(usize, bool),
    StopBringing(usize),
    Occupy(usize),
    Vacate(usize),
    /// Stops after so many writes; more than there are = to the end.
    Reconcile(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let index = 0..NAMES.len();
    let listed = prop_oneof![
        1 => Just(Listed::Not),
        3 => Just(Listed::Issued),
        1 => (1..200_000u32).prop_map(Listed::Until),
        1 => Just(Listed::Digest)
    ];
    prop_oneof![
        3 => (1..50_000u32).prop_map(Step::Pass),
        2 => (index.clone(), listed).prop_map(|(index, listed)| Step::List(index, listed)),
        1 => prop::option::of((3600..100_000u32, 0..3600u32)).prop_map(Step::Rotation),
        2 => any::<u8>().prop_map(Step::Ask),
        1 => (index.clone(), any::<u8>()).prop_map(|(index, nonce)| Step::AskFor(index, nonce)),
        1 => index.clone().prop_map(Step::DeleteSecret),
        1 => index.clone().prop_map(Step::EraseEntry),
        1 => (index.clone(), any::<bool>()).prop_map(|(index, good)| Step::Bring(index, good)),
        1 => index.clone().prop_map(Step::StopBringing),
        1 => index.clone().prop_map(Step::Occupy),
        1 => index.prop_map(Step::Vacate),
        8 => (0..6usize).prop_map(Step::Reconcile),
    ]
}

/// A text that Headgate issued.
#[derive(Debug, Clone)]
struct Record {
    key: usize,
    text: String,
    /// When its overlap ends, once it was replaced.
    ends: Option<Timestamp>,
    replaced_at: Option<Timestamp>,
    /// Its Secret is gone, or the key in it: nothing can bring it back.
    revoked: bool,
}

struct World {
    now: Timestamp,
    template: Endpoint,
    listed: [Listed; 3],
    rotation: Option<Rotation>,
    nonce: Option<String>,
    secrets: BTreeMap<String, Secret>,
    brought: BTreeMap<usize, Secret>,
    verifiers: VerifierFile,
    records: Vec<Record>,
    /// When the verifier was last written.
    verified_at: Option<Timestamp>,
    counter: u64,
}

impl World {
    fn new() -> Self {
        Self {
            now: start(),
            template: endpoint(Vec::new()),
            listed: [Listed::Not, Listed::Not, Listed::Issued],
            rotation: None,
            nonce: None,
            secrets: BTreeMap::new(),
            brought: BTreeMap::new(),
            verifiers: VerifierFile::default(),
            records: Vec::new(),
            verified_at: None,
            counter: 0,
        }
    }

    fn endpoint(&self) -> Endpoint {
        let keys = (0..NAMES.len()).filter_map(|index| {
            let key = key(NAMES[index]);
            Some(match self.listed[index] {
                Listed::Not => return None,
                Listed::Issued => key,
                Listed::Until(seconds) => Key { expires_at: Some(later(start(), seconds)), ..key },
                Listed::Digest => Key { digest: Some(KeyDigest::of(&owners_text(index))), ..key },
            })
        });
        let auth = Authentication::ApiKeys(keys.collect());
        Endpoint { auth, rotation: self.rotation, ..self.template.clone() }
    }

    fn plan_at(&mut self, now: Timestamp) -> KeyPlan {
        let endpoint = self.endpoint();
        let secrets: Vec<Secret> = self.secrets.values().cloned().collect();
        let brought: Vec<Secret> = self.brought.values().cloned().collect();
        let inputs = KeyInputs {
            secrets: &secrets,
            brought: &brought,
            tickets: None,
            rotate: self.nonce.as_deref(),
            url: Some(URL),
        };
        let counter = &mut self.counter;
        plan(&endpoint, &inputs, now, &mut || entropy(counter))
    }

    fn act(&mut self, step: &Step) {
        match step {
            Step::Pass(seconds) => self.now = later(self.now, *seconds),
            Step::List(index, listed) => self.listed[*index] = *listed,
            Step::Rotation(rotation) => {
                self.rotation =
                    rotation.map(|(after, overlap)| Rotation { after_seconds: after, overlap_seconds: overlap });
            }
            Step::Ask(nonce) => self.nonce = Some(nonce.to_string()),
            Step::AskFor(index, nonce) => {
                if let Some(secret) = self.ours(*index) {
                    let annotations = secret.metadata.annotations.get_or_insert_default();
                    annotations.insert(names::ANNOTATION_ROTATE.to_owned(), nonce.to_string());
                }
            }
            Step::DeleteSecret(index) => {
                if self.ours(*index).is_some() {
                    self.secrets.remove(&secret_name(*index));
                    self.revoke(|record| record.key == *index);
                }
            }
            Step::EraseEntry(index) => {
                if let Some(secret) = self.ours(*index) {
                    secret.data.as_mut().unwrap().remove(ENTRY_API_KEY);
                    self.revoke(|record| record.key == *index && record.ends.is_none());
                }
            }
            Step::Bring(index, good) => {
                let text = if *good { brought_text(*index) } else { "too short".to_owned() };
                self.brought.insert(*index, brought(&format!("vault-{index}"), NAMES[*index], &text));
            }
            Step::StopBringing(index) => drop(self.brought.remove(index)),
            Step::Occupy(index) => {
                self.secrets.entry(secret_name(*index)).or_insert_with(|| foreign(&secret_name(*index)));
            }
            Step::Vacate(index) => {
                if self.ours(*index).is_none() {
                    self.secrets.remove(&secret_name(*index));
                }
            }
            Step::Reconcile(writes) => self.reconcile(*writes),
        }
    }

    fn ours(&mut self, index: usize) -> Option<&mut Secret> {
        self.secrets.get_mut(&secret_name(index)).filter(|secret| layout::is_owned(secret, UID))
    }

    fn revoke(&mut self, which: impl Fn(&Record) -> bool) {
        self.records.iter_mut().filter(|record| which(record)).for_each(|record| record.revoked = true);
    }

    /// What the operator does, in its order: Secrets that are made or replaced, the verifier, Secrets that go.
    fn reconcile(&mut self, writes: usize) {
        let plan = self.plan_at(self.now);
        self.nothing_leaks(&plan);
        let (last, first): (Vec<_>, Vec<_>) =
            plan.changes.iter().cloned().partition(|change| matches!(change, SecretChange::Delete(_)));
        let before = self.opening();
        let mut left = writes;
        for change in first {
            if left == 0 {
                return self.nothing_is_lost(&before);
            }
            left -= 1;
            self.write(change);
        }
        if left == 0 {
            return self.nothing_is_lost(&before);
        }
        left -= 1;
        self.verifiers = plan.verifiers.clone();
        self.verified_at = Some(self.now);
        self.exactly_the_right_texts_open();
        for change in last {
            if left == 0 {
                return;
            }
            left -= 1;
            self.write(change);
        }
        self.is_settled(&plan);
    }

    fn write(&mut self, change: SecretChange) {
        let name = change.secret().metadata.name.clone().unwrap();
        let index = NAMES.iter().position(|key| secret_name_of(key) == name).unwrap();
        let found = self.secrets.get(&name).cloned();
        assert!(found.as_ref().is_none_or(|secret| layout::is_owned(secret, UID)), "{name} is not ours");
        match change {
            SecretChange::Create(secret) => {
                assert_eq!(found, None);
                self.issue(index, &secret);
            }
            SecretChange::Replace(secret) => {
                let old = found.unwrap();
                let had = old.data.as_ref().unwrap().contains_key(ENTRY_API_KEY);
                if !had || text(&old) != text(&secret) {
                    let overlap = self.rotation.map_or(86_400, |rotation| rotation.overlap_seconds);
                    let ends = later(self.now, overlap);
                    let present =
                        |record: &&mut Record| record.key == index && record.ends.is_none() && !record.revoked;
                    for record in self.records.iter_mut().filter(present) {
                        // Without an overlap, the next verifier ends the key, as if it had been deleted.
                        record.replaced_at = Some(self.now);
                        (record.ends, record.revoked) = ((overlap > 0).then_some(ends), overlap == 0);
                    }
                    self.issue(index, &secret);
                } else {
                    self.secrets.insert(name, secret);
                }
            }
            SecretChange::Delete(_) => {
                self.secrets.remove(&name);
                self.revoke(|record| record.key == index);
            }
        }
    }

    fn issue(&mut self, index: usize, secret: &Secret) {
        assert_eq!(secret.metadata.labels.as_ref().unwrap()[LABEL_KEY], NAMES[index]);
        self.records.push(Record { key: index, text: text(secret), ends: None, replaced_at: None, revoked: false });
        self.secrets.insert(secret_name(index), secret.clone());
    }

    fn opens(&self, text: &str) -> bool {
        let digest = KeyDigest::of(text);
        self.verifiers.keys.iter().any(|key| key.digest == digest && key.expires_at.is_none_or(|end| end > self.now))
    }

    fn opening(&self) -> Vec<usize> {
        (0..self.records.len()).filter(|index| self.opens(&self.records[*index].text)).collect()
    }

    fn should_open(&self, record: &Record) -> bool {
        let expired = |seconds| later(start(), seconds) <= self.now;
        let listed = match self.listed[record.key] {
            Listed::Until(seconds) => !expired(seconds),
            Listed::Issued => true,
            Listed::Not | Listed::Digest => false,
        };
        let is_brought = self.brought.get(&record.key).is_some_and(|secret| text(secret) != "too short");
        listed && !is_brought && !record.revoked && record.ends.is_none_or(|end| end > self.now)
    }

    /// Before the verifier is written, whatever opened the stream opens it still.
    fn nothing_is_lost(&self, before: &[usize]) {
        assert_eq!(self.opening(), before);
    }

    fn exactly_the_right_texts_open(&self) {
        for record in &self.records {
            assert_eq!(self.opens(&record.text), self.should_open(record), "{record:?} at {}", self.now);
        }
        for index in 0..NAMES.len() {
            assert_eq!(self.opens(&owners_text(index)), self.listed[index] == Listed::Digest);
            if matches!(self.listed[index], Listed::Not | Listed::Digest) {
                assert!(!self.opens(&brought_text(index)));
            }
        }
        assert!(!self.opens("too short"));
        let ids: BTreeSet<&str> = self.verifiers.keys.iter().map(|key| key.id.as_str()).collect();
        assert_eq!(ids.len(), self.verifiers.keys.len());
    }

    /// What has ended is closed by the gateways themselves, whether or not the operator lives, once they know the end.
    fn nothing_outlives_its_end(&self) {
        let is_over = |record: &&Record| record.ends.is_some_and(|end| end <= self.now);
        let is_known = |record: &&Record| record.replaced_at < self.verified_at;
        for record in self.records.iter().filter(is_over).filter(is_known) {
            assert!(!self.opens(&record.text), "{record:?} at {}", self.now);
        }
    }

    fn is_settled(&mut self, plan: &KeyPlan) {
        let again = self.plan_at(self.now);
        assert_eq!(again.changes, []);
        assert_eq!(
            (&again.verifiers, &again.states, again.next_change),
            (&plan.verifiers, &plan.states, plan.next_change)
        );
        if let Some(next) = plan.next_change {
            assert!(next > self.now);
            let just_before = next - SignedDuration::from_secs(1);
            if just_before > self.now {
                let same = self.plan_at(just_before);
                assert_eq!((same.changes, &same.states), (Vec::new(), &plan.states));
            }
        }
    }

    fn nothing_leaks(&self, plan: &KeyPlan) {
        let mut shown = format!("{plan:?} {:?} {:?} {:?}", plan.events, plan.problems, plan.states);
        shown.push_str(&serde_json::to_string(&plan.verifiers).unwrap());
        shown.push_str(&serde_json::to_string(&plan.states).unwrap());
        for change in &plan.changes {
            shown.push_str(&serde_json::to_string(&change.secret().metadata).unwrap());
        }
        let made = plan.changes.iter().filter(|change| !matches!(change, SecretChange::Delete(_)));
        let texts = (self.records.iter().map(|record| record.text.clone()))
            .chain((0..NAMES.len()).flat_map(|index| [brought_text(index), owners_text(index)]))
            .chain(made.map(|change| text(change.secret())));
        for text in texts {
            let secret = text.rsplit('_').next().unwrap();
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
    }
}

fn secret_name_of(key: &str) -> String {
    format!("orders-key-{key}")
}

fn secret_name(index: usize) -> String {
    secret_name_of(NAMES[index])
}

fn brought_text(index: usize) -> String {
    format!("brought by the owner of {}", NAMES[index])
}

fn owners_text(index: usize) -> String {
    format!("kept by the owner of {}", NAMES[index])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_key_is_accepted_until_it_is_revoked_has_expired_or_its_overlap_has_ended_and_never_after(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        for step in &steps {
            let foreign: BTreeMap<String, Secret> = (world.secrets.iter())
                .filter(|(_, secret)| !layout::is_owned(secret, UID))
                .map(|(name, secret)| (name.clone(), secret.clone()))
                .collect();
            world.act(step);
            world.nothing_outlives_its_end();
            if matches!(step, Step::Reconcile(_)) {
                for (name, secret) in &foreign {
                    prop_assert_eq!(world.secrets.get(name), Some(secret));
                }
            }
        }
        world.reconcile(usize::MAX);
    }
}
