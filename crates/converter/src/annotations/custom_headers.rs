//! `custom-headers`.

use api::ObjectKey;

use super::{Effect, Family, Key, Reader, Settings, header_control::MOST};
use crate::{native::Rule, note::Outcome, profile::Profile, value};

/// See [`Family`].
pub(super) const CUSTOM_HEADERS: Family = Family {
    name: "custom-headers",
    keys: &[Key {
        name: KEY,
        doc: "NAMESPACE/NAME of a ConfigMap in the namespace of the Ingress, in class nginx alone: its keys are headers that are set on answers, with its values as they stand; a dollar is a dollar. `global-allowed-response-headers` of ingress-nginx' own ConfigMap is not asked.",
        becomes: "ResponseHeaderModifier `set`. Refused: in other classes; headers that frame a message (`Content-Length`, `Connection` …), and those beyond 16, without which the others count. Refused, and nobody is let in, as ingress-nginx answers 503: no such ConfigMap, or one of another namespace; a key or value that is none of a header.",
    }],
    apply,
};

const KEY: &str = "custom-headers";

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let Some(text) = reader.text(KEY) else {
        return;
    };
    if reader.profile() == Profile::Higress {
        let message = "Higress does not know it; write `higress.io/response-header-control-update`";
        return reader.say(KEY, Outcome::Refused, message);
    }
    if settings.canary.is_some() || text.is_empty() {
        return reader.exact(KEY, Effect::Default, "none");
    }
    match headers(reader, &text) {
        Ok(headers) => set(reader, settings, headers),
        Err(why) => {
            reader.say(KEY, Outcome::Refused, format!("{why}; nobody is let in"));
            settings.deny();
        }
    }
}

/// What the ConfigMap has.
fn headers(reader: &Reader<'_>, text: &str) -> Result<Vec<(String, String)>, String> {
    let (Some(namespace), name) = value::object_ref(text)? else {
        return Err(format!("{text:?} is not NAMESPACE/NAME"));
    };
    if namespace != reader.namespace() {
        return Err(format!(
            "{text:?} is not in the namespace of the Ingress, {:?}",
            reader.namespace()
        ));
    }
    let map = reader.config_map(&ObjectKey::new(&*namespace, name));
    let map = map.ok_or_else(|| format!("ConfigMap {text} does not exist"))?;
    let data = map.data.iter().flatten();
    let headers = data.map(|(name, value)| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!("{name:?} of ConfigMap {text} is no header's name"));
        }
        if value.is_empty() || !value.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(format!("{name} of ConfigMap {text} is no header's value"));
        }
        Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
    });
    headers.collect()
}

fn set(reader: &mut Reader<'_>, settings: &mut Settings, headers: Vec<(String, String)>) {
    let none = headers.is_empty();
    let mut left_out = Vec::new();
    let all = &mut settings.response_headers.update;
    for (name, value) in headers {
        if api::header::frames_a_message(&name) {
            left_out.push(format!("{name} says how a message is framed"));
        } else if let Some((_, known)) = all.iter_mut().find(|(known, _)| *known == name) {
            *known = value;
        } else if all.len() < MOST {
            all.push((name, value));
        } else {
            left_out.push(format!(
                "{name} is beyond the {MOST} that Gateway API takes"
            ));
        }
    }
    if left_out.is_empty() {
        let effect = match none {
            true => Effect::Default,
            false => Effect::Rule(sets),
        };
        reader.exact(KEY, effect, "ResponseHeaderModifier set");
    } else {
        let message = format!("{}; the others count", left_out.join("; "));
        reader.say(KEY, Outcome::Refused, message);
    }
}

/// Whether a rule sets headers of answers.
fn sets(rule: &Rule) -> bool {
    let filters = rule.filters.iter().flatten();
    let mut mods = filters.filter_map(|filter| filter.response_header_modifier.as_ref());
    mods.any(|mods| mods.set.is_some())
}
