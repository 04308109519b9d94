use super::*;

const US: &str = "postern.dev/gateway-controller";

/// An Ingress as the API server has it.
#[derive(Default)]
struct World {
    status: Value,
    annotation: Option<String>,
    placed: bool,
}

fn addresses(all: &[&str]) -> Vec<Address> {
    all.iter().map(|text| Address::from(*text)).collect()
}

impl World {
    fn of(entries: Value) -> Self {
        Self {
            status: json!({ "loadBalancer": { "ingress": entries } }),
            ..Self::default()
        }
    }

    fn change(&self, wanted: &[&str], here: &[&str]) -> Option<Change> {
        let known = Known {
            status: &self.status,
            published: self.annotation.as_deref(),
            placed: self.placed,
            here: &addresses(here),
            controller: US,
        };
        change(&known, &addresses(wanted))
    }

    /// Does what is to be done, as the API server does, and gives whether an entry of ours had been overwritten.
    fn write(&mut self, wanted: &[&str]) -> bool {
        let change = self.change(wanted, wanted).expect("something to write");
        if let Some(balancer) = change.status.get("loadBalancer") {
            self.status["loadBalancer"] = balancer.clone();
        }
        let text = change.annotations[annotation::PUBLISHED].as_str();
        self.annotation = text.map(str::to_owned);
        assert_eq!(self.change(wanted, wanted), None, "once is enough");
        change.overwritten
    }

    fn list(&self) -> &Value {
        &self.status["loadBalancer"]["ingress"]
    }
}

#[test]
fn our_entry_alone_comes_and_goes_and_those_of_others_stay_in_their_order() {
    let (first, last) = (
        json!({ "ip": "192.0.2.1", "ports": [{ "port": 80, "protocol": "TCP" }] }),
        json!({ "hostname": "lb.example" }),
    );
    let mut world = World::of(json!([first, last]));
    assert_eq!(world.change(&[], &[]), None, "nothing of ours is there");
    assert!(!world.write(&["192.0.2.9"]));
    assert_eq!(*world.list(), json!([first, last, { "ip": "192.0.2.9" }]));
    assert_eq!(
        world.annotation.as_deref(),
        Some(r#"{"postern.dev/gateway-controller":["192.0.2.9"]}"#)
    );
    // Somebody puts one behind ours; ours becomes another.
    world.status["loadBalancer"]["ingress"] = json!([first, { "ip": "192.0.2.9" }, last]);
    world.write(&["edge.example"]);
    assert_eq!(
        *world.list(),
        json!([first, last, { "hostname": "edge.example" }])
    );
    world.write(&[]);
    assert_eq!(*world.list(), json!([first, last]));
    assert_eq!(world.annotation, None);
}

#[test]
fn an_address_of_before_a_restart_is_known_by_the_annotation() {
    let mut world = World::of(json!([{ "ip": "192.0.2.1" }]));
    world.write(&["192.0.2.9"]);
    // Another process, whose Gateway is elsewhere; or whose status is switched off.
    let moved = world.change(&["192.0.2.10"], &["192.0.2.10"]).unwrap();
    let wanted = json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.10" }]);
    assert_eq!(moved.status["loadBalancer"]["ingress"], wanted);
    let off = world.change(&[], &[]).unwrap();
    let wanted = json!([{ "ip": "192.0.2.1" }]);
    assert_eq!(off.status["loadBalancer"]["ingress"], wanted);
    assert_eq!(off.annotations[annotation::PUBLISHED], Value::Null);
}

#[test]
fn an_address_that_another_has_put_there_is_not_ours_to_take_away() {
    let world = World::of(json!([{ "ip": "192.0.2.9" }]));
    assert_eq!(world.change(&["192.0.2.9"], &["192.0.2.9"]), None);
    assert_eq!(world.change(&[], &["192.0.2.9"]), None);
}

#[test]
fn without_its_annotation_ours_is_known_by_who_wrote_the_list() {
    let mut world = World::of(json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.9" }]));
    world.placed = true;
    let kept = world.change(&["192.0.2.9"], &["192.0.2.9"]).unwrap();
    assert_eq!(kept.status, json!({}), "the annotation alone comes back");
    assert!(is_published(
        kept.annotations[annotation::PUBLISHED].as_str().unwrap(),
        US
    ));
    let gone = world.change(&[], &["192.0.2.9"]).unwrap();
    let wanted = json!([{ "ip": "192.0.2.1" }]);
    assert_eq!(gone.status["loadBalancer"]["ingress"], wanted);
}

#[test]
fn another_installation_s_entries_are_its_own() {
    let theirs = r#"{"example.com/other":["192.0.2.1"]}"#;
    let mut world = World::of(json!([{ "ip": "192.0.2.1" }]));
    world.annotation = Some(theirs.to_owned());
    world.write(&["192.0.2.9"]);
    assert!(is_published(
        world.annotation.as_deref().unwrap(),
        "example.com/other"
    ));
    world.write(&[]);
    assert_eq!(world.annotation.as_deref(), Some(theirs));
    assert_eq!(*world.list(), json!([{ "ip": "192.0.2.1" }]));
}

#[test]
fn an_entry_that_another_controller_has_overwritten_is_put_back_and_that_is_told() {
    let mut world = World::of(json!([]));
    assert!(!world.write(&["192.0.2.9"]));
    world.status["loadBalancer"]["ingress"] = json!([{ "ip": "192.0.2.1" }]);
    assert!(world.write(&["192.0.2.9"]));
    let both = json!([{ "ip": "192.0.2.1" }, { "ip": "192.0.2.9" }]);
    assert_eq!(*world.list(), both);
}

#[test]
fn an_annotation_that_is_none_of_ours_claims_nothing() {
    for text in ["", "x", "[]", r#"{"postern.dev/gateway-controller":1}"#] {
        let mut world = World::of(json!([{ "ip": "192.0.2.1" }]));
        world.annotation = Some(text.to_owned());
        assert_eq!(world.change(&[], &[]), None, "{text}");
        assert!(!is_published(text, US));
        world.write(&["192.0.2.9"]);
    }
}
