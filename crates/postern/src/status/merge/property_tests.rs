//! Whatever others have written into a status, at every place where conditions stand.

use std::collections::BTreeMap;

use api::condition::{ConditionStatus, Place};
use gateway_core::{
    GatewayClassStatus, ListenerSetStatus, ParentRef, PolicyAncestorStatus, RouteParentStatus,
};
use proptest::{
    prelude::{
        BoxedStrategy, Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest,
    },
    sample::{Index, select, subsequence},
    test_runner::TestCaseError,
};

use super::*;

const STAMP: Stamp<'static> = Stamp {
    generation: 2,
    now: "2026-01-02T00:00:00Z",
    controller: "postern.dev/gateway-controller",
};

/// One of the objects that we write a status of, with all that it says.
#[derive(Debug, Clone)]
enum Said {
    Class(GatewayClassStatus),
    Gateway(GatewayStatus),
    Set(ListenerSetStatus),
    Route(RouteStatus),
    Policy(PolicyStatus),
}

impl Said {
    /// Where a list of those that [`lists`] finds stands.
    fn place(&self, list: &str) -> Place {
        match (list.split(' ').next(), self) {
            (Some("listeners"), _) => Place::Listener,
            (Some("parents"), _) => Place::Parent,
            (Some("ancestors"), _) => Place::Ancestor,
            (_, Self::Class(_)) => Place::Class,
            (_, Self::Gateway(_)) => Place::Gateway,
            _ => Place::ListenerSet,
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        match self {
            Self::Class(status) => Wanted::Class(status),
            Self::Gateway(status) => Wanted::Gateway(status),
            Self::Set(status) => Wanted::Set(status),
            Self::Route(status) => Wanted::Route(status),
            Self::Policy(status) => Wanted::Policy(status),
        }
    }
}

fn condition(type_: &'static str) -> impl Strategy<Value = Condition> {
    let status = prop_oneof![Just(ConditionStatus::True), Just(ConditionStatus::False)];
    (status, select(&["One", "Two"][..]), "[a-z]{0,3}").prop_map(
        move |(status, reason, message)| Condition {
            type_,
            status,
            reason,
            message,
        },
    )
}

/// Some of those that we write at a place, in any order.
fn ours(place: Place) -> impl Strategy<Value = Vec<Condition>> {
    let all = place.types();
    let some = subsequence(all.to_vec(), 0..=all.len()).prop_shuffle();
    some.prop_flat_map(|types| types.into_iter().map(condition).collect::<Vec<_>>())
}

fn reference(name: &str) -> ParentRef {
    ParentRef {
        group: GATEWAY_GROUP.to_owned(),
        kind: "Gateway".to_owned(),
        namespace: None,
        name: name.to_owned(),
        section_name: None,
        port: None,
    }
}

fn names() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(vec!["a", "b", "c"], 0..=3).prop_shuffle()
}

fn listener_statuses() -> impl Strategy<Value = Vec<ListenerStatus>> {
    let listener = |name: &'static str| {
        ours(Place::Listener).prop_map(move |conditions| ListenerStatus {
            name: name.to_owned(),
            supported_kinds: vec!["HTTPRoute"],
            attached_routes: 1,
            conditions,
        })
    };
    names().prop_flat_map(move |names| names.into_iter().map(listener).collect::<Vec<_>>())
}

/// Two things that are said of one object, one after the other.
fn one_object() -> impl Strategy<Value = (Said, Said)> {
    let twice = |said: BoxedStrategy<Said>| (said.clone(), said);
    prop_oneof![
        twice(class()),
        twice(gateway()),
        twice(set()),
        twice(route()),
        twice(policy())
    ]
}

fn class() -> BoxedStrategy<Said> {
    let status = ours(Place::Class).prop_map(|conditions| GatewayClassStatus {
        conditions,
        supported_features: Vec::new(),
    });
    status.prop_map(Said::Class).boxed()
}

fn gateway() -> BoxedStrategy<Said> {
    let lists = (ours(Place::Gateway), listener_statuses());
    let status = lists.prop_map(|(conditions, listeners)| GatewayStatus {
        conditions,
        listeners,
        attached_listener_sets: 0,
        addresses: Vec::new(),
    });
    status.prop_map(Said::Gateway).boxed()
}

fn set() -> BoxedStrategy<Said> {
    let lists = (ours(Place::ListenerSet), listener_statuses());
    let status = lists.prop_map(|(conditions, listeners)| ListenerSetStatus {
        conditions,
        listeners,
    });
    status.prop_map(Said::Set).boxed()
}

fn route() -> BoxedStrategy<Said> {
    let parent = |name: &'static str| {
        ours(Place::Parent).prop_map(move |conditions| RouteParentStatus {
            parent_ref: reference(name),
            conditions,
        })
    };
    let parents = move |names: Vec<_>| names.into_iter().map(parent).collect::<Vec<_>>();
    let status = names().prop_flat_map(parents);
    let status = status.prop_map(|parents| RouteStatus { parents });
    status.prop_map(Said::Route).boxed()
}

