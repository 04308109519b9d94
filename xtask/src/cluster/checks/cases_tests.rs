use serde_json::{Value, json};

use super::{of_fields, spanning};

fn schema() -> Value {
    json!({"properties": {"spec": {
        "required": ["name"],
        "x-kubernetes-validations": [{"rule": "true", "message": "anything goes"}],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 3},
            "mode": {"type": "string", "enum": ["On", "Off"]},
            "list": {"type": "array", "maxItems": 2, "items": {"type": "integer", "minimum": 1.0}},
            "free": {"type": "string"},
        },
    }}})
}

#[test]
fn every_bound_has_a_value_within_and_one_beyond() {
    let object = json!({"spec": {"name": "n", "mode": "On", "list": [7]}});
    let cases = of_fields(&schema(), &[&object]).unwrap();
    let shown: Vec<String> = cases
        .iter()
        .map(|case| {
            let refusal = case.refusal.as_deref().unwrap_or("accepted");
            format!("{}: {}: {refusal}", case.rule, case.object["spec"])
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"/spec required name: {"list":[7],"mode":"On"}: Required value"#,
            r#"/spec/list maxItems: {"list":[7,7,7],"mode":"On","name":"n"}: must have at most"#,
            r#"/spec/list/0 minimum, just within: {"list":[1],"mode":"On","name":"n"}: accepted"#,
            r#"/spec/list/0 minimum: {"list":[0],"mode":"On","name":"n"}: greater than or equal to"#,
            r#"/spec/mode enum: {"list":[7],"mode":"no-such-value","name":"n"}: Unsupported value"#,
            r#"/spec/name minLength, just within: {"list":[7],"mode":"On","name":"a"}: accepted"#,
            r#"/spec/name maxLength, just within: {"list":[7],"mode":"On","name":"aaa"}: accepted"#,
            r#"/spec/name minLength: {"list":[7],"mode":"On","name":""}: at least"#,
            r#"/spec/name maxLength: {"list":[7],"mode":"On","name":"aaaa"}: may not be more than"#,
        ]
    );
}

#[test]
fn an_object_without_a_bounded_field_is_no_start() {
    let object = json!({"spec": {"name": "n", "list": [7]}});
    assert_eq!(
        of_fields(&schema(), &[&object]),
        Err("no object has /spec/mode, which has rules".to_owned())
    );
}

#[test]
fn rules_that_span_fields_are_found() {
    let found = spanning(&schema());
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&*found[0].field, &*found[0].message),
        ("/spec", "anything goes")
    );
}
