use std::collections::BTreeMap;

use gateway_core::{Address, ParentRef, PolicyAncestorStatus, RouteParentStatus, RouteStatus};

use super::*;

const STAMP: Stamp<'static> = Stamp {
    generation: 2,
    now: "2026-01-02T00:00:00Z",
    controller: "postern.dev/gateway-controller",
};

fn parent(name: &str) -> ParentRef {
    ParentRef {
        group: GATEWAY_GROUP.to_owned(),
        kind: "Gateway".to_owned(),
        namespace: None,
        name: name.to_owned(),
        section_name: None,
        port: None,
    }
}

fn route(parents: &[(&str, Condition)]) -> RouteStatus {
    let parents = parents.iter().map(|(name, condition)| RouteParentStatus {
        parent_ref: parent(name),
        conditions: vec![condition.clone()],
    });
    RouteStatus {
        parents: parents.collect(),
    }
}

fn live_condition(status: &str, generation: i64, since: &str) -> Value {
    json!({
        "type": "Accepted", "status": status, "reason": "Accepted", "message": "",
        "observedGeneration": generation, "lastTransitionTime": since,
    })
}

fn live_entry(controller: &str, name: &str, condition: Value) -> Value {
    json!({ "parentRef": parent(name), "controllerName": controller, "conditions": [condition] })
}

#[test]
fn what_is_already_there_is_not_written() {
    let status = route(&[("a", Condition::ok("Accepted"))]);
    let then = "2025-01-01T00:00:00Z";
    let live =
        json!({ "parents": [live_entry(STAMP.controller, "a", live_condition("True", 2, then))] });
    assert_eq!(patch(&live, Some(Wanted::Route(&status)), &STAMP), None);
    assert_eq!(
        patch(&Value::Null, Some(Wanted::Route(&route(&[]))), &STAMP),
        None
    );
    assert_eq!(patch(&Value::Null, None, &STAMP), None);
}

#[test]
fn a_new_generation_keeps_the_time_and_a_turn_does_not() {
    let then = "2025-01-01T00:00:00Z";
    let live =
        json!({ "parents": [live_entry(STAMP.controller, "a", live_condition("True", 1, then))] });
    let status = route(&[("a", Condition::ok("Accepted"))]);
    let patched = patch(&live, Some(Wanted::Route(&status)), &STAMP).unwrap();
    assert_eq!(
        patched["parents"][0]["conditions"][0],
        live_condition("True", 2, then)
    );
    let status = route(&[("a", Condition::fails("Accepted", "Accepted", ""))]);
    let patched = patch(&live, Some(Wanted::Route(&status)), &STAMP).unwrap();
    assert_eq!(
        patched["parents"][0]["conditions"][0],
        live_condition("False", 2, STAMP.now)
    );
}

#[test]
fn entries_of_others_stay_as_they_are() {
    let then = "2025-01-01T00:00:00Z";
    let mut foreign = live_entry("example.com/other", "a", live_condition("False", 1, then));
    foreign["unheardOf"] = json!({ "field": [1] });
    let ours = live_entry(STAMP.controller, "gone", live_condition("True", 1, then));
    let live = json!({ "parents": [ours, foreign] });
    let status = route(&[("a", Condition::ok("Accepted"))]);
    let patched = patch(&live, Some(Wanted::Route(&status)), &STAMP).unwrap();
    let parents = patched["parents"].as_array().unwrap();
    assert_eq!((parents.len(), &parents[0]), (2, &foreign));
    assert_eq!(parents[1]["controllerName"], STAMP.controller);
    // A route that is nothing to us any more loses our entries, and only those.
    let patched = patch(&live, None, &STAMP).unwrap();
    assert_eq!(patched, json!({ "parents": [foreign] }));
    assert_eq!(patch(&patched, None, &STAMP), None);
}

