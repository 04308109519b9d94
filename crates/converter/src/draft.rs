//! The rules of one path: what HTTPRoute says about it.

mod reference;

use std::borrow::Cow;

use serde_json::{Value, json};

use reference::refs;
pub(crate) use reference::standbys;

use crate::{
    annotations::{HeaderControl, HeaderRule, Matching, Settings, has_captures},
    ingress::{Backend, PathKind},
    merge::{Attached, HostGroup, Owned},
    profile::Profile,
    value::{self, short_hash},
    weight,
};

/// What one path becomes.
#[derive(Default)]
pub(crate) struct Draft {
    /// HTTPRoute rules, in order of precedence.
    pub(crate) rules: Vec<Value>,
    /// RouteFilters that the rules name: name and spec.
    pub(crate) filters: Vec<(String, Value)>,
}

/// The rules of a path that is forwarded or redirected by its own settings.
pub(crate) fn draft(group: &HostGroup, owned: &Owned) -> Draft {
    let mut draft = Draft::default();
    let name = rule_name(
        &owned.path.kind,
        if owned.is_default { "default" } else { "" },
    );
    if owned.is_default {
        draft.rules.push(json!({
            "name": name,
            "matches": matches(&owned.path.kind, &Matching::default(), None),
            "backendRefs": refs(&owned.path.backend, None),
        }));
        return draft;
    }
    let settings = &group.source.settings;
    if let Backend::Redirect(filter) = &owned.path.backend {
        draft.rules.push(json!({
            "name": name,
            "matches": matches(&owned.path.kind, &settings.matching, None),
            "filters": [{ "type": "RequestRedirect", "requestRedirect": filter }],
        }));
        return draft;
    }
    let builder = Builder {
        settings,
        profile: group.source.profile,
        owned,
        name,
        filter_name: filter_name(group, owned),
    };
    if builder.needs_filter() {
        draft
            .filters
            .push((builder.filter_name.clone(), builder.regex_rewrite()));
    }
    draft.rules = builder.rules();
    draft
}

/// The rule that sends plain HTTP to https.
pub(crate) fn https_redirect(group: &HostGroup, owned: &Owned) -> Value {
    json!({
        "name": rule_name(&owned.path.kind, "https"),
        "matches": matches(&owned.path.kind, &group.source.settings.matching, None),
        "filters": [{ "type": "RequestRedirect", "requestRedirect": { "scheme": "https", "statusCode": 308 } }],
    })
}

fn filter_name(group: &HostGroup, owned: &Owned) -> String {
    let target = group
        .source
        .settings
        .rewrite_target
        .as_deref()
        .unwrap_or_default();
    value::object_name(
        &group.source.object.key.name,
        &short_hash(&[&owned.path.written.0, target]),
    )
}

/// A stable name for a rule: it follows the path, not its place.
fn rule_name(kind: &PathKind, role: &str) -> String {
    let (word, text) = match kind {
        PathKind::Exact(text) => ("exact", text),
        PathKind::Prefix(text) => ("prefix", text),
        PathKind::StringPrefix(text) => ("start", text),
        PathKind::Regex(text) => ("regex", text),
    };
    let name = format!("{word}-{}", short_hash(&[word, text]));
    if role.is_empty() {
        name
    } else {
        format!("{name}-{role}")
    }
}

/// Every combination of path and method, with all conditions.
fn matches(kind: &PathKind, conditions: &Matching, header: Option<Value>) -> Vec<Value> {
    let headers = conditions.headers.iter();
    let headers: Vec<_> = headers
        .map(|(name, rule)| rule.to_match(name))
        .chain(header)
        .collect();
    let query = conditions.query.iter();
    let query: Vec<_> = query.map(|(name, rule)| rule.to_match(name)).collect();
    let methods: Vec<_> = if conditions.methods.is_empty() {
        vec![None]
    } else {
        conditions.methods.iter().copied().map(Some).collect()
    };
    let paths = paths(kind);
    let combined = methods
        .iter()
        .flat_map(|method| paths.iter().map(move |path| (*method, path)));
    combined
        .map(|(method, path)| {
            let mut one = json!({ "path": path });
            if let Some(method) = method {
                one["method"] = json!(method);
            }
            if !headers.is_empty() {
                one["headers"] = json!(headers);
            }
            if !query.is_empty() {
                one["queryParams"] = json!(query);
            }
            one
        })
        .collect()
}

