//! What belongs to parts of Higress that are no gateway: Dubbo and MCP. Refused by name, each with a reason.

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

macro_rules! keys {
    ($($name:literal: $doc:literal,)*) => {
        &[$(Key { name: $name, doc: $doc, becomes: "Refused: Postern passes HTTP and gRPC on, and translates neither to Dubbo nor to MCP." }),*]
    };
}

const KEYS: &[Key] = keys! {
    "rpc-destination-name": "Http2Rpc object for calls to Dubbo.",
    "mcp-sse-stateful-param-name": "Query parameter of the MCP session.",
    "mcp-server": "true: registers an MCP server.",
    "mcp-server-match-rule-domains": "Domains of the MCP server.",
    "mcp-server-match-rule-type": "Match type of the MCP server.",
    "mcp-server-match-rule-value": "Match value of the MCP server.",
    "mcp-server-upstream-type": "rest, sse or streamable.",
    "mcp-server-enable-path-rewrite": "true: rewrites the path of the MCP server.",
    "mcp-server-path-rewrite-prefix": "Prefix of that rewrite.",
};

fn apply(reader: &mut Reader<'_>, _: &mut Settings) {
    for key in KEYS {
        let why = if key.name.starts_with("mcp-") {
            MCP
        } else {
            DUBBO
        };
        reader.say(key.name, Outcome::Refused, why);
    }
}