#[test]
fn a_list_that_is_full_takes_no_more_of_us_and_says_so_where_it_can() {
    let then = "2025-01-01T00:00:00Z";
    let condition = live_condition("True", 1, then);
    let others = |count: usize| -> Vec<_> {
        let names = (0..count).map(|number| number.to_string());
        names
            .map(|name| live_entry("example.com/other", &name, condition.clone()))
            .collect()
    };
    let status = route(&[
        ("a", Condition::ok("Accepted")),
        ("b", Condition::ok("Accepted")),
    ]);
    let full = json!({ "parents": others(32) });
    assert_eq!(patch(&full, Some(Wanted::Route(&status)), &STAMP), None);
    let left_out = |live: &Value| unlisted(live, Some(Wanted::Route(&status)), STAMP.controller);
    assert_eq!(left_out(&full), 2);
    let almost = json!({ "parents": others(31) });
    let patched = patch(&almost, Some(Wanted::Route(&status)), &STAMP).unwrap();
    let parents = patched["parents"].as_array().unwrap();
    assert_eq!(parents[..31], others(31));
    assert_eq!(
        (parents.len(), &parents[31]["parentRef"]["name"]),
        (32, &json!("a"))
    );
    let said = &parents[31]["conditions"][0]["message"];
    assert_eq!(
        *said,
        "the list is full: 1 more of our entries are not in it"
    );
    assert_eq!(left_out(&almost), 1);
    assert_eq!(
        left_out(&patched),
        1,
        "what is ours does not stand in our way"
    );
    assert_eq!(patch(&patched, Some(Wanted::Route(&status)), &STAMP), None);
    let room = json!({ "parents": others(30) });
    assert_eq!(left_out(&room), 0);
    let patched = patch(&room, Some(Wanted::Route(&status)), &STAMP).unwrap();
    let last = &patched["parents"][31];
    assert_eq!(
        (
            &last["parentRef"]["name"],
            &last["conditions"][0]["message"]
        ),
        (&json!("b"), &json!(""))
    );
}

#[test]
fn of_more_ancestors_than_a_policy_may_have_the_first_stay_whatever_was_there() {
    let ancestors = |names: std::ops::Range<usize>| PolicyStatus {
        ancestors: names
            .map(|number| PolicyAncestorStatus {
                ancestor_ref: parent(&format!("{number:02}")),
                conditions: vec![
                    Condition::holds("Accepted", "Accepted", "careful"),
                    Condition::ok("ResolvedRefs"),
                ],
            })
            .collect(),
    };
    let before = ancestors(3..19);
    let live = patch(&Value::Null, Some(Wanted::Policy(&before)), &STAMP).unwrap();
    let now = ancestors(0..19);
    let patched = patch(&live, Some(Wanted::Policy(&now)), &STAMP).unwrap();
    let listed = patched["ancestors"].as_array().unwrap();
    let said: BTreeMap<_, _> = listed
        .iter()
        .map(|entry| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let conditions = &entry["conditions"];
            assert_eq!(conditions[1]["message"], "");
            (
                text(&entry["ancestorRef"]["name"]),
                text(&conditions[0]["message"]),
            )
        })
        .collect();
    let mut expected: BTreeMap<_, _> = (0..16)
        .map(|number| (format!("{number:02}"), "careful".to_owned()))
        .collect();
    expected.insert(
        "15".to_owned(),
        "careful; the list is full: 3 more of our entries are not in it".to_owned(),
    );
    assert_eq!(said, expected);
    assert_eq!(
        unlisted(&live, Some(Wanted::Policy(&now)), STAMP.controller),
        3
    );
}

#[test]
fn a_gateway_keeps_conditions_of_others_and_loses_ours_that_do_not_hold() {
    let status = GatewayStatus {
        conditions: vec![Condition::ok("Accepted")],
        listeners: vec![ListenerStatus {
            name: "http".to_owned(),
            supported_kinds: vec!["HTTPRoute"],
            attached_routes: 3,
            conditions: vec![Condition::ok("Programmed")],
        }],
        attached_listener_sets: 0,
        addresses: vec![Address::from("10.0.0.1")],
    };
    let live = json!({ "conditions": [
        { "type": "Programmed", "status": "Unknown", "reason": "Pending" },
        { "type": "example.com/Audited", "status": "True" },
    ] });
    let patched = patch(&live, Some(Wanted::Gateway(&status)), &STAMP).unwrap();
    let types: Vec<_> = patched["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["type"])
        .collect();
    assert_eq!(types, ["example.com/Audited", "Accepted"]);
    assert_eq!(
        patched["addresses"],
        json!([{ "type": "IPAddress", "value": "10.0.0.1" }])
    );
    let listener = &patched["listeners"][0];
    assert_eq!(
        listener["supportedKinds"],
        json!([{ "group": GATEWAY_GROUP, "kind": "HTTPRoute" }])
    );
    assert_eq!(
        (
            &listener["attachedRoutes"],
            &listener["conditions"][0]["observedGeneration"]
        ),
        (&json!(3), &json!(2))
    );
    assert_eq!(
        patch(&patched, Some(Wanted::Gateway(&status)), &STAMP),
        None
    );
}
