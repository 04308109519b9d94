//! `destination`.

use api::{BackendProtocol, Kind, ObjectRef};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{
    external::External,
    lookup::Lookup,
    note::Outcome,
    registry,
    service::{self, ServiceName, ServiceRef},
    value,
};

/// See [`Family`].
pub(super) const DESTINATION: Family = Family {
    name: "destination",
    keys: &[Key {
        name: "destination",
        doc: "Hosts for paths whose backend is the resource McpBridge, one a line: [N%] host[:port]. NAME.dns and NAME.static are registries of the McpBridge named default. Default port 80, of a Service of the cluster its first, of a registry its own; default share 100.",
        becomes: "Weighted `backendRefs`: to Services of type ExternalName, to the Service that name.namespace.svc.cluster.local is, or to one with the endpoints of a registry, and BackendPolicy `protocol` and `tls` where the registry says more than http. No effect: no path has such a backend. Approximated: another namespace has no ReferenceGrant; backend-protocol beside a registry with TLS and a Service. Refused: registries of other types, such as nacos, names that the McpBridge does not have, and registries that cannot be used, whose share is answered with 503; subsets, and what is no host, by which such paths answer 500.",
    }],
    apply,
};

/// Gateway API's limit of backends.
const MOST: usize = 16;

const KEY: &str = "destination";

/// One of several backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) reference: ServiceRef,
    pub(crate) share: u64,
}

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    if !reader.has(KEY) {
        return;
    }
    if !reader.has_bridge() {
        let message = "no path has the backend resource McpBridge, which it is for";
        reader.say(KEY, Outcome::NoEffect, message);
        return;
    }
    let (object, lookup) = (reader.object, reader.lookup);
    let places = reader.parse(KEY, |text| {
        let places = lines(text)?
            .into_iter()
            .map(|line| place(line, object, lookup));
        places.collect::<Result<Vec<_>, String>>()
    });
    let Some(places) = places else {
        return;
    };
    let (mut missing, mut lost) = (Vec::new(), Vec::new());
    let mut encrypted = false;
    for place in places {
        missing.extend(service::missing_grant(
            Kind::HttpRoute,
            &object.key.namespace,
            &place.reference,
            lookup,
        ));
        lost.extend(place.lost);
        encrypted |= place.external.as_ref().is_some_and(External::is_encrypted);
        settings.externals.extend(place.external);
        settings.destinations.push(Destination {
            reference: place.reference,
            share: place.share,
        });
    }
    let protocol = settle_tls(reader, settings, encrypted);
    if !lost.is_empty() {
        let message = format!("{}; requests for it are answered with 503", lost.join("; "));
        reader.say(KEY, Outcome::Refused, message);
        return;
    }
    let effect = Effect::Rule(|rule| rule.backend_refs.iter().flatten().next().is_some());
    if !missing.is_empty() {
        reader.close_to(KEY, effect, missing.join("; "));
    } else if let Some(why) = protocol {
        reader.close_to(KEY, effect, why);
    } else {
        let message = match encrypted {
            true => {
                "weighted backendRefs; by TLS where the registry says so, and no certificate is looked at"
            }
            false => "weighted backendRefs",
        };
        reader.exact(KEY, effect, message);
    }
}

/// A registry that says TLS goes before `backend-protocol`, as in Higress: a policy of the route would go before that
/// of the Service. Gives what is not so.
fn settle_tls(
    reader: &mut Reader<'_>,
    settings: &mut Settings,
    encrypted: bool,
) -> Option<&'static str> {
    const PROTOCOL: &str = "backend-protocol";
    let policy = settings.backend_policy.as_deref_mut();
    let policy = policy.filter(|_| encrypted)?;
    let tls = policy.tls.as_ref()?;
    if tls.ca_certificate_ref.is_some() || tls.client_certificate_ref.is_some() {
        return Some("proxy-ssl-secret goes before what a registry says of TLS");
    }
    if !reader.has_only_bridges() {
        return Some(
            "backend-protocol goes before what a registry says of TLS, as there are Services among the backends too",
        );
    }
    policy.tls = None;
    if policy.protocol == Some(BackendProtocol::HTTP1) {
        policy.protocol = None;
        let message = "a registry of destination says TLS, and wins";
        reader.say(PROTOCOL, Outcome::NoEffect, message);
    }
    None
}

/// Where a line leads.
struct Place {
    reference: ServiceRef,
    share: u64,
    external: Option<External>,
    /// Why it leads nowhere.
    lost: Option<String>,
}

fn place(line: Line, object: &ObjectRef, lookup: &Lookup<'_>) -> Result<Place, String> {
    let ingress = &object.key.name;
    let Line { share, host, port } = line;
    let outside = |external: External, lost| Place {
        reference: external.reference(),
        share,
        external: Some(external),
        lost,
    };
    if let Some(name) = registry::name(&host) {
        return Ok(match registry::find(name, port, lookup) {
            Ok(service) => outside(External::registered(ingress, &host, service), None),
            Err(why) => outside(External::nowhere(ingress, &host, port), Some(why)),
        });
    }
    let host = value::precise_hostname(&host)?;
    Ok(match ServiceName::of_host(&host, port) {
        Some(name) => Place {
            reference: name.reference(&object.key.namespace, lookup)?,
            share,
            external: None,
            lost: None,
        },
        None => outside(External::new(ingress, &host, port.unwrap_or(80)), None),
    })
}

fn lines(text: &str) -> Result<Vec<Line>, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<Line> = lines.map(line).collect::<Result<_, _>>()?;
    if lines.is_empty() || lines.len() > MOST || lines.iter().all(|line| line.share == 0) {
        return Err(format!(
            "1 to {MOST} destinations are needed, one of them above 0%"
        ));
    }
    Ok(lines)
}

struct Line {
    share: u64,
    host: String,
    port: Option<u16>,
}

/// `[N%] host[:port] [subset]`.
fn line(text: &str) -> Result<Line, String> {
    let mut words = text.split_whitespace().peekable();
    let share = match words.next_if(|word| word.ends_with('%')) {
        Some(word) => {
            let number = value::number(word.trim_end_matches('%'))?;
            u64::try_from(number)
                .ok()
                .filter(|share| *share <= 100)
                .ok_or_else(|| format!("{word:?} is not 0% to 100%"))?
        }
        None => 100,
    };
    let address = words
        .next()
        .ok_or_else(|| format!("{text:?} names no host"))?;
    if let Some(subset) = words.next() {
        return Err(format!(
            "subset {subset:?} of {address}: there are no subsets; name a Service that selects those endpoints"
        ));
    }
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(service::port(port)?)),
        None => (address, None),
    };
    Ok(Line {
        share,
        host: host.to_owned(),
        port,
    })
}
