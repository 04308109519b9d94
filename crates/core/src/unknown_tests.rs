use api::{Kind, Object, ObjectKey, Resources};
use serde_json::{Value, json};
use tracked::View;

use super::Unknown;

const REASON: &str = "UnsupportedValue";

fn with(spec: &Value, test: impl Fn(Unknown<'_>)) {
    let object = json!({"metadata": {"name": "x", "namespace": "default"}, "spec": spec});
    let mut resources = Resources::default();
    resources.insert_reading(Object::read(Kind::HttpRoute, object).unwrap());
    let key = ObjectKey::new("default", "x");
    test(Unknown::of(&View::new(&resources), Kind::HttpRoute, &key));
}

#[test]
fn a_field_closes_its_own_rule_and_one_above_closes_all() {
    let rules = json!([{"gate": 1}, {"timeouts": {"idle": "1s"}}, {}]);
    with(&json!({"rules": rules}), |unknown| {
        let message = unknown.rule(0, REASON).unwrap().message;
        let wanted = "field spec.rules[0].gate is not known here: misspelt, or of a newer version of the kind";
        assert_eq!(message, wanted);
        assert!(unknown.rule(1, REASON).is_none() && unknown.rule(2, REASON).is_none());
        let unused = unknown.unused_in_rules().unwrap();
        assert_eq!(
            unused,
            "field spec.rules[1].timeouts.idle is not known and not used"
        );
    });
    with(&json!({"rules": rules, "gates": []}), |unknown| {
        let message = unknown.rule(0, REASON).unwrap().message;
        let both = "field spec.gates and field spec.rules[0].gate are not known here";
        assert!(message.starts_with(both), "{message}");
        assert!(unknown.rule(1, REASON).is_some() && unknown.rule(2, REASON).is_some());
    });
}

#[test]
fn a_value_that_is_not_known_closes_wherever_it_is() {
    let session = json!({"sessionPersistence": {"type": "Later"}});
    with(&json!({"rules": [session]}), |unknown| {
        let message = unknown.rule(0, REASON).unwrap().message;
        assert!(message.starts_with("value \"Later\" of spec.rules[0].sessionPersistence.type is"));
        assert_eq!(unknown.unused_in_rules(), None);
    });
}

#[test]
fn what_is_not_kept_by_name_may_be_anywhere() {
    let many = (0..40).map(|at| (format!("f{at:02}"), json!(1)));
    let rule = Value::Object(many.collect());
    with(&json!({"rules": [{}, rule]}), |unknown| {
        let message = unknown.rule(0, REASON).unwrap().message;
        assert!(
            message.starts_with("8 more are not known here"),
            "{message}"
        );
        let message = unknown.rule(1, REASON).unwrap().message;
        let text = "field spec.rules[1].f00, field spec.rules[1].f01, field spec.rules[1].f02, field spec.rules[1].f03, \
                    field spec.rules[1].f04 and 35 more are not known here";
        assert!(message.starts_with(text), "{message}");
    });
}

#[test]
fn an_object_without_them_has_none() {
    with(&json!({"rules": [{"name": "a"}]}), |unknown| {
        assert!(unknown.anywhere(REASON).is_none() && unknown.rule(0, REASON).is_none());
        assert_eq!(unknown.unused_in_rules(), None);
    });
}