/// One path match, or two where there is no single word for it.
fn paths(kind: &PathKind) -> Vec<Value> {
    let path = |kind: &str, value: &str| json!({ "type": kind, "value": value });
    match kind {
        PathKind::Exact(text) => vec![path("Exact", text)],
        PathKind::Prefix(text) => vec![path("PathPrefix", text)],
        PathKind::StringPrefix(text) => {
            let longer = format!("{}[^/].*", regex::escape(text));
            vec![path("PathPrefix", text), path("RegularExpression", &longer)]
        }
        PathKind::Regex(pattern) => vec![path("RegularExpression", pattern)],
    }
}

fn role(name: &str, attached: &Attached, role: &str) -> String {
    format!(
        "{name}-{role}-{}",
        short_hash(&[&attached.source.object.key.name])
    )
}

struct Builder<'a> {
    settings: &'a Settings,
    profile: Profile,
    owned: &'a Owned,
    name: String,
    filter_name: String,
}

impl Builder<'_> {
    /// The chain: canaries by header, canaries by cookie, then everybody else by weight. `never` leads to the base.
    fn rules(&self) -> Vec<Value> {
        let base = refs(&self.owned.path.backend, None);
        let own = [
            &self.settings.request_headers,
            &self.settings.response_headers,
        ];
        let mut rules = Vec::new();
        if self.url_redirect().is_none() {
            for attached in &self.owned.canaries {
                let Some((header, rule)) = &attached.canary.header else {
                    continue;
                };
                let matches = |kind: &str, value: &str| json!({ "name": header, "type": kind, "value": value });
                let wanted = match rule {
                    HeaderRule::Always => matches("Exact", "always"),
                    HeaderRule::Value(value) => matches("Exact", value),
                    HeaderRule::Pattern(pattern) => {
                        matches("RegularExpression", &format!("(?s).*(?:{pattern}).*"))
                    }
                };
                rules.push(self.canary_rule(attached, "header", wanted));
                if *rule == HeaderRule::Always {
                    let never = matches("Exact", "never");
                    rules.push(self.rule(
                        &self.role(attached, "header-never"),
                        Some(never),
                        base.clone(),
                        &own,
                    ));
                }
            }
            for attached in &self.owned.canaries {
                let Some(cookie) = &attached.canary.cookie else {
                    continue;
                };
                let matches = |value: &str| json!({ "name": "cookie", "type": "RegularExpression", "value": cookie_pattern(cookie, value) });
                rules.push(self.canary_rule(attached, "cookie", matches("always")));
                let role = self.role(attached, "cookie-never");
                rules.push(self.rule(&role, Some(matches("never")), base.clone(), &own));
            }
        }
        rules.push(self.weighted());
        rules
    }

    fn role(&self, attached: &Attached, role: &str) -> String {
        self::role(&self.name, attached, role)
    }

    fn canary_rule(&self, attached: &Attached, role: &str, header: Value) -> Value {
        let control = self.control(attached);
        self.rule(
            &self.role(attached, role),
            Some(header),
            self.with_base(attached),
            &control,
        )
    }

    /// The canary, and its base with no share of its own: what is said for the rule's backends holds for it.
    fn with_base(&self, attached: &Attached) -> Vec<Value> {
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
    fn weighted(&self) -> Value {
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
        if shares.is_empty() || self.url_redirect().is_some() {
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
        header: Option<Value>,
        backends: Vec<Value>,
        control: &[&HeaderControl; 2],
    ) -> Value {
        let matches = matches(&self.owned.path.kind, &self.settings.matching, header);
        let mut rule = json!({ "name": name, "matches": matches });
        let filters = self.filters(control);
        if !filters.is_empty() {
            rule["filters"] = Value::Array(filters);
        }
        if self.url_redirect().is_some() {
            return rule;
        }
        if !backends.is_empty() {
            rule["backendRefs"] = Value::Array(backends);
        }
        self.timing(&mut rule);
        rule
    }

    const fn url_redirect(&self) -> Option<&Value> {
        self.settings.redirect.as_ref()
    }

    fn filters(&self, control: &[&HeaderControl; 2]) -> Vec<Value> {
        let mut filters = Vec::new();
        if let Some(cors) = &self.settings.cors {
            filters.push(json!({ "type": "CORS", "cors": cors }));
        }
        if let Some(redirect) = self.url_redirect() {
            filters.extend(modifiers(&[&HeaderControl::default(), control[1]]));
            filters.push(json!({ "type": "RequestRedirect", "requestRedirect": redirect }));
            return filters;
        }
        let request = self.request_headers(control[0]);
        filters.extend(modifiers(&[&request, control[1]]));
        if let Some(mirror) = &self.settings.mirror {
            filters.push(json!({ "type": "RequestMirror", "requestMirror": mirror }));
        }
        let mut rewrite = json!({});
        if let Some(host) = &self.settings.upstream_vhost {
            rewrite["hostname"] = json!(host);
        }
        if let Some(path) = self.path_rewrite() {
            rewrite["path"] = path;
        }
        if rewrite.as_object().is_some_and(|fields| !fields.is_empty()) {
            filters.push(json!({ "type": "URLRewrite", "urlRewrite": rewrite }));
        }
        if self.needs_filter() {
            let reference =
                json!({ "group": api::GROUP, "kind": "RouteFilter", "name": self.filter_name });
            filters.push(json!({ "type": "ExtensionRef", "extensionRef": reference }));
        }
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

    /// The new path, unless it has groups in it. A prefix can be replaced only where every match is one.
    fn path_rewrite(&self) -> Option<Value> {
        let (path, whole) = match (&self.settings.rewrite_path, &self.settings.rewrite_target) {
            (Some(path), _) => (path, false),
            (None, Some(target)) if !has_captures(target) => {
                (target, self.profile.rewrites_whole_path())
            }
            (None, _) => return None,
        };
        let replaced = match &self.owned.path.kind {
            PathKind::Prefix(_) if !whole => {
                json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": path })
            }
            _ => json!({ "type": "ReplaceFullPath", "replaceFullPath": path }),
        };
        Some(replaced)
    }

    /// Groups are what HTTPRoute has no word for.
    fn needs_filter(&self) -> bool {
        let target = self.settings.rewrite_target.as_deref();
        target.is_some_and(has_captures)
            && self.settings.rewrite_path.is_none()
            && self.url_redirect().is_none()
    }

    /// The whole path is replaced, as Higress does: the expression that matched it, anchored.
    fn regex_rewrite(&self) -> Value {
        let target = self.settings.rewrite_target.as_deref().unwrap_or_default();
        let pattern = match &self.owned.path.kind {
            PathKind::Regex(pattern) => pattern.clone(),
            _ => self.profile.expression(&self.owned.path.written.0, false),
        };
        json!({ "regexRewrite": { "pattern": format!("^(?:{pattern})$"), "substitution": target } })
    }

    fn timing(&self, rule: &mut Value) {
        let mut timeouts = json!({});
        if let Some(seconds) = self.settings.timeout {
            timeouts["request"] = json!(value::duration(seconds));
        }
        if let Some(retry) = &self.settings.retry {
            if let Some(seconds) = retry.attempt_timeout {
                // Gateway API: an attempt may not take longer than the request.
                let seconds = self
                    .settings
                    .timeout
                    .map_or(seconds, |all| seconds.min(all));
                timeouts["backendRequest"] = json!(value::duration(seconds));
            }
            // 0 says more than nothing: no connection is tried elsewhere either.
            rule["retry"] = json!({ "attempts": retry.retries });
            if retry.retries > 0 && !retry.codes.is_empty() {
                rule["retry"]["codes"] = json!(retry.codes);
            }
        }
        if timeouts
            .as_object()
            .is_some_and(|fields| !fields.is_empty())
        {
            rule["timeouts"] = timeouts;
        }
    }
}

/// A cookie among others, or alone; its name is taken literally.
fn cookie_pattern(name: &str, value: &str) -> String {
    format!(r"(?:.*;\s*)?{}={value}\s*(?:;.*)?", regex::escape(name))
}

fn modifiers(control: &[&HeaderControl; 2]) -> Vec<Value> {
    let [request, response] = control;
    let mut filters = Vec::new();
    if !request.is_empty() {
        filters.push(
            json!({ "type": "RequestHeaderModifier", "requestHeaderModifier": request.modifier() }),
        );
    }
    if !response.is_empty() {
        filters.push(json!({ "type": "ResponseHeaderModifier", "responseHeaderModifier": response.modifier() }));
    }
    filters
}

fn with_filters(
    mut references: Vec<Value>,
    control: &[&HeaderControl; 2],
    wanted: bool,
) -> Vec<Value> {
    let filters = modifiers(control);
    if wanted && !filters.is_empty() {
        for reference in &mut references {
            reference["filters"] = json!(filters);
        }
    }
    references
}
