//! The rules of one path: what HTTPRoute says about it.

mod extension;
mod matches;
mod reference;
mod session;

use std::borrow::Cow;

use api::RouteFilterSpec;

use matches::{cookie_pattern, matches, rule_name};
use reference::refs;
pub(crate) use reference::standbys;
pub(crate) use session::session_cookies;

use crate::{
    annotations::{HeaderControl, HeaderRule, Matching, Settings},
    ingress::{Backend, PathKind},
    merge::{Attached, HostGroup, Owned},
    native::{
        self, BackendRef, Filter, HeaderMatch, HeaderType, RedirectScheme, RequestRedirect, Rule,
        Timeouts, UrlRewrite,
    },
    profile::Profile,
    value::{self, short_hash},
    weight,
};

/// What one path becomes.
#[derive(Default)]
pub(crate) struct Draft {
    /// HTTPRoute rules, in order of precedence.
    pub(crate) rules: Vec<Rule>,
    /// RouteFilters that the rules name: name and spec.
    pub(crate) filters: Vec<(String, RouteFilterSpec)>,
}

/// The rules of a path that is forwarded or redirected by its own settings.
pub(crate) fn draft(group: &HostGroup, owned: &Owned) -> Draft {
    let mut draft = Draft::default();
    let name = rule_name(
        &owned.path.kind,
        if owned.is_default { "default" } else { "" },
    );
    let Some(settings) = owned.settings(&group.source) else {
        draft.rules.push(Rule {
            name: Some(name),
            matches: Some(matches(&owned.path.kind, &Matching::default(), None)),
            backend_refs: Some(refs(&owned.path.backend, None)),
            ..Rule::default()
        });
        return draft;
    };
    if let Backend::Redirect(to) = &owned.path.backend {
        let to = native::request_redirect(RequestRedirect::clone(to));
        draft.rules.push(sent(name, owned, &settings.matching, to));
        return draft;
    }
    if let Backend::Location(to) = &owned.path.backend {
        let (filter, spec) = extension::location(group, owned, to);
        let to = native::route_filter(&filter);
        draft.filters.push((filter, spec));
        draft.rules.push(sent(name, owned, &settings.matching, to));
        return draft;
    }
    if matches!(owned.path.backend, Backend::Unmatched) && !settings.redirects() {
        let cors = settings.rule.cors.as_deref();
        let filters = cors.map(|cors| vec![native::cors(native::Cors::clone(cors))]);
        draft.rules.push(Rule {
            name: Some(name),
            matches: Some(matches(&owned.path.kind, &settings.matching, None)),
            filters,
            ..Rule::default()
        });
        return draft;
    }
    let filter = extension::filter(group, owned, &settings);
    let builder = Builder {
        settings: &settings,
        profile: group.source.profile,
        owned,
        name,
        filter: filter.as_ref().map(|(name, _)| name.clone()),
    };
    draft.rules = builder.rules();
    draft.filters.extend(filter);
    draft
}

/// The rule that sends plain HTTP to https; `None` where annotations do not count.
pub(crate) fn https_redirect(group: &HostGroup, owned: &Owned) -> Option<Rule> {
    let settings = owned.settings(&group.source)?;
    let name = rule_name(&owned.path.kind, "https");
    let redirect = RequestRedirect {
        scheme: Some(RedirectScheme::Https),
        status_code: Some(308),
        ..RequestRedirect::default()
    };
    let to = native::request_redirect(redirect);
    let mut rule = sent(name, owned, &settings.matching, to);
    if group.source.profile.shares_before_https()
        && let Some(cors) = settings.rule.cors.as_deref()
    {
        let cors = native::cors(native::Cors::clone(cors));
        rule.filters.get_or_insert_default().insert(0, cors);
    }
    Some(rule)
}

/// The rule of a path whose requests are sent elsewhere.
fn sent(name: String, owned: &Owned, on: &Matching, to: Filter) -> Rule {
    Rule {
        name: Some(name),
        matches: Some(matches(&owned.path.kind, on, None)),
        filters: Some(vec![to]),
        ..Rule::default()
    }
}

fn role(name: &str, attached: &Attached, role: &str) -> String {
    let canary = canary_role(role, &attached.source.object.key.name);
    format!("{name}{canary}")
}

/// What the names of rules end with that lead to a canary.
pub(crate) fn canary_role(role: &str, canary: &str) -> String {
    format!("-{role}-{}", short_hash(&[canary]))
}

struct Builder<'a> {
    settings: &'a Settings,
    profile: Profile,
    owned: &'a Owned,
    name: String,
    /// The RouteFilter that its rules name.
    filter: Option<String>,
}

