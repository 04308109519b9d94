//! Who may ask: `deny`, `allow`, error codes, passwords.

use super::{super::Directive, short};

/// Where one of these stands in a snippet that cannot be read, it may keep somebody out.
pub(super) const WORDS: &[&str] = &[
    "deny",
    "return",
    "auth_",
    "access_by_lua",
    "SecRuleEngine On",
    "ssl_verify_client",
];

/// Whether a directive keeps somebody out by itself.
pub(super) fn restricts(directive: &Directive) -> bool {
    let first = directive.arg(0);
    match directive.name.as_str() {
        "deny" => true,
        "return" => error_code(first).is_some(),
        "auth_basic" | "auth_request" | "auth_jwt" => first != "off",
        "ssl_verify_client" => first != "off",
        "secruleengine" => first.eq_ignore_ascii_case("on"),
        "modsecurity_rules" => directive
            .args
            .iter()
            .any(|arg| arg.contains("SecRuleEngine On")),
        name => name.starts_with("access_by_lua"),
    }
}

fn error_code(text: &str) -> Option<u16> {
    text.parse().ok().filter(|code| (400..600).contains(code))
}

/// What to write instead of one directive; address lists are looked at together.
pub(super) fn instead(directive: &Directive) -> Option<String> {
    let first = short(directive.arg(0));
    let text = match directive.name.as_str() {
        "return" => match error_code(&first)? {
            403 => {
                "`denylist-source-range: \"0.0.0.0/0,::/0\"` answers everybody with 403".to_owned()
            }
            404 => "leave the path out of the Ingress: what no rule matches is answered with 404"
                .to_owned(),
            405 => "`match-method` with the methods that are allowed".to_owned(),
            code => format!("a backend that answers {code}"),
        },
        "auth_basic" if first != "off" => format!(
            "`auth-type: basic`, `auth-realm: \"{first}\"` and `auth-secret` with the users"
        ),
        "auth_basic_user_file" => "a Secret with the users, named by `auth-secret`".to_owned(),
        "auth_request" if first != "off" => format!("`auth-url` for auth_request {first}"),
        "ssl_verify_client" => "`auth-tls-secret` for ssl_verify_client".to_owned(),
        _ => return None,
    };
    Some(text)
}

/// `allow` and `deny` of one block. The first that fits counts: networks before `deny all` are let in, networks before
/// `allow all`, or before nothing, are kept out.
pub(super) fn lists(directives: &[Directive]) -> Option<String> {
    let rules = directives
        .iter()
        .filter(|directive| matches!(directive.name.as_str(), "allow" | "deny"));
    let (mut allow, mut deny, mut last) = (Vec::new(), Vec::new(), None);
    for rule in rules {
        let network = rule.arg(0);
        match (rule.name.as_str(), network) {
            (name, "all") => {
                last = Some(name);
                break;
            }
            ("allow", network) => allow.push(network),
            (_, network) => deny.push(network),
        }
    }
    let closed = last == Some("deny");
    let list = |key: &str, networks: &[&str]| {
        (!networks.is_empty()).then(|| format!("`{key}: \"{}\"`", short(&networks.join(","))))
    };
    let parts = match (closed, allow.is_empty()) {
        (true, true) => vec![list("denylist-source-range", &["0.0.0.0/0", "::/0"])],
        (true, false) => vec![
            list("whitelist-source-range", &allow),
            list("denylist-source-range", &deny),
        ],
        (false, _) => vec![list("denylist-source-range", &deny)],
    };
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}
