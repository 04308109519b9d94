//! A kept value is what it would be from scratch, and only readers of what changed are stale.

use std::collections::BTreeSet;

use api::{Kind, Object, ObjectKey, ObjectRef, Resources, RoutePolicy, yaml};
use k8s_openapi::api::core::v1::Service;
use proptest::{collection::vec, prelude::any, prop_assert_eq, proptest};

use crate::{Access, Changes, Memo, Topic, View};

fn read(text: &str) -> Resources {
    let read = yaml::read(text);
    assert!(read.errors.is_empty(), "{:?}", read.errors);
    read.into_resources()
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("x", name)
}

fn service(name: &str, port: u16) -> String {
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: x}}, spec: {{ports: [{{port: {port}}}]}}}}\n---\n"
    )
}

fn policy(name: &str, target: &str) -> String {
    format!(
        "{{apiVersion: postern.dev/v1alpha1, kind: RoutePolicy, metadata: {{name: {name}, namespace: x}}, spec: {{targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: {target}}}]}}}}\n---\n"
    )
}

fn grant(kind: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {{name: g, namespace: x}}, spec: {{from: [{{group: gateway.networking.k8s.io, kind: {kind}, namespace: y}}], to: [{{group: \"\", kind: Service, name: a}}]}}}}\n---\n"
    )
}

/// A memo of one value for each question, and the objects that they were asked of.
struct Case {
    resources: Resources,
    memo: Memo<&'static str, String>,
}

fn answer(question: &str, view: &View<'_>) -> String {
    let route = |name| ObjectRef::new(Kind::HttpRoute, key(name));
    let permitted = |from| {
        view.permit(Access {
            from,
            namespace: "y".into(),
            to: ObjectRef::new(Kind::Service, key("a")),
        })
    };
    match question {
        "a" | "b" => format!(
            "{:?}",
            view.get::<Service>(&key(question)).map(|found| &found.spec)
        ),
        "all" => format!("{:?}", view.all::<RoutePolicy>().keys().collect::<Vec<_>>()),
        "of r" => {
            view.note(Topic::Policies(Kind::RoutePolicy, route("r")));
            String::new()
        }
        "permit" => permitted(Kind::HttpRoute).to_string(),
        other => panic!("{other}"),
    }
}

const QUESTIONS: [&str; 5] = ["a", "b", "all", "of r", "permit"];

impl Case {
    fn new(text: &str) -> Self {
        let (resources, changes, _) = Changes::join(None, &read(text), &Resources::default());
        let mut memo = Memo::default();
        let view = View::new(&resources);
        assert_eq!(memo.stale(&changes, &view), BTreeSet::new());
        for question in QUESTIONS {
            memo.keep(question, &view, |view| answer(question, view));
        }
        Self { resources, memo }
    }

    /// Which questions are stale after a change of the objects.
    fn stale(&mut self, change: impl FnOnce(&mut Resources)) -> Vec<&'static str> {
        let mut own = self.resources.clone();
        change(&mut own);
        let before = std::mem::take(&mut self.resources);
        let (resources, changes, _) = Changes::join(Some(before), &own, &Resources::default());
        self.resources = resources;
        let view = View::new(&self.resources);
        let stale = self.memo.stale(&changes, &view);
        for question in &stale {
            self.memo
                .keep(question, &view, |view| answer(question, view));
        }
        stale.into_iter().collect()
    }
}

#[test]
fn an_object_that_changes_comes_or_goes_concerns_its_readers() {
    let mut case = Case::new(&service("a", 80));
    assert_eq!(case.stale(|_| ()), Vec::<&str>::new());
    assert_eq!(case.stale(|all| all.extend(read(&service("a", 81)))), ["a"]);
    assert_eq!(case.stale(|all| all.extend(read(&service("b", 80)))), ["b"]);
    assert_eq!(
        case.stale(|all| all.extend(read(&service("c", 80)))),
        Vec::<&str>::new()
    );
    assert_eq!(
        case.stale(|all| drop(all.services.remove(&key("a")))),
        ["a"]
    );
}

#[test]
fn policies_concern_their_targets_before_and_after() {
    let mut case = Case::new("");
    assert_eq!(
        case.stale(|all| all.extend(read(&policy("p", "other")))),
        ["all"]
    );
    assert_eq!(
        case.stale(|all| all.extend(read(&policy("p", "r")))),
        ["all", "of r"]
    );
    assert_eq!(
        case.stale(|all| all.extend(read(&policy("p", "other")))),
        ["all", "of r"]
    );
}

#[test]
fn grants_concern_those_that_get_another_answer() {
    let mut case = Case::new("");
    assert_eq!(case.memo.get(&"permit").unwrap(), "false");
    assert_eq!(
        case.stale(|all| all.extend(read(&grant("GRPCRoute")))),
        Vec::<&str>::new()
    );
    assert_eq!(
        case.stale(|all| all.extend(read(&grant("HTTPRoute")))),
        ["permit"]
    );
    assert_eq!(case.memo.get(&"permit").unwrap(), "true");
    assert_eq!(case.stale(|all| all.reference_grants.clear()), ["permit"]);
}

#[test]
fn what_is_forgotten_has_no_readers() {
    let mut case = Case::new("");
    let topic = Topic::Object(ObjectRef::new(Kind::Service, key("a")));
    assert_eq!(case.memo.readers(&topic), ["a"]);
    assert!(case.memo.forget(&"a").is_some());
    assert_eq!(case.memo.readers(&topic), Vec::<&str>::new());
    assert_eq!(
        case.stale(|all| all.extend(read(&service("a", 80)))),
        Vec::<&str>::new()
    );
}

#[test]
fn reads_of_a_value_within_are_its_own_until_they_are_repeated() {
    let resources = Resources::default();
    let view = View::new(&resources);
    let (inner, outer) = view.track(|view| {
        let (_, inner) = view.track(|view| view.get::<Service>(&key("a")).is_some());
        inner
    });
    assert_eq!((inner.len(), outer.len()), (1, 0));
    let ((), repeated) = view.track(|view| view.repeat(&inner));
    assert_eq!(repeated, inner);
}

proptest! {
    #[test]
    fn after_any_changes_values_are_those_from_scratch(edits in vec((0..6_u8, any::<bool>()), 1..12)) {
        let mut case = Case::new("");
        for (what, there) in edits {
            let text = match what {
                0 => service("a", 80),
                1 => service("a", 81),
                2 => service("b", 80),
                3 => policy("p", "r"),
                4 => grant("HTTPRoute"),
                _ => grant("GRPCRoute"),
            };
            case.stale(|all| {
                for object in read(&text).iter() {
                    if there {
                        all.insert(Object::clone(&object));
                    } else {
                        all.remove(&object.reference());
                    }
                }
            });
            let view = View::new(&case.resources);
            for question in QUESTIONS {
                prop_assert_eq!(case.memo.get(&question), Some(&answer(question, &view)));
            }
        }
    }
}
