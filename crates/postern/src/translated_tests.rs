use api::ObjectKey;

use super::*;
use crate::{
    pipeline::Pipeline,
    source::kube::observed::{Changes, Written},
};

/// An API server with one Ingress in it, and who writes there.
struct World {
    resources: Resources,
    observed: Observed,
    pipeline: Pipeline,
    changes: Changes,
    memory: Memory,
    version: u32,
    generation: i64,
    absent: BTreeSet<Kind>,
}

impl World {
    fn new() -> Self {
        Self::with(converter::Options::default())
    }

    fn with(options: converter::Options) -> Self {
        let pipeline = Pipeline::new(options);
        let observed = Observed::default();
        let mut world = Self {
            resources: Resources::default(),
            changes: observed.subscribe(),
            observed,
            pipeline: pipeline.in_cluster(gateway_core::Options::default()),
            memory: Memory::default(),
            version: 0,
            generation: 0,
            absent: BTreeSet::new(),
        };
        world.ingress("a.example");
        world
    }

    fn ingress(&mut self, host: &str) {
        self.resources.insert(Self::made(host, "u"));
        self.stands(host, "u");
    }

    fn made(host: &str, uid: &str) -> Object {
        let ingress = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": { "namespace": "shop", "name": "web", "uid": uid },
            "spec": {
                "ingressClassName": "higress",
                "rules": [{ "host": host, "http": { "paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": { "service": { "name": "s", "port": { "number": 80 } } },
                }] } }],
            },
        });
        Object::from_json(Kind::Ingress, ingress).unwrap()
    }

    /// The watch has shown the Ingress.
    fn stands(&self, version: &str, uid: &str) {
        let seen = Seen {
            uid: uid.to_owned(),
            version: version.to_owned(),
            generation: 1,
            ..Seen::default()
        };
        let ingress = ObjectRef::new(Kind::Ingress, ObjectKey::new("shop", "web"));
        self.observed.set(&ingress, Some(seen));
    }

    fn steps(&mut self, objects: bool) -> Vec<Step> {
        let made = self.pipeline.run(&self.resources);
        self.memory.seen(self.changes.take());
        self.generation += 1;
        let facts = Facts {
            generation: self.generation,
            resources: &self.resources,
            made: &made,
            absent: &self.absent,
            controller: "c",
            objects,
        };
        facts.steps(&self.observed, &mut self.memory)
    }

    /// The API server has taken the steps, and the watch has shown it.
    fn take(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Apply(object, body) if object.kind == Kind::Gateway => {
                    let gateway = Object::from_json(object.kind, body.clone()).unwrap();
                    self.resources.insert(gateway);
                    self.see(object, None);
                }
                Step::Apply(object, body) => self.set(object, body.clone(), false),
                Step::Delete(object, _) => self.observed.set(object, None),
                Step::Release(object, ..) => self.see(object, None),
            }
        }
    }

    fn set(&mut self, object: &ObjectRef, body: Value, edited: bool) {
        let object_now = Object::from_json(object.kind, body).unwrap();
        let written = Written {
            object: object_now,
            edited,
        };
        self.see(object, Some(written));
    }

    fn see(&mut self, object: &ObjectRef, written: Option<Written>) {
        self.version += 1;
        let seen = Seen {
            uid: format!("uid-{object}"),
            version: self.version.to_string(),
            generation: 1,
            written,
            ..Seen::default()
        };
        self.observed.set(object, Some(seen));
    }

    fn route(&self) -> (ObjectRef, Value) {
        let routes = self.observed.written();
        let (object, seen) = routes
            .into_iter()
            .find(|(o, _)| o.kind == Kind::HttpRoute)
            .unwrap();
        let body = seen.written.as_ref().unwrap().object.to_json().unwrap();
        (object, body)
    }
}

fn kinds(steps: &[Step]) -> Vec<String> {
    let name = |step: &Step| match step {
        Step::Apply(object, _) => format!("apply {}", object.kind),
        Step::Delete(object, _) => format!("delete {}", object.kind),
        Step::Release(object, ..) => format!("release {}", object.kind),
    };
    steps.iter().map(name).collect()
}

