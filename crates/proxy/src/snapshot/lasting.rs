//! What lasts about a rule from one snapshot to the next.

use std::sync::{Arc, Weak, atomic::AtomicU64};

use ir::{RateLimit, Rule, RuleKey, StreamRule};
use parking_lot::Mutex;

use super::Table;
use crate::policy::limit::{Bucket, InFlight};

/// So few rules that are gone do not matter.
const FEW: usize = 256;

/// What lasts about every rule, handed from one snapshot to the next. A snapshot that has only some rules anew looks up
/// only those.
#[derive(Clone, Default)]
pub(super) struct Rules(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Rules that are gone are still in here for a while, though not what lasts about them.
    rules: Table<RuleKey, Weak<Lasting>>,
    /// With this many it is time to look which of them are gone.
    full: usize,
}

impl Rules {
    /// What lasts about a rule that is new, or not what it was.
    pub(super) fn lasting(&self, rule: &Rule) -> Arc<Lasting> {
        self.kept(&rule.key, |before| Lasting::of(rule, before))
    }

    /// What lasts about a rule for streams.
    pub(super) fn lasting_stream(&self, rule: &StreamRule) -> Arc<Lasting> {
        self.kept(&rule.key, |before| before.cloned().unwrap_or_default())
    }

    fn kept(
        &self,
        key: &RuleKey,
        make: impl FnOnce(Option<&Arc<Lasting>>) -> Arc<Lasting>,
    ) -> Arc<Lasting> {
        let mut known = self.0.lock();
        let before = known.rules.get(key).and_then(Weak::upgrade);
        let now = make(before.as_ref());
        if !before.is_some_and(|before| Arc::ptr_eq(&before, &now)) {
            known.rules.insert(key.clone(), Arc::downgrade(&now));
            known.tidy();
        }
        now
    }
}

impl Known {
    /// Lets go of rules that are gone, once they may be half of all: each insertion pays for a few looks.
    fn tidy(&mut self) {
        if self.rules.len() > self.full.max(FEW) {
            self.rules.retain(|_, lasting| lasting.strong_count() > 0);
            self.full = self.rules.len() * 2;
        }
    }
}

/// What lasts about a rule: how far its split and its mirrors have come, and what is left in its buckets.
#[derive(Default)]
pub(super) struct Lasting {
    pub(super) positions: Arc<Positions>,
    /// One for each rate limit, in order.
    pub(super) buckets: Vec<Arc<Bucket>>,
    /// Where the rule limits what clients have in flight.
    pub(super) in_flight: Option<Arc<InFlight>>,
}

#[derive(Default)]
pub(super) struct Positions {
    pub(super) split: AtomicU64,
    pub(super) mirror: AtomicU64,
}

impl Lasting {
    /// What a rule needs, with what is known from before. A bucket is kept for as long as its limit
    /// stays the same, whoever is exempt from it.
    pub(super) fn of(rule: &Rule, before: Option<&Arc<Self>>) -> Arc<Self> {
        let limits = || rule.gates.rates.iter();
        let counts = rule.gates.concurrency.is_some();
        if let Some(before) = before
            && before.in_flight.is_some() == counts
            && before
                .buckets
                .iter()
                .map(|bucket| bucket.limit())
                .eq(limits())
        {
            return Arc::clone(before);
        }
        let in_flight = before.and_then(|before| before.in_flight.clone());
        let mut known = before.map_or_else(Vec::new, |before| before.buckets.clone());
        Arc::new(Self {
            positions: before
                .map(|before| Arc::clone(&before.positions))
                .unwrap_or_default(),
            buckets: limits().map(|limit| bucket(limit, &mut known)).collect(),
            in_flight: counts.then(|| in_flight.unwrap_or_else(|| Arc::new(InFlight::new()))),
        })
    }
}

/// The bucket for a limit: the one that it had, or a full one.
fn bucket(limit: &RateLimit, known: &mut Vec<Arc<Bucket>>) -> Arc<Bucket> {
    let same = known.iter().position(|bucket| bucket.limit() == limit);
    let alike = || {
        known
            .iter()
            .position(|bucket| bucket.limit().same_bucket(limit))
    };
    let Some(at) = same.or_else(alike) else {
        return Arc::new(Bucket::new(limit));
    };
    let bucket = known.swap_remove(at);
    match bucket.limit() == limit {
        true => bucket,
        false => Arc::new(bucket.for_others(limit)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ir::{Action, Rule, RuleKey};

    use super::{FEW, Rules};

    #[test]
    fn what_lasts_is_found_by_the_rule_s_key_and_what_is_gone_is_let_go() {
        let rule = |name: &str| {
            let action = Action::Respond {
                status: http::StatusCode::NOT_FOUND,
                reason: ir::Reason::NoBackend,
            };
            Rule::new(RuleKey(name.into()), "HTTPRoute/n/r".into(), action)
        };
        let rules = Rules::default();
        let kept = rules.lasting(&rule("kept"));
        for at in 0..10 * FEW {
            drop(rules.lasting(&rule(&format!("gone-{at}"))));
        }
        assert!(Arc::ptr_eq(&kept, &rules.clone().lasting(&rule("kept"))));
        assert!(rules.0.lock().rules.len() <= FEW + 1);
    }
}
