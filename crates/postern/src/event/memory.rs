//! Which Events are due. Pure: time comes in as an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::finding::Finding;
use crate::apply::hash;

/// Events are kept for an hour (`--event-ttl` of the API server): what lasts is said again before that, in seconds.
const AGAIN: i64 = 45 * 60;
/// Between looks whether something is to be said again.
const LOOK: Duration = Duration::from_secs(60);
/// What may be gone in a moment has to hold for this long.
const SETTLE: Duration = Duration::from_secs(5);

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Names of Events that were sent.
    sent: BTreeSet<String>,
    /// Since when what may be gone in a moment has been there, by what it says.
    since: BTreeMap<u64, Instant>,
}

/// What is to be done.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Due {
    /// By name of the Event.
    pub(super) events: Vec<(String, Finding)>,
    /// Look again after this long, if nothing happens.
    pub(super) again: Option<Duration>,
}

impl Memory {
    /// What has not been said, or long ago. What holds no more may be said again. `unix` is the time in seconds.
    pub(super) fn due(&mut self, findings: Vec<Finding>, unix: i64, now: Instant) -> Due {
        let (mut due, mut said) = (Due::default(), BTreeSet::new());
        let mut since = BTreeMap::new();
        for finding in findings {
            let what = format!("{} {} {}", finding.uid, finding.reason, finding.text);
            let what = hash(what.as_bytes());
            if finding.fleeting {
                let first = self.since.get(&what).copied().unwrap_or(now);
                since.insert(what, first);
                if now.duration_since(first) < SETTLE {
                    due.look_in(SETTLE);
                    continue;
                }
            }
            if finding.lasting {
                due.look_in(LOOK);
            }
            let name = name(&finding, what, unix);
            if said.insert(name.clone()) && !self.sent.contains(&name) {
                due.events.push((name, finding));
            }
        }
        (self.sent, self.since) = (said, since);
        due
    }

    /// The Event could not be written.
    pub(super) fn unsent(&mut self, name: &str) {
        self.sent.remove(name);
    }
}

impl Due {
    fn look_in(&mut self, time: Duration) {
        self.again = Some(self.again.map_or(time, |again| again.min(time)));
    }
}

/// The name follows from what is said: a replica that says it again finds it said. What lasts has another name each
/// time; not everything has it at the same moment.
fn name(finding: &Finding, what: u64, unix: i64) -> String {
    let start: String = finding.ingress.name.chars().take(200).collect();
    if !finding.lasting {
        return format!("{start}.{what:016x}");
    }
    let offset = i64::try_from(what % AGAIN.unsigned_abs()).unwrap_or_default();
    let turn = (unix + offset) / AGAIN;
    let what = hash(format!("{what} {turn}").as_bytes());
    format!("{start}.{what:016x}")
}

#[cfg(test)]
mod tests {
    use api::ObjectKey;

    use super::*;

    fn finding(text: &str) -> Finding {
        Finding {
            ingress: ObjectKey::new("shop", "web"),
            uid: "u".to_owned(),
            reason: "Refused",
            text: text.to_owned(),
            warning: true,
            lasting: false,
            fleeting: false,
        }
    }

    fn names(due: &Due) -> Vec<&str> {
        due.events.iter().map(|(name, _)| &**name).collect()
    }

    #[test]
    fn a_thing_is_said_once_and_again_when_it_has_been_gone() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let first = memory.due(vec![finding("a"), finding("a")], 0, now);
        assert_eq!((first.events.len(), first.again), (1, None));
        assert_eq!(memory.due(vec![finding("a")], AGAIN, now), Due::default());
        memory.due(vec![], 0, now);
        let again = memory.due(vec![finding("a")], 0, now);
        assert_eq!(names(&again), names(&first));
        memory.unsent(names(&again)[0]);
        assert_eq!(memory.due(vec![finding("a")], 0, now), again);
    }

    #[test]
    fn what_closes_an_ingress_is_said_again_before_its_event_expires() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let closed = |text: &str| Finding {
            lasting: true,
            ..finding(text)
        };
        let mut told = Vec::new();
        // Two hours, as often as one looks.
        for minute in 0..120 {
            let due = memory.due(vec![closed("a")], minute * 60, now);
            assert_eq!(due.again, Some(LOOK));
            told.extend(names(&due).iter().map(|name| (minute, (*name).to_owned())));
        }
        let times: Vec<i64> = told.iter().map(|(minute, _)| *minute).collect();
        assert!((3..=4).contains(&told.len()), "{told:?}");
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] < 60),
            "{times:?}"
        );
        let all: BTreeSet<_> = told.iter().map(|(_, name)| name).collect();
        assert_eq!(
            all.len(),
            told.len(),
            "an Event of the same name would be refused"
        );
        // Another replica says nothing else.
        let other = Memory::default().due(vec![closed("a")], 119 * 60, now);
        assert_eq!(names(&other), [told.last().unwrap().1.as_str()]);
        // Many are not said again at the same moment.
        let many = || (0..100).map(|n| closed(&n.to_string())).collect::<Vec<_>>();
        let mut memory = Memory::default();
        memory.due(many(), 0, now);
        let most = (1..=45).map(|minute| memory.due(many(), minute * 60, now).events.len());
        assert!(most.max().unwrap() < 20);
    }

    #[test]
    fn what_is_gone_in_a_moment_is_not_said() {
        let (mut memory, start) = (Memory::default(), Instant::now());
        let fault = || Finding {
            fleeting: true,
            ..finding("a")
        };
        let due = memory.due(vec![fault()], 0, start);
        assert_eq!((due.events.len(), due.again), (0, Some(SETTLE)));
        memory.due(vec![], 0, start + SETTLE / 2);
        let due = memory.due(vec![fault()], 0, start + SETTLE);
        assert_eq!(due.events.len(), 0, "it has been gone");
        let due = memory.due(vec![fault()], 0, start + SETTLE * 2);
        assert_eq!((due.events.len(), due.again), (1, None));
        let due = memory.due(vec![fault()], 0, start + SETTLE * 3);
        assert_eq!(due, Due::default());
    }
}
