//! Every rule in the schemas of our kinds, with an object that keeps it and one that breaks it, on a real API server.
//!
//! `testdata/crds/KIND.yaml` has an object with every field that a rule bounds, and for each rule that spans fields the
//! objects that keep and break it. Rules that bound one field need no more: their cases are derived.

use std::fs;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Cluster,
    cases::{self, Case, Spanning},
    definitions,
};
use crate::crds;

/// What a file in `testdata/crds` holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// One that is accepted.
    object: Value,
    /// Others that are accepted, with fields that the first cannot have beside its own.
    #[serde(default)]
    others: Vec<Value>,
    /// Rules that span fields, by their messages.
    #[serde(default)]
    rules: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    message: String,
    keeps: Change,
    breaks: Change,
}

/// How an object differs from that of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    at: String,
    value: Value,
}

/// Lets the API server judge every case, without storing any.
pub(super) fn every_rule_is_enforced(cluster: &Cluster<'_>) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    definitions::apply(cluster)?;
    let mut judged = 0;
    for definition in crds::definitions()? {
        let cases = of_kind(cluster, &definition)?;
        let spanning = cases::spanning(schema(&definition));
        judged += cases.len();
        let manifest = manifest(&cases);
        // kubectl would refuse a whole list for one object that lacks a field; the API server is to judge each.
        let create = ["create", "--dry-run=server", "--validate=ignore", "-f", "-"];
        let verdict = cluster.kubectl_reads(&create, &manifest)?;
        if !verdict.contains("created (server dry run)") {
            bail!(
                "nothing is accepted: {}",
                verdict.lines().next().unwrap_or_default()
            );
        }
        for (number, case) in cases.iter().enumerate() {
            findings.extend(finding(case, &name(number), &verdict, &spanning));
        }
    }
    cluster
        .terminal
        .line(&format!("{judged} objects, one by one"))?;
    Ok(findings)
}

fn of_kind(cluster: &Cluster<'_>, definition: &Value) -> anyhow::Result<Vec<Case>> {
    let plural = definition["spec"]["names"]["plural"]
        .as_str()
        .context("a definition has no name")?;
    let path = cluster
        .root
        .join(format!("xtask/testdata/crds/{plural}.yaml"));
    let text =
        fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    of_table(schema(definition), &text).with_context(|| path.display().to_string())
}

fn schema(definition: &Value) -> &Value {
    &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

fn of_table(schema: &Value, text: &str) -> anyhow::Result<Vec<Case>> {
    let table: Table = serde_saphyr::from_str(text)?;
    let objects: Vec<&Value> = std::iter::once(&table.object)
        .chain(&table.others)
        .collect();
    let whole = objects.iter().map(|object| Case {
        rule: "an object of the table".to_owned(),
        object: Value::clone(object),
        refusal: None,
        derived: false,
    });
    let mut all: Vec<Case> = whole.collect();
    match cases::of_fields(schema, &objects) {
        Ok(cases) => all.extend(cases),
        Err(lack) => bail!("{lack}"),
    }
    let spanning = cases::spanning(schema);
    for rule in &spanning {
        if !table.rules.iter().any(|row| row.message == rule.message) {
            bail!("no row for the rule at {}: {:?}", rule.field, rule.message);
        }
    }
    for row in table.rules {
        if !spanning.iter().any(|rule| rule.message == row.message) {
            bail!("a row for no rule: {:?}", row.message);
        }
        for (change, refusal) in [(row.keeps, None), (row.breaks, Some(row.message.clone()))] {
            all.push(Case {
                rule: row.message.clone(),
                object: cases::with(&table.object, &change.at, change.value),
                refusal,
                derived: false,
            });
        }
    }
    Ok(all)
}

/// What cases are called on the API server, so that its answers can be told apart.
fn name(number: usize) -> String {
    format!("case-{number}-")
}

fn manifest(cases: &[Case]) -> String {
    let objects = cases.iter().enumerate().map(|(number, case)| {
        let mut object = case.object.clone();
        object["metadata"]["name"] = Value::from(name(number) + "x");
        object
    });
    let items: Vec<Value> = objects.collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// What is wrong with the verdict on a case.
fn finding(case: &Case, name: &str, verdict: &str, spanning: &[Spanning]) -> Option<String> {
    let said: Vec<&str> = paragraphs(verdict, name);
    // The API server looks at these only once all fields are within their bounds, and they leave less room than some.
    let within = case.derived
        && spanning
            .iter()
            .any(|rule| said.iter().any(|line| line.contains(&rule.message)));
    let accepted = said
        .iter()
        .any(|line| line.contains("created (server dry run)"));
    let rule = &case.rule;
    match &case.refusal {
        None if accepted || within => None,
        None => Some(format!("{rule}: refused: {}", said.join(" "))),
        Some(_) if accepted => Some(format!("{rule}: broken, and accepted")),
        Some(refusal) if said.iter().any(|line| line.contains(refusal.as_str())) => None,
        Some(refusal) => Some(format!(
            "{rule}: no word of {refusal:?}: {}",
            said.join(" ")
        )),
    }
}

/// The lines about that object: the first has its name, and the others, if any, begin with an asterisk.
fn paragraphs<'a>(verdict: &'a str, name: &str) -> Vec<&'a str> {
    let mut about = false;
    verdict
        .lines()
        .filter(|line| {
            if !line.trim_start().starts_with('*') && !line.trim().is_empty() {
                about = line.contains(name);
            }
            about
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::Value;

    use super::{Case, Spanning, finding, of_table};
    use crate::{crds, workspace};

    /// So that who adds a rule learns without a cluster that it wants a case.
    #[test]
    fn every_kind_has_a_table_with_all_rules() {
        let root = workspace::root().unwrap();
        for definition in crds::definitions().unwrap() {
            let plural = definition["spec"]["names"]["plural"].as_str().unwrap();
            let path = root.join(format!("xtask/testdata/crds/{plural}.yaml"));
            let text = fs::read_to_string(&path).unwrap();
            let cases = of_table(super::schema(&definition), &text);
            let cases = cases.unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
            assert!(cases.iter().any(|case| case.refusal.is_some()), "{plural}");
        }
    }

    #[test]
    fn verdicts_are_read() {
        let verdict = "\
thing.postern.dev/case-1-x created (server dry run)
The Thing \"case-2-x\" is invalid: spec.a: Too long: may not be more than 3 bytes
The Thing \"case-3-x\" is invalid:
* spec.b: Required value
* <nil>: other
The Thing \"case-4-x\" is invalid: spec: Invalid value: one or the other
";
        let case = |refusal: Option<&str>| Case {
            rule: "r".to_owned(),
            object: Value::Null,
            refusal: refusal.map(str::to_owned),
            derived: true,
        };
        let spanning = [Spanning {
            field: "/spec".to_owned(),
            message: "one or the other".to_owned(),
        }];
        let finding = |case: &Case, name: &str| finding(case, name, verdict, &spanning);
        assert_eq!(finding(&case(None), "case-1-"), None);
        assert_eq!(finding(&case(Some("Too long")), "case-2-"), None);
        assert_eq!(finding(&case(Some("Required value")), "case-3-"), None);
        assert_eq!(finding(&case(None), "case-4-"), None);
        let keeps = Case {
            derived: false,
            ..case(None)
        };
        assert!(finding(&keeps, "case-4-").is_some());
        assert!(finding(&case(None), "case-2-").is_some());
        assert!(finding(&case(Some("Too long")), "case-1-").is_some());
        assert!(finding(&case(Some("Required value")), "case-2-").is_some());
        assert!(finding(&case(None), "case-9-").is_some(), "never judged");
    }
}
