//! Our entries among the addresses of an Ingress. Pure: JSON and data in, what has to change out.
//!
//! `status.loadBalancer.ingress` is one list for every controller, and its entries do not say whose they are. What we
//! have put there stands in an annotation, [`annotation::PUBLISHED`], which the same write changes. All other entries
//! are foreign: they stay as and where they are.

use std::collections::BTreeMap;

use api::annotation;
use gateway_core::{Address, AddressKind};
use serde_json::{Value, json};

/// What is known of an Ingress as the API server has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    /// Its status.
    pub(crate) status: &'a Value,
    /// Its annotation.
    pub(crate) published: Option<&'a str>,
    /// We were the last to write the list. Where the annotation is lost (an Ingress that was replaced as a whole),
    /// those of `here` that are in the list are ours.
    pub(crate) placed: bool,
    /// Where our Gateway for Ingresses is now.
    pub(crate) here: &'a [Address],
    /// Our name.
    pub(crate) controller: &'a str,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// A merge patch for `status`.
    pub(crate) status: Value,
    /// A merge patch for `metadata.annotations`.
    pub(crate) annotations: Value,
    /// Entries that we had put there have been overwritten: another controller takes the whole list for its own.
    pub(crate) overwritten: bool,
}

impl Change {
    /// Of the status alone.
    pub(crate) const fn of_status(status: Value) -> Self {
        Self {
            status,
            annotations: Value::Null,
            overwritten: false,
        }
    }
}

/// By controller, addresses.
type Published = BTreeMap<String, Vec<String>>;

/// What has to change so that just `wanted` are there of ours; `None`: nothing.
pub(crate) fn change(known: &Known<'_>, wanted: &[Address]) -> Option<Change> {
    let read = |text| serde_json::from_str::<Published>(text).unwrap_or_default();
    let before: Published = known.published.map(read).unwrap_or_default();
    let noted = before.get(known.controller);
    let ours = |address: &str| match noted {
        Some(noted) => noted.iter().any(|noted| noted == address),
        None => known.placed && known.here.iter().any(|here| here.value == address),
    };
    let is_wanted = |address: &str| wanted.iter().any(|wanted| wanted.value == address);
    let live = known.status["loadBalancer"]["ingress"].as_array();
    let live = live.map_or(&[][..], Vec::as_slice);
    let mut entries = Vec::new();
    let mut published = Vec::new();
    for entry in live {
        let address = address_of(entry);
        if ours(address) {
            if !is_wanted(address) {
                continue;
            }
            published.push(address.to_owned());
        }
        entries.push(entry.clone());
    }
    for address in wanted {
        // One that somebody else has put there is theirs to take away.
        if !live.iter().any(|entry| address_of(entry) == address.value) {
            published.push(address.value.clone());
            entries.push(entry(address));
        }
    }
    published.dedup();
    let mut after = before.clone();
    match published.is_empty() {
        true => after.remove(known.controller),
        false => after.insert(known.controller.to_owned(), published),
    };
    let same = entries == live && after == before;
    let missing =
        |noted: &String| is_wanted(noted) && !live.iter().any(|entry| address_of(entry) == noted);
    (!same).then(|| Change {
        status: match entries == live {
            true => json!({}),
            false => json!({ "loadBalancer": { "ingress": entries } }),
        },
        annotations: json!({ annotation::PUBLISHED: text(&after) }),
        overwritten: noted.is_some_and(|noted| noted.iter().any(missing)),
    })
}

/// Whether a controller has put anything into the status of the Ingress with this annotation.
pub(crate) fn is_published(annotation: &str, controller: &str) -> bool {
    serde_json::from_str::<Published>(annotation).is_ok_and(|all| all.contains_key(controller))
}

fn text(published: &Published) -> Option<String> {
    let text = || serde_json::to_string(published).ok();
    (!published.is_empty()).then(text).flatten()
}

fn entry(address: &Address) -> Value {
    match address.kind {
        AddressKind::Ip => json!({ "ip": address.value }),
        AddressKind::Hostname => json!({ "hostname": address.value }),
    }
}

/// An entry has one of the two.
fn address_of(entry: &Value) -> &str {
    let field = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    field("ip")
        .or_else(|| field("hostname"))
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