fn policy() -> BoxedStrategy<Said> {
    let ancestor = |name: &'static str| {
        ours(Place::Ancestor).prop_map(move |conditions| PolicyAncestorStatus {
            ancestor_ref: reference(name),
            conditions,
        })
    };
    let ancestors = move |names: Vec<_>| names.into_iter().map(ancestor).collect::<Vec<_>>();
    let status = names().prop_flat_map(ancestors);
    let status = status.prop_map(|ancestors| PolicyStatus { ancestors });
    status.prop_map(Said::Policy).boxed()
}

/// A condition of somebody else, and where in a list it is put.
fn foreign() -> impl Strategy<Value = (String, Value, Index)> {
    let all = Place::ALL.iter().flat_map(|place| place.types());
    let elsewhere = select(all.map(|type_| (*type_).to_owned()).collect::<Vec<_>>());
    let type_ = prop_oneof!["special\\.io/[A-Z][a-z]{0,2}", "[A-Z][a-z]{1,3}", elsewhere];
    let generation = prop_oneof![Just(None), (0..9_i64).prop_map(Some)];
    let status = select(&["True", "False", "Unknown"][..]);
    (type_, status, generation, any::<Index>()).prop_map(|(type_, status, generation, at)| {
        let mut condition = json!({ "type": type_, "status": status, "reason": "Audited" });
        if let Some(generation) = generation {
            condition["observedGeneration"] = json!(generation);
        }
        (type_, condition, at)
    })
}

/// Every list of conditions of a status that stays with what is said, with its place in it.
fn lists(status: &mut Value) -> Vec<(String, &mut Value)> {
    let Some(fields) = status.as_object_mut() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (field, value) in fields {
        match (field.as_str(), value) {
            ("conditions", list) => found.push(("conditions".to_owned(), list)),
            ("listeners" | "parents" | "ancestors", entries) => {
                for entry in entries.as_array_mut().into_iter().flatten() {
                    let about = ["name", "parentRef", "ancestorRef"].map(|name| &entry[name]);
                    let name = format!("{field} {about:?}");
                    found.push((name, &mut entry["conditions"]));
                }
            }
            _ => {}
        }
    }
    found
}

/// The status of an object after a patch, as the API server has it.
fn patched(live: &Value, patch: Option<Value>) -> Value {
    let mut status = live.clone();
    for (field, value) in patch
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        status[field] = value.clone();
    }
    status
}

fn is_of_somebody_else(condition: &Value) -> bool {
    condition["reason"] == "Audited"
}

fn others(list: &Value) -> Vec<Value> {
    let all = list.as_array().into_iter().flatten();
    all.filter(|condition| is_of_somebody_else(condition))
        .cloned()
        .collect()
}

fn own(list: &Value) -> Vec<(String, String, String, String)> {
    let all = list.as_array().into_iter().flatten();
    let own = all.filter(|condition| !is_of_somebody_else(condition));
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    let mut own: Vec<_> = own
        .map(|c| {
            (
                text(c, "type"),
                text(c, "status"),
                text(c, "reason"),
                text(c, "message"),
            )
        })
        .collect();
    own.sort();
    own
}

fn check(
    before: &Said,
    after: &Said,
    noise: &[(String, Value, Index)],
) -> Result<(), TestCaseError> {
    let earlier = Stamp {
        generation: 1,
        ..STAMP
    };
    let mut live = patched(
        &json!({}),
        patch(&json!({}), Some(before.wanted()), &earlier),
    );
    let mut sown = BTreeMap::new();
    for (place, list) in lists(&mut live) {
        let list = list.as_array_mut().unwrap();
        let foreign = |type_: &str| !before.place(&place).is_ours(type_);
        for (type_, condition, at) in noise.iter().filter(|(type_, ..)| foreign(type_)) {
            if list.iter().all(|there| there["type"] != type_.as_str()) {
                list.insert(at.index(list.len() + 1), condition.clone());
            }
        }
        sown.insert(place, json!(list));
    }
    let mut now = patched(&live, patch(&live, Some(after.wanted()), &STAMP));
    let mut plain = patched(&json!({}), patch(&json!({}), Some(after.wanted()), &STAMP));
    let plain: BTreeMap<_, _> = lists(&mut plain)
        .into_iter()
        .map(|(place, list)| (place, own(list)))
        .collect();
    let again = patch(&now, Some(after.wanted()), &STAMP);
    prop_assert_eq!(again, None, "no second write");
    for (place, list) in lists(&mut now) {
        let before = sown.get(&place).unwrap_or(&Value::Null);
        prop_assert_eq!(others(list), others(before), "{}", place);
        let wanted = plain.get(&place).cloned().unwrap_or_default();
        prop_assert_eq!(own(list), wanted, "{}", place);
        let place_of = |list: &Value, type_: &Value| {
            let mut all = list.as_array().into_iter().flatten();
            all.position(|condition| condition["type"] == *type_)
        };
        let kept: Vec<_> = list.as_array().into_iter().flatten().collect();
        let kept = kept.iter().filter_map(|c| place_of(before, &c["type"]));
        prop_assert!(
            kept.clone().is_sorted(),
            "{}: order of what was there",
            place
        );
    }
    Ok(())
}

proptest! {
    #[test]
    fn conditions_of_others_stay_as_and_where_they_are(
        (before, after) in one_object(),
        noise in prop::collection::vec(foreign(), 0..=Place::LONGEST - 5),
    ) {
        check(&before, &after, &noise)?;
    }
}
