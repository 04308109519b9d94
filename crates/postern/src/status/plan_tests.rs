use std::sync::Arc;

use api::{Condition, Kind, Object, ObjectKey};
use gateway_core::{ParentRef, RouteParentStatus, RouteStatus};
use serde_json::json;

use super::*;

/// One route, seen and served, and what is to be said about it.
struct World {
    status: Status,
    resources: Resources,
    seen: Seen,
}

fn object() -> ObjectRef {
    ObjectRef::new(Kind::HttpRoute, ObjectKey::new("shop", "a"))
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            status: Status::default(),
            resources: Resources::default(),
            seen: Seen {
                uid: "u".to_owned(),
                version: "1".to_owned(),
                generation: 1,
                ..Seen::default()
            },
        };
        world.serve(1);
        world.say("one");
        world
    }

    fn serve(&mut self, generation: i64) {
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": { "namespace": "shop", "name": "a", "generation": generation },
            "spec": {},
        });
        self.resources
            .insert(Object::from_json(Kind::HttpRoute, route).unwrap());
    }

    fn say(&mut self, message: &str) {
        let parent_ref = ParentRef {
            group: api::GATEWAY_GROUP.to_owned(),
            kind: "Gateway".to_owned(),
            namespace: None,
            name: "g".to_owned(),
            section_name: None,
            port: None,
        };
        let conditions = vec![Condition::holds("Accepted", "Accepted", message)];
        let parents = vec![RouteParentStatus {
            parent_ref,
            conditions,
        }];
        self.status
            .routes
            .insert(object(), Arc::new(RouteStatus { parents }));
    }

    /// The API server has taken a write.
    fn accept(&mut self, write: &Write, version: &str) {
        self.seen.status = write.patch.to_string().into();
        self.seen.version = version.to_owned();
    }

    fn due(&self, plan: &mut Plan, now: Instant) -> (Vec<Write>, Option<Instant>) {
        let facts = Facts {
            status: &self.status,
            resources: &self.resources,
            seen: |_: &ObjectRef| Some(Arc::new(self.seen.clone())),
            time: "2026-01-01T00:00:00Z",
            controller: "c",
            here: &[],
        };
        plan.due(&facts, 8, now)
    }
}

fn one((mut writes, _): (Vec<Write>, Option<Instant>)) -> Write {
    assert_eq!(writes.len(), 1);
    writes.remove(0)
}

fn none((writes, next): (Vec<Write>, Option<Instant>)) -> Option<Instant> {
    assert_eq!(writes, []);
    next
}

