//! What belongs to parts of Higress that are no gateway, Dubbo and MCP, or that later releases of it dropped. Refused
//! by name, each with a reason.

use super::{Family, Key, Reader, Settings};
use crate::note::Outcome;

/// See [`Family`].
pub(super) const FOREIGN: Family = Family {
    name: "foreign",
    keys: KEYS,
    apply,
};

const DUBBO: &str = "calls are not translated to Dubbo: the backend has to speak HTTP or gRPC";
const MCP: &str = "MCP servers are not registered or translated to here: one that speaks HTTP itself is an ordinary backend";

const AUTHZ: &str =
    "Higress' later releases do not read it, and neither does Postern: write auth-url";

macro_rules! keys {
    ($($becomes:literal { $($name:literal: $doc:literal,)* })*) => {
        &[$($(Key { name: $name, doc: $doc, becomes: $becomes }),*),*]
    };
}

const KEYS: &[Key] = keys! {
    "Refused: Postern passes HTTP and gRPC on, and translates neither to Dubbo nor to MCP." {
        "rpc-destination-name": "Http2Rpc object for calls to Dubbo.",
        "mcp-sse-stateful-param-name": "Query parameter of the MCP session.",
        "mcp-server": "true: registers an MCP server.",
        "mcp-server-match-rule-domains": "Domains of the MCP server.",
        "mcp-server-match-rule-type": "Match type of the MCP server.",
        "mcp-server-match-rule-value": "Match value of the MCP server.",
        "mcp-server-upstream-type": "rest, sse or streamable.",
        "mcp-server-enable-path-rewrite": "true: rewrites the path of the MCP server.",
        "mcp-server-path-rewrite-prefix": "Prefix of that rewrite.",
    }
    "Refused: nobody is let in; `auth-url` asks an authenticator." {
        "authz-type": "ext-authz: an authenticator of older releases of Higress is asked.",
    }
    "Refused: `authz-type` alone decides, and lets nobody in." {
        "ext-authz-NAME": "Which authenticator that is, and what it is told.",
    }
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    for key in KEYS {
        let why = match key.name {
            name if name.starts_with("mcp-") => MCP,
            name if name.starts_with("rpc-") => DUBBO,
            _ => continue,
        };
        reader.say(key.name, Outcome::Refused, why);
    }
    for (name, _) in reader.named("ext-authz-") {
        reader.say(name, Outcome::Refused, AUTHZ);
    }
    if reader.has("authz-type") {
        let message = format!("{AUTHZ}; nobody is let in until the annotation is gone");
        reader.say("authz-type", Outcome::Refused, message);
        // Whom a canary lets in is for its base to say.
        if settings.canary.is_none() {
            settings.close();
        }
    }
}
