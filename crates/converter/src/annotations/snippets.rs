//! `configuration-snippet`, `server-snippet` and their kin: refused, with what to write instead.

use super::{Family, Key, Reader, Settings};
use crate::{
    note::Outcome,
    snippet::{self, Advice},
};

/// See [`Family`].
pub(super) const SNIPPETS: Family = Family {
    name: "snippets",
    keys: &[
        Key {
            name: "configuration-snippet",
            doc: "nginx configuration: refused, with the annotation to write instead. One that keeps somebody out (deny, return 403, auth_basic) lets nobody in.",
            becomes: "Nothing. Refused: always. Where it restricts access, nobody is let in until it is gone.",
        },
        Key {
            name: "server-snippet",
            doc: "nginx configuration of the host: refused, as configuration-snippet is.",
            becomes: "Nothing. Refused: always. Where it restricts access, nobody is let in until it is gone.",
        },
        Key {
            name: "auth-snippet",
            doc: "nginx configuration of the request to auth-url: refused, as configuration-snippet is. With auth-url nobody is let in.",
            becomes: "Nothing. Refused: always. Without it auth-url might decide otherwise, so nobody is let in until it is gone.",
        },
        Key {
            name: "stream-snippet",
            doc: "nginx configuration of TCP and UDP servers: refused. Gateway API has TCPRoute and UDPRoute.",
            becomes: "Nothing. Refused: always.",
        },
        Key {
            name: "modsecurity-snippet",
            doc: "Rules of the web application firewall: refused. With `SecRuleEngine On` nobody is let in.",
            becomes: "Nothing. Refused: always. With `SecRuleEngine On` nobody is let in until it is gone.",
        },
    ],
    apply,
};

fn apply(reader: &mut Reader<'_>, settings: &mut Settings) {
    for key in SNIPPETS.keys {
        let Some(text) = reader.text(key.name) else {
            continue;
        };
        let advice = match key.name {
            // The language is another one; one line of it decides whether the rules only watch.
            "modsecurity-snippet" => {
                let blocks = text.lines().any(|line| {
                    let mut words = line.split_ascii_whitespace();
                    let engine = words.next().unwrap_or_default();
                    engine.eq_ignore_ascii_case("SecRuleEngine")
                        && words
                            .next()
                            .is_some_and(|mode| mode.eq_ignore_ascii_case("on"))
                });
                Advice {
                    restricts: blocks.then(|| "SecRuleEngine On".to_owned()),
                    ..Advice::default()
                }
            }
            // A port is no route of this Ingress, so there is nothing to close.
            "stream-snippet" => Advice {
                instead: vec!["a TCPRoute or UDPRoute".to_owned()],
                ..Advice::default()
            },
            _ => snippet::advise(&text),
        };
        let mut message = "no nginx runs here".to_owned();
        // What nginx runs for a canary is its base's, too.
        if let Some(directive) = advice.restricts.filter(|_| settings.canary.is_none()) {
            message.push_str(&format!(
                ", and this restricts access ({directive}): nobody is let in until the annotation is gone"
            ));
            settings.close();
        }
        if let Some(why) = advice.unreadable {
            message.push_str(&format!("; it cannot be read: {why}"));
        }
        if !advice.instead.is_empty() {
            message.push_str("; instead: ");
            message.push_str(&advice.instead.join("; "));
        }
        reader.say(key.name, Outcome::Refused, message);
    }
}