#[test]
fn one_change_is_one_write() {
    let (mut world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    plan.touch([object()]);
    let write = one(world.due(&mut plan, now));
    plan.touch([object()]);
    assert_eq!(none(world.due(&mut plan, now)), None, "it is being written");
    plan.ended(write.clone(), Written::Done("2".to_owned()), now);
    assert_eq!(
        none(world.due(&mut plan, now)),
        None,
        "its event has not come yet"
    );
    world.accept(&write, "2");
    plan.touch([object()]);
    assert_eq!(none(world.due(&mut plan, now)), None);
}

#[test]
fn a_generation_that_is_not_served_yet_waits_until_it_is() {
    let (mut world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    world.seen.generation = 2;
    plan.touch([object()]);
    assert_eq!(none(world.due(&mut plan, now)), None);
    world.serve(2);
    plan.published();
    let write = one(world.due(&mut plan, now));
    assert_eq!(
        write.patch["parents"][0]["conditions"][0]["observedGeneration"],
        2
    );
}

#[test]
fn what_moves_all_the_time_is_written_once_a_second_and_a_new_spec_at_once() {
    let (mut world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    plan.touch([object()]);
    let write = one(world.due(&mut plan, now));
    plan.ended(write.clone(), Written::Done("2".to_owned()), now);
    world.accept(&write, "2");
    world.say("two");
    plan.touch([object()]);
    assert_eq!(none(world.due(&mut plan, now)), Some(now + PACE));
    let mut later = World::new();
    later.say("two");
    later.seen = world.seen.clone();
    let write = one(later.due(&mut plan, now + PACE));
    assert_eq!(write.version, "2");
    plan.ended(write.clone(), Written::Done("3".to_owned()), now + PACE);
    world.accept(&write, "3");
    world.say("three");
    world.seen.generation = 5;
    world.serve(5);
    plan.touch([object()]);
    one(world.due(&mut plan, now + PACE));
}

#[test]
fn a_failure_is_tried_again_and_a_patch_without_effect_is_not() {
    let (mut world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    plan.touch([object()]);
    let write = one(world.due(&mut plan, now));
    plan.ended(write, Written::Failed, now);
    assert_eq!(none(world.due(&mut plan, now)), Some(now + RETRY));
    world.seen.version = "2".to_owned();
    let write = one(world.due(&mut plan, now));
    assert_eq!(
        write.version, "2",
        "the object has moved on: no reason to wait"
    );
    plan.ended(write, Written::Done("2".to_owned()), now);
    plan.touch([object()]);
    assert_eq!(none(world.due(&mut plan, now + PACE)), None);
    world.say("two");
    plan.touch([object()]);
    one(world.due(&mut plan, now + PACE));
}

#[test]
fn what_is_said_no_more_is_taken_back_unless_the_object_goes_with_its_ingress() {
    let (mut world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    plan.touch([object()]);
    let write = one(world.due(&mut plan, now));
    world.accept(&write, "2");
    world.status = Status::default();
    let mut of_ingress = World::new();
    of_ingress.status = Status::default();
    of_ingress.seen = world.seen.clone();
    of_ingress.seen.written = Some(crate::source::kube::observed::Written {
        object: world.resources.get(&object()).unwrap(),
        edited: false,
    });
    let mut fresh = Plan::default();
    fresh.touch([object()]);
    assert_eq!(none(of_ingress.due(&mut fresh, now)), None);
    let mut fresh = Plan::default();
    fresh.touch([object()]);
    one(world.due(&mut fresh, now));
}

#[test]
fn no_more_is_written_at_once_than_there_is_room_for() {
    let (world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    plan.touch([object()]);
    let facts = Facts {
        status: &world.status,
        resources: &world.resources,
        seen: |_: &ObjectRef| Some(Arc::new(world.seen.clone())),
        time: "",
        controller: "c",
        here: &[],
    };
    assert_eq!(plan.due(&facts, 0, now).0, []);
    one(world.due(&mut plan, now));
}

#[test]
fn a_list_that_is_too_full_for_us_is_told_of_once_each_time_it_becomes_so() {
    let (mut world, mut plan, now) = (World::new(), Plan::default(), Instant::now());
    let others = |count: usize| {
        let entry = |n: usize| json!({ "parentRef": { "name": n.to_string() }, "controllerName": "other", "conditions": [] });
        let entries: Vec<_> = (0..count).map(entry).collect();
        json!({ "parents": entries }).to_string().into()
    };
    let told = |world: &World, plan: &mut Plan| {
        plan.touch([object()]);
        world.due(plan, now);
        plan.take_crowded()
    };
    let once = [Crowded {
        object: object(),
        unlisted: 1,
    }];
    world.seen.status = others(32);
    assert_eq!(told(&world, &mut plan), once);
    assert_eq!(told(&world, &mut plan), []);
    world.say("two");
    assert_eq!(told(&world, &mut plan), []);
    world.seen.status = others(31);
    plan.touch([object()]);
    let write = one(world.due(&mut plan, now));
    assert_eq!(plan.take_crowded(), []);
    plan.ended(write, Written::Done("2".to_owned()), now);
    world.seen.version = "3".to_owned();
    world.seen.status = others(32);
    assert_eq!(told(&world, &mut plan), once);
}

/// An Ingress with an entry of another controller, and what is to be said about it.
struct Placed {
    status: Status,
    resources: Resources,
    seen: Seen,
}

impl Placed {
    fn object() -> ObjectRef {
        ObjectRef::new(Kind::Ingress, ObjectKey::new("shop", "web"))
    }

    fn new() -> Self {
        let ingress =
            json!({ "metadata": { "namespace": "shop", "name": "web", "generation": 1 } });
        let mut resources = Resources::default();
        resources.insert(Object::from_json(Kind::Ingress, ingress).unwrap());
        Self {
            status: Status::default(),
            resources,
            seen: Seen {
                version: "1".to_owned(),
                generation: 1,
                status: r#"{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}"#.into(),
                ..Seen::default()
            },
        }
    }

    /// The Ingress is served there; none: it is ours no more, or nothing is to be said.
    fn say(&mut self, addresses: &[&str]) {
        self.status.ingresses.clear();
        if !addresses.is_empty() {
            let addresses = addresses.iter().map(|text| Address::from(*text)).collect();
            self.status.ingresses.insert(Self::object().key, addresses);
        }
    }

    /// What is written, as the API server takes it.
    fn written(&mut self, plan: &mut Plan, now: Instant) -> Option<Write> {
        plan.touch([Self::object()]);
        let facts = Facts {
            status: &self.status,
            resources: &self.resources,
            seen: |_: &ObjectRef| Some(Arc::new(self.seen.clone())),
            time: "",
            controller: "c",
            here: &[],
        };
        let write = plan.due(&facts, 8, now).0.pop()?;
        let version = format!("{}+", self.seen.version);
        plan.ended(write.clone(), Written::Done(version.clone()), now);
        self.seen.version = version;
        if write.patch["loadBalancer"].is_object() {
            self.seen.status = write.patch.to_string().into();
        }
        let annotation = write.annotations[api::annotation::PUBLISHED].as_str();
        self.seen.published = annotation.map(Into::into);
        Some(write)
    }

    fn list(&self) -> Value {
        let status: Value = serde_json::from_str(&self.seen.status).unwrap();
        status["loadBalancer"]["ingress"].clone()
    }
}

#[test]
fn an_ingress_has_our_address_while_it_is_ours_and_those_of_others_all_along() {
    let (mut world, now) = (Placed::new(), Instant::now());
    let mut plan = Plan::default();
    assert_eq!(world.written(&mut plan, now), None, "it is not ours");
    world.say(&["192.0.2.9"]);
    world.written(&mut plan, now).unwrap();
    let both = json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.9" }]);
    assert_eq!(world.list(), both);
    assert_eq!(world.written(&mut plan, now + PACE), None);
    // Another process: the class was changed meanwhile, or publishing is off.
    world.say(&[]);
    let mut plan = Plan::default();
    world.written(&mut plan, now).unwrap();
    assert_eq!(world.list(), json!([{ "ip": "192.0.2.1" }]));
    assert_eq!(world.seen.published, None);
    assert_eq!(world.written(&mut plan, now + PACE), None);
}

#[test]
fn a_controller_that_takes_the_list_for_its_own_is_told_of_once() {
    let (mut world, mut plan, now) = (Placed::new(), Plan::default(), Instant::now());
    world.say(&["192.0.2.9"]);
    world.written(&mut plan, now).unwrap();
    assert_eq!(plan.take_overwritten(), None);
    let alone = r#"{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}"#;
    for (round, told) in [(1, Some(Placed::object())), (2, None)] {
        world.seen.status = alone.into();
        world.seen.version = format!("of the other {round}");
        world.written(&mut plan, now + PACE * 2 * round).unwrap();
        assert_eq!(plan.take_overwritten(), told, "round {round}");
    }
}
