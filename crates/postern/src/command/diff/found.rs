//! What was found, for people and for programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use http::StatusCode;
use ir::Ir;
use serde::Serialize;

use crate::{
    diff::{
        Ask, Both,
        client::Answer,
        compare::{self, Difference, Looking},
        evidence::{self, Evidence, Tally, Unproven},
        oracle::{self, Oracle},
    },
    output::Style,
    report::plural,
};

/// So many requests of a group are shown to people, and so many hosts.
const SHOWN: usize = 5;

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    /// Requests that both gateways got.
    pub(super) sent: usize,
    pub(super) alike: usize,
    pub(super) different: usize,
    /// How many of those that are alike prove that both gateways do the same.
    pub(super) proving: usize,
    /// Those that do not, by why.
    unproven: Vec<Unproven>,
    /// Alike by status and headers, where no backend says who it is.
    by_status: usize,
    /// Alike with 401 or 403: what is behind was not asked.
    refused: usize,
    /// Requests for which this machine reached no backend.
    unreached: usize,
    /// Requests whose backend is chosen by weight: the backend was not compared.
    weighted: usize,
    /// Requests that a rate limit has refused here or there: how many of them there were before decides, so they are
    /// neither alike nor different.
    limited: usize,
    /// Lines of the file that are requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lines: Option<usize>,
    /// How many different requests these are.
    #[serde(skip)]
    pub(super) asks: usize,
    /// How many of the lines have their scheme from where.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) schemes: BTreeMap<&'static str, usize>,
    /// Requests that were not sent, by why.
    pub(super) not_sent: BTreeMap<&'static str, usize>,
    /// Of those that are not safe to repeat, by method.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) methods_not_sent: BTreeMap<String, usize>,
    /// Lines of the file that are no requests.
    pub(super) unread: Vec<(usize, String)>,
    groups: Vec<Group>,
}

/// Why a request with a method that changes something is not sent.
pub(super) const UNSAFE: &str = "not safe to repeat: see --all-methods";

/// Why a request cannot be sent here.
pub(super) const NO_LISTENER: &str = "no listener of their scheme here; for https a Gateway or an Ingress with its Secret has to be among what is read";

/// Requests that differ in the same way and meet the same rule.
#[derive(Debug, Serialize)]
struct Group {
    /// What differs, in words.
    what: String,
    /// The rule that they meet here.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    requests: Vec<Different>,
}

#[derive(Debug, Serialize)]
struct Different {
    request: Ask,
    differences: Vec<Difference>,
}

impl Found {
    /// Whether both do the same, as far as was asked, and something shows it. What cannot be asked here at all is not
    /// the same.
    pub(super) fn is_well(&self) -> bool {
        self.different == 0 && self.proving > 0 && !self.not_sent.contains_key(NO_LISTENER)
    }

    /// Why there is nothing to send.
    pub(super) fn left_out(&self) -> String {
        let of = |(why, count): (&&str, &usize)| {
            let count = plural(*count, "request");
            format!("{count} not sent: {why}")
        };
        let why: Vec<_> = self.not_sent.iter().map(of).collect();
        match (why.is_empty(), self.lines) {
            (false, _) => why.join("; "),
            (true, None) => "there is no route for a scheme of --against".to_owned(),
            (true, Some(_)) => match self.unread.first() {
                Some((line, first)) => format!("the file holds no request: line {line}: {first}"),
                None => "the file is empty".to_owned(),
            },
        }
    }

    /// Takes all answers in.
    pub(super) fn compare(&mut self, answers: Vec<Both>, ir: &Arc<Ir>, looking: &Looking) {
        let oracle = Oracle::new(ir);
        let mut tally = Tally::default();
        let mut groups: BTreeMap<(String, Option<String>), Vec<Different>> = BTreeMap::new();
        for both in answers {
            self.sent += 1;
            if is_limited(&both.here) || is_limited(&both.there) {
                self.limited += 1;
                continue;
            }
            self.unreached += usize::from(evidence::is_unreached(&both.here));
            let met = oracle.ask(&both.ask);
            let weighted = met.rule.as_ref().is_some_and(|r| oracle::is_weighted(r));
            self.weighted += usize::from(weighted);
            let differences = compare::differences(&both, weighted, looking);
            if differences.is_empty() {
                self.alike += 1;
                let shown = evidence::evidence(&both, &met, looking);
                tally.add(&both, shown);
                continue;
            }
            self.different += 1;
            let key = (
                words(&differences),
                met.rule.map(|rule| rule.key.to_string()),
            );
            groups.entry(key).or_default().push(Different {
                request: both.ask,
                differences,
            });
        }
        self.take(&tally);
        let group = |((what, rule), requests)| Group {
            what,
            rule,
            requests,
        };
        self.groups = groups.into_iter().map(group).collect();
        self.groups
            .sort_by_key(|group| std::cmp::Reverse(group.requests.len()));
    }

