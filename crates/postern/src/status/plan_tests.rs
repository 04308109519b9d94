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
                status: Box::default(),
                written: None,
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
