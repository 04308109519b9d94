//! `testdata/<topic>/<case>.in.yaml` against `.out.yaml`.

use serde::Serialize;
use serde_json::Value;

use crate::{Options, Status, Translation, testing};

#[derive(Serialize)]
struct Output<'a> {
    ir: &'a ir::Ir,
    status: &'a Status,
}

fn step(input: &str) -> String {
    let resources = testing::resources(input);
    let Translation { ir, status, .. } = crate::translate(&resources, &Options::default());
    testing::assert_sound(&ir);
    testing::assert_ours(&status);
    let output = Output {
        ir: &ir,
        status: &status,
    };
    let mut value = ir::with_values(|| serde_json::to_value(output)).unwrap();
    shorten(&mut value);
    serde_saphyr::to_string(&value).unwrap()
}

/// Conditions as one line each, as [`api::Condition`] displays them: goldens are to be read.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(fields) if fields.contains_key("reason") && fields.contains_key("type") => {
            let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
            let (type_, status, reason) = (field("type"), field("status"), field("reason"));
            let mut text = format!("{type_}={status} ({reason})");
            if !field("message").is_empty() {
                text = format!("{text}: {}", field("message"));
            }
            *value = Value::String(text);
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

#[test]
fn goldens() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    testkit::golden::check_dir(dir, step);
}