#[test]
fn what_goes_with_its_ingress_is_not_made_again() {
    let mut world = World::new();
    let first = world.steps(true);
    world.take(&first);
    assert_eq!(world.steps(true), []);
    // The garbage collector is faster than the next state that is served.
    let ingress = ObjectRef::new(Kind::Ingress, ObjectKey::new("shop", "web"));
    world.observed.set(&ingress, None);
    let (route, _) = world.route();
    world.observed.set(&route, None);
    assert_eq!(world.steps(true), []);
    // Another one takes its place, and becomes the same.
    world.stands("again", "v");
    assert_eq!(world.steps(true), []);
    world.resources.insert(World::made("a.example", "v"));
    let again = world.steps(true);
    assert_eq!(kinds(&again), ["apply HTTPRoute"]);
    world.take(&again);
    assert_eq!(world.steps(true), []);
    // Somebody deletes the route alone.
    world.observed.set(&route, None);
    assert_eq!(kinds(&world.steps(true)), ["apply HTTPRoute"]);
}

#[test]
fn an_ingress_is_written_once_with_its_owner() {
    let mut world = World::new();
    let first = world.steps(true);
    assert_eq!(kinds(&first), ["apply Gateway", "apply HTTPRoute"]);
    assert_eq!(world.steps(true), [], "under way");
    world.take(&first);
    assert_eq!(world.steps(true), []);
    let (_, body) = world.route();
    assert_eq!(body["metadata"]["ownerReferences"][0]["uid"], "u");
    assert_eq!(body["metadata"]["labels"][annotation::TRANSLATED], "true");
    world.memory = Memory::new(&world.observed);
    assert_eq!(
        world.steps(true),
        [],
        "another replica finds it as it should be"
    );
}

#[test]
fn a_hand_edit_is_put_back_and_a_field_that_is_not_ours_is_fought_over_once() {
    let mut world = World::new();
    let steps = world.steps(true);
    world.take(&steps);
    let (object, body) = world.route();
    let mut edited = body.clone();
    edited["spec"]["hostnames"] = json!(["mine.example"]);
    world.set(&object, edited, true);
    let steps = world.steps(true);
    assert_eq!(kinds(&steps), ["apply HTTPRoute"]);
    world.take(&steps);
    assert_eq!(world.steps(true), []);
    let mut more = body;
    more["spec"]["useDefaultGateways"] = json!("All");
    world.set(&object, more, true);
    assert_eq!(kinds(&world.steps(true)), ["apply HTTPRoute"]);
    // It changed nothing, so no event comes: after a while it is looked at again.
    let waited = std::mem::take(&mut world.memory.recent);
    world.memory.seen(waited.into_keys().collect());
    assert_eq!(world.steps(true), []);
}

#[test]
fn what_is_not_made_any_more_is_deleted_unless_its_ingress_is_gone() {
    let mut world = World::new();
    let steps = world.steps(true);
    world.take(&steps);
    world.ingress("b.example");
    let steps = world.steps(true);
    assert_eq!(kinds(&steps), ["apply HTTPRoute", "delete HTTPRoute"]);
    world.take(&steps);
    assert_eq!(world.steps(true), []);
    let ingress = ObjectRef::new(Kind::Ingress, ObjectKey::new("shop", "web"));
    world.resources.remove(&ingress);
    assert_eq!(world.steps(true), [], "the garbage collector's");
}

#[test]
fn in_memory_nothing_but_the_gateway_is_written() {
    let mut world = World::new();
    assert_eq!(kinds(&world.steps(false)), ["apply Gateway"]);
    world.memory = Memory::new(&world.observed);
    let steps = world.steps(true);
    world.take(&steps);
    assert_eq!(kinds(&world.steps(false)), ["delete HTTPRoute"]);
}

/// Its label may be taken off while it is written.
#[test]
fn what_is_there_is_written_only_as_it_was_looked_at() {
    let mut world = World::new();
    let first = world.steps(true);
    let version = |steps: &[Step]| match steps {
        [.., Step::Apply(_, body)] => body["metadata"]["resourceVersion"].clone(),
        steps => panic!("{steps:?}"),
    };
    assert_eq!(version(&first), Value::Null);
    world.take(&first);
    let (route, mut body) = world.route();
    body["spec"]["hostnames"] = json!(["edited.example"]);
    world.set(&route, body, true);
    let seen = world.observed.get(&route).unwrap();
    assert_eq!(version(&world.steps(true)), seen.version.as_str());
}

#[test]
fn an_object_of_somebody_else_is_let_alone() {
    let mut world = World::new();
    let steps = world.steps(true);
    let body = steps.iter().find_map(|step| match step {
        Step::Apply(object, body) if object.kind == Kind::HttpRoute => Some(body.clone()),
        _ => None,
    });
    let mut body = body.unwrap();
    // As `postern convert | kubectl apply` leaves it.
    body["metadata"]["labels"]
        .as_object_mut()
        .unwrap()
        .remove(annotation::TRANSLATED);
    world
        .resources
        .insert(Object::from_json(Kind::HttpRoute, body).unwrap());
    world.memory = Memory::new(&world.observed);
    assert_eq!(kinds(&world.steps(true)), ["apply Gateway"]);
}

