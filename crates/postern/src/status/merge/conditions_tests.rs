use super::*;

const STAMP: Stamp<'static> = Stamp {
    generation: 2,
    now: "2026-01-02T00:00:00Z",
    controller: "postern.dev/gateway-controller",
};

const THEN: &str = "2025-01-01T00:00:00Z";

fn live(type_: &str, generation: i64) -> Value {
    json!({
        "type": type_, "status": "True", "reason": type_, "message": "",
        "observedGeneration": generation, "lastTransitionTime": THEN,
    })
}

fn types(list: &[Value]) -> Vec<&str> {
    let types = list.iter().map(|condition| condition["type"].as_str());
    types.map(Option::unwrap).collect()
}

#[test]
fn conditions_keep_their_places_and_ours_that_are_not_wanted_go() {
    let before = json!([
        live("special.io/First", 1),
        live("Programmed", 1),
        live("special.io/Second", 7),
        live("InsecureFrontendValidationMode", 1),
        live("Accepted", 1),
    ]);
    let wanted = [
        Condition::ok("Accepted"),
        Condition::ok("Programmed"),
        Condition::ok("ResolvedRefs"),
    ];
    let merged = merged(&before, &wanted, Place::Gateway, &STAMP);
    let expected = [
        live("special.io/First", 1),
        live("Programmed", 2),
        live("special.io/Second", 7),
        live("Accepted", 2),
    ];
    assert_eq!(merged[..4], expected);
    assert_eq!(types(&merged[4..]), ["ResolvedRefs"]);
    assert_eq!(merged[4]["lastTransitionTime"], STAMP.now);
}

#[test]
fn a_type_is_ours_only_where_we_write_it() {
    let before = json!([live("Conflicted", 1), live("PartiallyInvalid", 1)]);
    let accepted = [Condition::ok("Accepted")];
    let types_at = |place| {
        let merged = merged(&before, &accepted, place, &STAMP);
        types(&merged).join(" ")
    };
    assert_eq!(types_at(Place::Listener), "PartiallyInvalid Accepted");
    assert_eq!(types_at(Place::Parent), "Conflicted Accepted");
    assert_eq!(
        types_at(Place::Gateway),
        "Conflicted PartiallyInvalid Accepted"
    );
}

#[test]
fn what_is_said_of_a_newer_version_of_the_object_stays() {
    let newer = [live("Accepted", 3), live("Programmed", 3)];
    let wanted = [Condition::fails("Accepted", "Invalid", "no")];
    let merged = merged(&json!(newer), &wanted, Place::Gateway, &STAMP);
    assert_eq!(merged, newer);
}

#[test]
fn a_list_that_others_fill_takes_the_first_of_ours() {
    let foreign = |count: usize| -> Vec<_> {
        (0..count)
            .map(|number| live(&format!("special.io/{number}"), 1))
            .collect()
    };
    let wanted = [Condition::ok("Accepted"), Condition::ok("ResolvedRefs")];
    for (others, ours) in [(6, 2), (7, 1), (8, 0)] {
        let mut before = foreign(others);
        if ours == 1 {
            // It was there first; what comes first in importance takes its room.
            before.insert(0, live("ResolvedRefs", 1));
        }
        let before = json!(before);
        let merged = merged(&before, &wanted, Place::Parent, &STAMP);
        assert_eq!(merged[..others], foreign(others));
        let expected = &["Accepted", "ResolvedRefs"][..ours];
        assert_eq!(types(&merged[others..]), expected);
        assert_eq!(left_out(&before, &wanted, Place::Parent), 2 - ours);
    }
}
