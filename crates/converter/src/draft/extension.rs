//! RouteFilters: what HTTPRoute has no word for.

use api::{
    RedirectOrder, RegexRewrite, RequestQuery, RouteFilterSpec, TemplateHeader, TemplateHeaders,
    TemplateRedirect, TemplateRewrite,
};

use crate::{
    annotations::{Settings, has_captures},
    ingress::PathKind,
    merge::{HostGroup, Owned},
    profile::Profile,
    value::{self, short_hash},
    variable::{Location, Place, Templates, Texts},
};

/// The RouteFilter that the rules of a path name, if they need one, with its name.
pub(super) fn filter(
    group: &HostGroup,
    owned: &Owned,
    settings: &Settings,
) -> Option<(String, RouteFilterSpec)> {
    let source = &*group.source;
    if settings.rule.redirect.is_some() {
        return None;
    }
    let texts = settings.texts.as_deref();
    if let Some(to) = texts.and_then(|texts| texts.location.as_ref()) {
        return Some(location(group, owned, to));
    }
    let target = target(settings, source.profile, owned).filter(|target| says(settings, target));
    if let Some(texts) = texts {
        let spec = rewrite((group, settings), owned, (target, texts));
        return spec.map(|spec| (name_of(group, &spec), spec));
    }
    let target = target?;
    let name = value::object_name(
        &source.object.key.name,
        &short_hash(&[&owned.path.written.0, target]),
    );
    let spec = RouteFilterSpec {
        regex_rewrite: Some(RegexRewrite {
            pattern: expression(source.profile, owned),
            substitution: target.to_owned(),
        }),
        ..RouteFilterSpec::default()
    };
    Some((name, spec))
}

/// The `rewrite-target` of a path that it changes.
pub(super) fn target<'a>(
    settings: &'a Settings,
    profile: Profile,
    owned: &Owned,
) -> Option<&'a str> {
    let target = settings.rewrite_target.as_deref();
    target.filter(|target| {
        settings.rewrite_path.is_none()
            && (profile.rewrites_to_itself() || *target != owned.path.written.0)
    })
}

/// Whether a RouteFilter says this target: groups, queries and variables are what HTTPRoute has no word for.
pub(super) fn says(settings: &Settings, target: &str) -> bool {
    let texts = settings.texts.as_ref();
    has_captures(target) || texts.is_some_and(|texts| texts.path.is_some())
}

/// The RouteFilter that sends clients of a path elsewhere, with its name.
pub(super) fn location(
    group: &HostGroup,
    owned: &Owned,
    to: &Location,
) -> (String, RouteFilterSpec) {
    let profile = group.source.profile;
    let pattern = expression(profile, owned);
    let mut templates = Templates::of(place(group, owned, &pattern));
    let redirect = TemplateRedirect {
        location: templates.template(&to.url),
        status_code: Some(to.code),
        request_query: to.keeps_query.then_some(RequestQuery::Append),
        // ingress-nginx redirects before it asks who comes.
        order: Some(RedirectOrder::BeforeGuards),
    };
    let spec = RouteFilterSpec {
        path_pattern: templates.used.then_some(pattern),
        redirect: Some(Box::new(redirect)),
        ..RouteFilterSpec::default()
    };
    (name_of(group, &spec), spec)
}

/// New path, query and host.
fn rewrite(
    (group, settings): (&HostGroup, &Settings),
    owned: &Owned,
    (target, texts): (Option<&str>, &Texts),
) -> Option<RouteFilterSpec> {
    let profile = group.source.profile;
    let pattern = expression(profile, owned);
    let mut templates = Templates::of(place(group, owned, &pattern));
    let mut rewrite = TemplateRewrite {
        host: texts.host.as_deref().map(|host| templates.template(host)),
        ..TemplateRewrite::default()
    };
    if let Some(target) = target {
        let path = texts.path.as_deref().unwrap_or(target);
        rewrite.path = Some(templates.template(path));
        let query = texts.query.as_deref();
        rewrite.query = query.map(|query| templates.template(query));
        rewrite.request_query = texts.drops_query.then_some(RequestQuery::Drop);
    }
    let changed = target.is_some() || self::target(settings, profile, owned).is_some();
    let prefix = texts.prefix.as_deref().filter(|_| changed);
    let prefix = prefix.map(|prefix| TemplateHeader {
        name: "X-Forwarded-Prefix".to_owned(),
        value: templates.template(prefix),
    });
    let headers = prefix.map(|prefix| TemplateHeaders { set: vec![prefix] });
    let rewrite = (rewrite != TemplateRewrite::default()).then(|| Box::new(rewrite));
    (rewrite.is_some() || headers.is_some()).then(|| RouteFilterSpec {
        path_pattern: templates.used.then_some(pattern),
        rewrite,
        request_headers: headers.map(Box::new),
        ..RouteFilterSpec::default()
    })
}

fn place<'a>(group: &'a HostGroup, owned: &'a Owned, pattern: &'a str) -> Place<'a> {
    let key = &group.source.object.key;
    let mut services = owned.path.backend.services();
    let is_regex = matches!(owned.path.kind, PathKind::Regex(_));
    Place {
        pattern: is_regex.then_some(pattern),
        host: &group.host,
        namespace: &key.namespace,
        ingress: &key.name,
        service: services.next().map_or("", |service| &service.name),
        path: &owned.path.written.0,
    }
}

/// The whole path is what is replaced, as Higress does: the expression that matched it, anchored.
fn expression(profile: Profile, owned: &Owned) -> String {
    let pattern = match &owned.path.kind {
        PathKind::Regex(pattern) => pattern.clone(),
        _ => profile.expression(&owned.path.written.0, false),
    };
    format!("^(?:{pattern})$")
}

/// A name that follows from what the filter says, so that paths with the same have one. It must stay as it is: names of
/// objects in clusters follow from it.
fn name_of(group: &HostGroup, spec: &RouteFilterSpec) -> String {
    let mut said = vec![spec.path_pattern.as_deref()];
    let own_query = |query: Option<RequestQuery>| match query {
        None => None,
        Some(RequestQuery::Append) => Some("append"),
        Some(RequestQuery::Drop) => Some("drop"),
    };
    let code = spec.redirect.as_ref().and_then(|to| to.status_code);
    let code = code.map(|code| code.to_string());
    if let Some(to) = &spec.redirect {
        said.extend([
            Some(&*to.location),
            code.as_deref(),
            own_query(to.request_query),
        ]);
    }
    if let Some(to) = &spec.rewrite {
        let texts = [&to.host, &to.path, &to.query];
        said.extend(texts.map(Option::as_deref));
        said.push(own_query(to.request_query));
    }
    let headers = spec.request_headers.iter().flat_map(|headers| &headers.set);
    said.extend(headers.flat_map(|header| [Some(&*header.name), Some(&*header.value)]));
    // What is absent is told from what is empty.
    let said: Vec<&str> = said.into_iter().map(|text| text.unwrap_or("\0")).collect();
    value::object_name(&group.source.object.key.name, &short_hash(&said))
}