#[test]
fn a_kind_that_the_api_server_lacks_is_written_once_it_has_it() {
    let mut world = World::new();
    world.absent = BTreeSet::from([Kind::Gateway, Kind::HttpRoute]);
    assert_eq!(world.steps(true), []);
    world.absent.clear();
    assert_eq!(
        kinds(&world.steps(true)),
        ["apply Gateway", "apply HTTPRoute"]
    );
}

#[test]
fn only_what_has_changed_is_looked_at() {
    let mut world = World::new();
    let steps = world.steps(true);
    world.take(&steps);
    assert_eq!(world.steps(true), []);
    let (object, _) = world.route();
    world.memory.remind();
    assert!(world.memory.dirty.is_empty() && !world.memory.is_waiting());
    world.observed.set(&object, None);
    assert_eq!(kinds(&world.steps(true)), ["apply HTTPRoute"]);
}

/// The watch shows that the labels have been taken off before the next state that is served knows of it.
#[test]
fn an_object_whose_label_is_taken_off_stays_as_it_is_and_hangs_on_its_ingress_no_more() {
    let mut world = World::new();
    let steps = world.steps(true);
    world.take(&steps);
    assert_eq!(world.steps(true), []);
    let (route, mut body) = world.route();
    assert_eq!(body["metadata"]["labels"][annotation::INGRESS], "web");
    let seen = Seen {
        uid: "r".to_owned(),
        version: "off".to_owned(),
        released: Some(Box::default()),
        ..Seen::default()
    };
    world.observed.set(&route, Some(seen));
    let steps = world.steps(true);
    assert_eq!(
        steps,
        [Step::Release(
            route.clone(),
            "off".to_owned(),
            Box::default()
        )],
        "neither put back nor deleted"
    );
    world.take(&steps);
    assert_eq!(world.steps(true), []);
    // The next state has it, and then another hostname.
    let labels = body["metadata"]["labels"].as_object_mut().unwrap();
    labels.remove(annotation::TRANSLATED);
    labels.remove(annotation::MANAGED_BY);
    for host in ["a.example", "mine.example"] {
        body["spec"]["hostnames"] = json!([host]);
        let own = Object::from_json(Kind::HttpRoute, body.clone()).unwrap();
        world.resources.insert(own);
        assert_eq!(world.steps(true), [], "{host}");
    }
    // Its Ingress goes; another replica begins to write.
    let ingress = ObjectRef::new(Kind::Ingress, ObjectKey::new("shop", "web"));
    world.resources.remove(&ingress);
    world.observed.set(&ingress, None);
    assert_eq!(world.steps(true), []);
    world.memory = Memory::new(&world.observed);
    assert_eq!(world.steps(true), []);
}

/// The listener for every host has no Ingress of its own, and the certificate that the process made stays in it.
#[test]
fn what_is_for_all_ingresses_of_a_class_goes_with_the_last_of_them() {
    let mut world = World::with(converter::Options {
        ingress_classes: vec![converter::Class::named("nginx")],
        stand_in: Some(crate::stand_in::make().unwrap()),
        ..converter::Options::default()
    });
    let mut ingress = World::made("a.example", "u").to_json().unwrap();
    ingress["spec"]["ingressClassName"] = json!("nginx");
    let ingress = Object::from_json(Kind::Ingress, ingress).unwrap();
    world.resources.insert(ingress.clone());
    let steps = world.steps(true);
    let sets: Vec<_> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Apply(object, body) if object.kind == Kind::ListenerSet => Some((object, body)),
            _ => None,
        })
        .collect();
    let [(set, body)] = sets[..] else {
        panic!("{:?}", kinds(&steps));
    };
    assert_eq!(set.key.to_string(), "postern-system/postern-default-https");
    assert_eq!(body["metadata"]["labels"][annotation::TRANSLATED], "true");
    assert!(body["metadata"].get("ownerReferences").is_none(), "{body}");
    assert!(!kinds(&steps).contains(&"apply Secret".to_owned()));
    let set = set.clone();
    world.take(&steps);
    assert_eq!(kinds(&world.steps(true)), Vec::<String>::new());
    world.resources.remove(&ingress.reference());
    let last = world.steps(true);
    let deleted = |step: &Step| matches!(step, Step::Delete(object, _) if *object == set);
    assert!(last.iter().any(deleted), "{:?}", kinds(&last));
}
