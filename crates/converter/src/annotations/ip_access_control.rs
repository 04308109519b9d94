//! `whitelist-source-range`, also as `allowlist-source-range`, and `denylist-source-range`.

use std::net::IpAddr;

use api::{ClientAddresses, RoutePolicySpec};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{effect::Written, note::Outcome, value};

/// See [`Family`].
pub(super) const IP_ACCESS_CONTROL: Family = Family {
    name: "ip-access-control",
    keys: &[
        Key {
            name: "whitelist-source-range",
            doc: "Networks or addresses, separated by commas, that may ask; others are answered with 403. An empty list, or one that cannot be read, lets nobody in. * is everybody, but in class nginx no address.",
            becomes: "RoutePolicy `clientAddresses.allow`. Refused: an entry that is no address or network, or no entry at all; nobody is let in.",
        },
        Key {
            name: "allowlist-source-range",
            doc: "The newer name of whitelist-source-range; of the two it wins.",
            becomes: "RoutePolicy `clientAddresses.allow`. Refused: a list with anything that is no network, or without any; then nobody is let in.",
        },
        Key {
            name: "denylist-source-range",
            doc: "Networks or addresses, separated by commas, that may not ask; they are answered with 403. A list that cannot be read lets nobody in.",
            becomes: "RoutePolicy `clientAddresses.deny`. Refused: an entry that is no address or network, or no entry at all; nobody is let in.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let mut addresses = ClientAddresses::default();
    let star = reader.profile().star_is_everybody();
    let newer = reader.has("allowlist-source-range");
    if newer {
        reader.beaten("whitelist-source-range", "allowlist-source-range");
    }
    for (key, field) in [
        ("allowlist-source-range", "allow"),
        ("whitelist-source-range", "allow"),
        ("denylist-source-range", "deny"),
    ] {
        let list = match field {
            "allow" => &mut addresses.allow,
            _ => &mut addresses.deny,
        };
        let beaten = newer && key == "whitelist-source-range";
        let Some(text) = reader.text(key).filter(|_| !beaten) else {
            continue;
        };
        if star && key == "whitelist-source-range" && value::list(&text).contains(&"*") {
            let message = "no addresses are asked for: * is every one, so everybody is let in";
            reader.exact(key, Effect::Default, message);
            continue;
        }
        match networks(&text) {
            Ok(entries) => {
                *list = entries;
                let effect = match field {
                    "allow" => Effect::RoutePolicy(allows),
                    _ => Effect::In(denies),
                };
                let message = format!("RoutePolicy clientAddresses.{field}");
                reader.exact(key, effect, message);
            }
            Err(why) => {
                let message = format!("{why}; nobody is let in");
                reader.say(key, Outcome::Refused, message);
                return settings.deny();
            }
        }
    }
    if addresses != ClientAddresses::default() {
        // Whoever has closed the route before keeps it closed.
        let policy = settings.route_policy_mut();
        policy.client_addresses.get_or_insert(addresses);
    }
}

fn allows(policy: &RoutePolicySpec) -> bool {
    let addresses = policy.client_addresses.as_ref();
    addresses.is_some_and(|addresses| !addresses.allow.is_empty())
}

fn denies(written: &Written<'_>) -> bool {
    let mut policies = written.route_policies();
    let mut addresses = policies
        .by_ref()
        .filter_map(|policy| policy.client_addresses.as_ref());
    !written.source.settings.is_closed() && addresses.any(|addresses| !addresses.deny.is_empty())
}

/// As many entries as a RoutePolicy takes.
const MOST: usize = 1024;

/// A list that says something: an empty one would let in everybody.
fn networks(text: &str) -> Result<Vec<String>, String> {
    let entries = value::list(text);
    match entries.iter().find(|entry| !is_network(entry)) {
        Some(wrong) => Err(format!(
            "{wrong:?} is neither an address nor a network such as 10.0.0.0/8"
        )),
        None if entries.is_empty() => Err(format!("{text:?} names no network")),
        None if entries.len() > MOST => Err(format!("more than {MOST} networks")),
        None => Ok(entries.into_iter().map(str::to_owned).collect()),
    }
}

/// An address, or a network in CIDR.
pub(super) fn is_network(text: &str) -> bool {
    let (address, prefix) = text
        .split_once('/')
        .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    let digits = |prefix: &str| prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
    prefix.is_none_or(|prefix| {
        digits(prefix) && prefix.parse::<u8>().is_ok_and(|prefix| prefix <= longest)
    })
}
