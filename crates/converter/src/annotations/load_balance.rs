//! `load-balance`, `upstream-hash-by`.

use api::{HashOn, HashSource, LoadBalancing, LoadBalancingType};

use super::{Effect, Family, Key, Reader, Settings};
use crate::{note::Outcome, value};

/// See [`Family`].
pub(super) const LOAD_BALANCE: Family = Family {
    name: "load-balance",
    keys: &[
        Key {
            name: "load-balance",
            doc: "round_robin, least_conn or random. Default round_robin.",
            becomes: "BackendPolicy `loadBalancing.type`. No effect: upstream-hash-by is set and wins. Approximated: ewma becomes LeastRequest. Refused: other values; round_robin it is.",
        },
        Key {
            name: "upstream-hash-by",
            doc: "Consistent hash by $request_uri, $host, $remote_addr, $http_NAME or $arg_NAME; wins over load-balance.",
            becomes: "BackendPolicy `loadBalancing` of type ConsistentHash. Refused: other variables, or several at once; then load-balance counts.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    let algorithm = reader.parse("load-balance", algorithm);
    let hashed = match reader.text("upstream-hash-by") {
        Some(text) => match hash_on(&text, reader.is_nginx("upstream-hash-by")) {
            Ok(on) => Some(on),
            Err(why) => {
                reader.say("upstream-hash-by", Outcome::Refused, why);
                None
            }
        },
        None => None,
    };
    if let Some(on) = &hashed {
        reader.exact(
            "upstream-hash-by",
            Effect::BackendPolicy(|policy| policy.load_balancing.is_some()),
            format!("BackendPolicy loadBalancing.hashOn {:?}", on.source),
        );
    }
    if let Some((_, exact)) = algorithm {
        match (&hashed, exact) {
            (Some(_), _) => reader.beaten("load-balance", "upstream-hash-by"),
            (None, true) => {
                let effect = Effect::BackendPolicy(|policy| policy.load_balancing.is_some());
                reader.exact("load-balance", effect, "BackendPolicy loadBalancing.type");
            }
            (None, false) => {
                let effect = Effect::BackendPolicy(|policy| policy.load_balancing.is_some());
                let message = "BackendPolicy loadBalancing.type LeastRequest: the fewest requests in flight, without regard to how long they take";
                reader.close_to("load-balance", effect, message);
            }
        }
    }
    let type_ = match (&hashed, algorithm) {
        (Some(_), _) => LoadBalancingType::ConsistentHash,
        (None, Some((algorithm, _))) => algorithm,
        (None, None) => return,
    };
    settings.backend_policy_mut().load_balancing = Some(LoadBalancing {
        type_,
        hash_on: hashed,
    });
}

/// As BackendPolicy has it, and whether that is just what was asked for.
fn algorithm(text: &str) -> Result<(LoadBalancingType, bool), String> {
    use LoadBalancingType::{LeastRequest, Random, RoundRobin};
    match text.to_ascii_lowercase().as_str() {
        "round_robin" => Ok((RoundRobin, true)),
        "least_conn" | "least_request" => Ok((LeastRequest, true)),
        "random" => Ok((Random, true)),
        "ewma" => Ok((LeastRequest, false)),
        _ => Err(format!(
            "{text:?} is none of round_robin, least_conn and random; round_robin it is"
        )),
    }
}

/// nginx writes the dashes of a header's name as underscores; Higress takes names as they are.
fn hash_on(text: &str, nginx: bool) -> Result<HashOn, String> {
    let on = |source, name| Ok(HashOn { source, name });
    match text {
        "$request_uri" => on(HashSource::Uri, None),
        "$host" => on(HashSource::Host, None),
        "$remote_addr" => on(HashSource::ClientAddress, None),
        _ => {
            if let Some(name) = text.strip_prefix("$http_") {
                let name = if nginx {
                    name.replace('_', "-")
                } else {
                    name.to_owned()
                };
                return on(HashSource::Header, Some(value::header_name(&name)?));
            }
            let argument = text
                .strip_prefix("$arg_")
                .filter(|name| !name.is_empty() && !name.contains(['$', '{', '}']));
            let name = argument.ok_or_else(|| {
                format!("{text:?} is none of $request_uri, $host, $remote_addr, $http_NAME and $arg_NAME; requests go to one endpoint after another")
            })?;
            on(HashSource::QueryParam, Some(name.to_owned()))
        }
    }
}