    fn take(&mut self, tally: &Tally) {
        self.unproven = tally.unproven();
        let unproven: usize = self.unproven.iter().map(|one| one.requests).sum();
        self.proving = self.alike - unproven;
        self.by_status = tally.of(Evidence::Status);
        self.refused = tally.of(Evidence::Refused);
    }

    pub(super) fn text(&self, style: Style) -> String {
        let mut text = String::new();
        for group in &self.groups {
            group.text(style, &mut text);
        }
        self.input(&mut text);
        self.limits(&mut text);
        self.doubts(style, &mut text);
        let proving = match (self.alike, self.proving) {
            (0, _) => String::new(),
            (_, 0) => style.yellow("; none of them proves that both do the same"),
            (_, 1) => "; 1 of those alike proves that both do the same".to_owned(),
            (_, proving) => format!("; {proving} of those alike prove that both do the same"),
        };
        let _ = writeln!(
            text,
            "{} sent: {} alike, {} different{proving}",
            plural(self.sent, "request"),
            self.alike,
            self.different
        );
        text
    }

    /// What the file holds, and what of it was not sent.
    fn input(&self, text: &mut String) {
        for (line, why) in self.unread.iter().take(SHOWN) {
            let _ = writeln!(text, "line {line}: {why}");
        }
        if !self.unread.is_empty() {
            let _ = writeln!(text, "{} not read", plural(self.unread.len(), "line"));
        }
        if let Some(lines) = self.lines {
            let of = |(why, count): (&&str, &usize)| format!("{count} because {why}");
            let schemes: Vec<_> = self.schemes.iter().map(of).collect();
            let schemes = schemes.join(", ");
            let (lines, asks) = (
                plural(lines, "line"),
                plural(self.asks, "different request"),
            );
            let _ = writeln!(text, "{lines} read, {asks}; scheme: {schemes}");
        }
        for (why, count) in &self.not_sent {
            let methods = match *why {
                UNSAFE => named(
                    self.methods_not_sent
                        .iter()
                        .map(|(m, n)| format!("{m} {n}")),
                ),
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "{} not sent: {why}{methods}",
                plural(*count, "request")
            );
        }
    }

    /// What was not compared of requests that were sent.
    fn limits(&self, text: &mut String) {
        let mut line = |count: usize, what: &str| {
            if count > 0 {
                let _ = writeln!(text, "{} {what}", plural(count, "request"));
            }
        };
        line(
            self.weighted,
            "to weighted backends: which one answered was not compared",
        );
        line(
            self.limited,
            "answered with 429, a rate limit's, here or there: not compared",
        );
        line(
            self.by_status,
            "alike by status and headers alone: their backends do not say who they are (see --backend-header), and bodies are empty or differ",
        );
        line(
            self.refused,
            "answered with 401 or 403 on both sides: what is behind was not asked; requests in JSON may have credentials in `headers`",
        );
        line(
            self.unreached,
            "for which this machine reached no backend: run diff where the backends can be reached, such as in a pod",
        );
    }

    /// What is alike and proves nothing.
    fn doubts(&self, style: Style, text: &mut String) {
        for unproven in &self.unproven {
            let hosts = named(unproven.hosts.iter().cloned());
            let error = unproven.error.as_ref();
            let error = error.map(|error| format!(": {error}")).unwrap_or_default();
            let prove = if unproven.requests == 1 {
                "proves"
            } else {
                "prove"
            };
            let _ = writeln!(
                text,
                "{} {} {prove} nothing: {}{hosts}{error}",
                style.yellow("!"),
                plural(unproven.requests, "request"),
                unproven.why.words()
            );
        }
    }
}

impl Group {
    fn text(&self, style: Style, text: &mut String) {
        let rule = self.rule.as_deref().unwrap_or("no rule here");
        let _ = writeln!(text, "{}  {}", style.bold(&self.what), style.dim(rule));
        for different in self.requests.iter().take(SHOWN) {
            let _ = writeln!(text, "  {}", different.request);
            for Difference { what, here, there } in &different.differences {
                let (here, there) = (style.green(here), style.red(there));
                let _ = writeln!(text, "    {what}: {here} here, {there} there");
            }
        }
        if self.requests.len() > SHOWN {
            let _ = writeln!(text, "  and {} more", self.requests.len() - SHOWN);
        }
    }
}

fn is_limited(side: &Result<Answer, String>) -> bool {
    let status = side.as_ref().map(|answer| answer.status);
    status == Ok(StatusCode::TOO_MANY_REQUESTS)
}

/// The first few, in brackets.
fn named(all: impl Iterator<Item = String>) -> String {
    let all: BTreeSet<String> = all.collect();
    let first: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    let more = all.len() - first.len();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    match first[..] {
        [] => String::new(),
        _ => format!(" ({}{more})", first.join(", ")),
    }
}

/// What a group has in common: the statuses, or the names of what differs.
fn words(differences: &[Difference]) -> String {
    let word = |difference: &Difference| match difference.what.as_str() {
        "status" => format!(
            "status {} here, {} there",
            difference.here, difference.there
        ),
        other => other.to_owned(),
    };
    differences.iter().map(word).collect::<Vec<_>>().join(", ")
}