impl Builder<'_> {
    /// The chain: canaries by header, canaries by cookie, then everybody else by weight. `never` leads to the base.
    fn rules(&self) -> Vec<Rule> {
        let base = refs(&self.owned.path.backend, None);
        let own = [
            &self.settings.request_headers,
            &self.settings.response_headers,
        ];
        let mut rules = Vec::new();
        if !self.redirects() {
            for attached in &self.owned.canaries {
                let Some((header, rule)) = &attached.canary.header else {
                    continue;
                };
                let exact = |value: &str| native::header_match(HeaderType::Exact, header, value);
                let wanted = match rule {
                    HeaderRule::Always => exact("always"),
                    HeaderRule::Value(value) => exact(value),
                    HeaderRule::Pattern(pattern) => {
                        let pattern = format!("(?s).*(?:{pattern}).*");
                        native::header_match(HeaderType::RegularExpression, header, &pattern)
                    }
                };
                rules.push(self.canary_rule(attached, "header", wanted));
                if *rule == HeaderRule::Always {
                    let role = self.role(attached, "header-never");
                    rules.push(self.rule(&role, Some(exact("never")), base.clone(), &own));
                }
            }
            for attached in &self.owned.canaries {
                let Some(cookie) = &attached.canary.cookie else {
                    continue;
                };
                let said = |value: &str| {
                    let pattern = cookie_pattern(cookie, value);
                    native::header_match(HeaderType::RegularExpression, "cookie", &pattern)
                };
                rules.push(self.canary_rule(attached, "cookie", said("always")));
                let role = self.role(attached, "cookie-never");
                rules.push(self.rule(&role, Some(said("never")), base.clone(), &own));
            }
        }
        rules.push(self.weighted());
        rules
    }

    fn role(&self, attached: &Attached, role: &str) -> String {
        self::role(&self.name, attached, role)
    }

    fn canary_rule(&self, attached: &Attached, role: &str, header: HeaderMatch) -> Rule {
        let control = self.control(attached);
        self.rule(
            &self.role(attached, role),
            Some(header),
            self.with_base(attached),
            &control,
        )
    }

    /// The canary, and its base with no share of its own: what is said for the rule's backends holds for it.
    fn with_base(&self, attached: &Attached) -> Vec<BackendRef> {
        let mut all = refs(&attached.backend, None);
        if !all.is_empty() {
            all.extend(refs(&self.owned.path.backend, Some(0)));
        }
        all
    }

    /// A canary has the base's header control unless it brings its own.
    fn control<'b>(&'b self, attached: &'b Attached) -> [&'b HeaderControl; 2] {
        let own = &attached.source.settings;
        if own.request_headers.is_empty() && own.response_headers.is_empty() {
            [
                &self.settings.request_headers,
                &self.settings.response_headers,
            ]
        } else {
            [&own.request_headers, &own.response_headers]
        }
    }

    /// The rule for everybody whom no header and no cookie sends elsewhere.
    fn weighted(&self) -> Rule {
        let own = [
            &self.settings.request_headers,
            &self.settings.response_headers,
        ];
        let shares: Vec<_> = self
            .owned
            .canaries
            .iter()
            .filter_map(|a| a.canary.weight.map(|w| (a, w)))
            .collect();
        if shares.is_empty() || self.redirects() {
            return self.rule(&self.name, None, refs(&self.owned.path.backend, None), &own);
        }
        let weights = weight::split(&shares.iter().map(|(_, weight)| *weight).collect::<Vec<_>>());
        let scale = self.scale(&weights);
        // Header control that differs among the backends has to stand at each of them.
        let differs = shares
            .iter()
            .any(|(attached, _)| self.control(attached) != own);
        let mut all = with_filters(
            refs(&self.owned.path.backend, Some(weights.base * scale)),
            &own,
            differs,
        );
        for ((attached, _), weight) in shares.iter().zip(&weights.canaries) {
            all.extend(with_filters(
                refs(&attached.backend, Some(*weight * scale)),
                &self.control(attached),
                differs,
            ));
        }
        let none = HeaderControl::default();
        let at_rule = if differs { [&none, &none] } else { own };
        self.rule(&self.name, None, all, &at_rule)
    }

    /// Where a share is split again, weights have to be large enough for that.
    fn scale(&self, weights: &weight::Split) -> u64 {
        let split = |backend: &Backend| matches!(backend, Backend::Outside(_));
        let canaries = self.owned.canaries.iter();
        if !split(&self.owned.path.backend) && !canaries.map(|a| &a.backend).any(split) {
            return 1;
        }
        let largest = weights.canaries.iter().chain([&weights.base]).max();
        weight::MOST / largest.copied().unwrap_or(1).max(1)
    }

    fn rule(
        &self,
        name: &str,
        header: Option<HeaderMatch>,
        backends: Vec<BackendRef>,
        control: &[&HeaderControl; 2],
    ) -> Rule {
        let matches = matches(&self.owned.path.kind, &self.settings.matching, header);
        let mut filters = self.filters(control);
        // A filter is large, and the room that a list grows by is kept for as long as the Ingress is.
        filters.shrink_to_fit();
        let rule = Rule {
            name: Some(name.to_owned()),
            matches: Some(matches),
            filters: (!filters.is_empty()).then_some(filters),
            ..Rule::default()
        };
        if self.redirects() {
            return rule;
        }
        let retry = self.settings.rule.retry.as_deref();
        Rule {
            backend_refs: (!backends.is_empty()).then_some(backends),
            timeouts: self.timeouts(),
            retry: retry.cloned(),
            ..rule
        }
    }

    /// Whether clients are sent elsewhere, whatever they ask for.
    fn redirects(&self) -> bool {
        self.settings.redirects()
    }

    fn filters(&self, control: &[&HeaderControl; 2]) -> Vec<Filter> {
        let template = &self.settings.rule;
        let mut filters = Vec::new();
        if let Some(cors) = &template.cors {
            filters.push(native::cors(native::Cors::clone(cors)));
        }
        let own = self.filter.as_deref().map(native::route_filter);
        if self.redirects() {
            filters.extend(native::modifiers(&[&HeaderControl::default(), control[1]]));
            let redirect = template.redirect.as_deref().cloned();
            filters.extend(redirect.map(native::request_redirect).or(own));
            return filters;
        }
        let request = self.request_headers(control[0]);
        filters.extend(native::modifiers(&[&request, control[1]]));
        if let Some(mirror) = &template.mirror {
            filters.push(native::request_mirror(native::RequestMirror::clone(mirror)));
        }
        let rewrite = UrlRewrite {
            hostname: template.hostname.clone(),
            path: self.path_rewrite(),
        };
        if rewrite != UrlRewrite::default() {
            filters.push(native::url_rewrite(rewrite));
        }
        filters.extend(own);
        filters
    }

    /// With `X-Forwarded-Prefix`, unless header control says something about that itself.
    fn request_headers<'b>(&self, control: &'b HeaderControl) -> Cow<'b, HeaderControl> {
        const NAME: &str = "x-forwarded-prefix";
        let wanted = self.settings.forwarded_prefix.as_ref();
        let Some(value) = wanted.and_then(|prefix| prefix.of(&self.owned.path.written.0)) else {
            return Cow::Borrowed(control);
        };
        let mut control = control.clone();
        if !control.update.iter().any(|(name, _)| name == NAME) {
            control.update.push((NAME.to_owned(), value));
        }
        Cow::Owned(control)
    }

    /// The new path, unless a RouteFilter says it. A prefix can be replaced only where every match is one.
    fn path_rewrite(&self) -> Option<native::RewritePath> {
        let target = || extension::target(self.settings, self.profile, self.owned);
        let (path, whole) = match &self.settings.rewrite_path {
            Some(path) => (path.as_str(), false),
            None => (
                target().filter(|target| !extension::says(self.settings, target))?,
                self.profile.rewrites_whole_path(),
            ),
        };
        let replaced = match &self.owned.path.kind {
            PathKind::Prefix(_) if !whole => native::rewrite_prefix(path),
            _ => native::rewrite_path(path),
        };
        Some(replaced)
    }

    fn timeouts(&self) -> Option<Timeouts> {
        let template = &self.settings.rule;
        // Gateway API: an attempt may not take longer than the request.
        let longest = template.timeout.unwrap_or(u64::MAX);
        let attempt = template.attempt_timeout.map(|attempt| attempt.min(longest));
        let timeouts = Timeouts {
            request: template.timeout.map(value::duration),
            backend_request: attempt.map(value::duration),
        };
        (timeouts != Timeouts::default()).then_some(timeouts)
    }
}

fn with_filters(
    mut references: Vec<BackendRef>,
    control: &[&HeaderControl; 2],
    wanted: bool,
) -> Vec<BackendRef> {
    let filters = native::backend_modifiers(control);
    if wanted && !filters.is_empty() {
        for reference in &mut references {
            reference.filters = Some(filters.clone());
        }
    }
    references
}
