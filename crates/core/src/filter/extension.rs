//! RouteFilters: what HTTPRoute has no word for.

use api::{
    ObjectKey, RedirectOrder, RequestQuery, RouteFilter, TemplateHeaders, TemplateRedirect,
    TemplateRewrite,
};
use http::{HeaderName, StatusCode};
use ir::{
    Action, AnswerHeaders, Composed, HeaderTemplates, InvalidTemplate, Location, PathRewrite,
    Pattern, RequestStep, Rewrite, Template,
};

use super::{
    Filters, Of,
    header::{self, Message},
    path, unsupported,
};
use crate::fault::Fault;

/// Puts what a RouteFilter says among the filters of its rule.
pub(super) fn translate(
    (key, filter): (&ObjectKey, &RouteFilter),
    of: Of<'_>,
    into: &mut Filters,
) -> Result<(), Fault> {
    let part = Part { key, filter };
    let spec = &filter.spec;
    let groups = spec.path_pattern.as_deref();
    let groups = groups
        .map(|pattern| part.pattern(pattern, of))
        .transpose()?;
    if spec.redirect.is_some() && (spec.rewrite.is_some() || spec.request_headers.is_some()) {
        return Err(part.wrong(
            "with redirect no request is sent to a backend, so nothing of it can be changed",
        ));
    }
    if spec.regex_rewrite.is_some() && (spec.rewrite.is_some() || spec.redirect.is_some()) {
        return Err(part.wrong("regexRewrite excludes rewrite and redirect"));
    }
    let mut nothing = true;
    if let Some(rewrite) = &spec.regex_rewrite {
        nothing = false;
        let pattern = part.pattern(&rewrite.pattern, of)?;
        into.request.push(RequestStep::Rewrite(Rewrite {
            host: None,
            path: Some(PathRewrite::Regex {
                pattern,
                replacement: path::replacement(&rewrite.substitution),
            }),
        }));
    }
    if spec.rewrite.is_some() || spec.request_headers.is_some() {
        nothing = false;
        let composed = part.composed(groups.as_ref())?;
        into.request.push(RequestStep::Composed(Box::new(composed)));
    }
    if let Some(redirect) = &spec.redirect {
        nothing = false;
        let location = part.location(redirect, groups.as_ref())?;
        into.redirect = Some(Action::Location(Box::new(location)));
        into.before_guards = redirect.order == Some(RedirectOrder::BeforeGuards);
        into.moves += 1;
    }
    if let Some(headers) = &spec.response_headers {
        nothing = false;
        let set = part.headers(
            "responseHeaders",
            headers,
            Message::Response,
            groups.as_ref(),
        )?;
        into.answer_headers.push(AnswerHeaders {
            groups: used(groups, set.0.iter().map(|(_, template)| template)),
            set,
        });
    }
    match nothing {
        true => Err(part.wrong("it says nothing")),
        false => Ok(()),
    }
}

/// The expression, where one of the templates has its groups.
fn used<'a>(
    groups: Option<Pattern>,
    mut templates: impl Iterator<Item = &'a Template>,
) -> Option<Pattern> {
    groups.filter(|_| templates.any(Template::has_groups))
}

/// A RouteFilter, for what is said about it.
struct Part<'a> {
    key: &'a ObjectKey,
    filter: &'a RouteFilter,
}

impl Part<'_> {
    fn wrong(&self, message: impl std::fmt::Display) -> Fault {
        unsupported(format!("RouteFilter {}: {message}", self.key))
    }

    fn pattern(&self, text: &str, of: Of<'_>) -> Result<Pattern, Fault> {
        of.pattern(text).map_err(|error| self.wrong(error))
    }

    /// A template that may be absent.
    fn template(
        &self,
        field: &str,
        text: Option<&String>,
        read: impl FnOnce(&str) -> Result<Template, InvalidTemplate>,
    ) -> Result<Option<Template>, Fault> {
        let template = text.map(|text| read(text)).transpose();
        template.map_err(|error| self.wrong(format_args!("{field}: {error}")))
    }

    /// What is changed of a request.
    fn composed(&self, groups: Option<&Pattern>) -> Result<Composed, Fault> {
        let none = TemplateRewrite::default();
        let spec = &self.filter.spec;
        let rewrite = spec.rewrite.as_deref().unwrap_or(&none);
        let host = self.template("rewrite.host", rewrite.host.as_ref(), |text| {
            Template::host(text, groups)
        })?;
        let path = self.template("rewrite.path", rewrite.path.as_ref(), |text| {
            Template::path(text, groups)
        })?;
        let query = self.template("rewrite.query", rewrite.query.as_ref(), |text| {
            Template::query(text, groups)
        })?;
        let set = spec
            .request_headers
            .as_deref()
            .map(|headers| self.headers("requestHeaders", headers, Message::Request, groups));
        let set = set.transpose()?.unwrap_or_default();
        let all = [&host, &path, &query].into_iter().flatten();
        let all = all.chain(set.0.iter().map(|(_, template)| template));
        Ok(Composed {
            groups: used(groups.cloned(), all),
            drops_query: rewrite.request_query == Some(RequestQuery::Drop),
            host,
            path,
            query,
            set,
        })
    }

    fn location(
        &self,
        redirect: &TemplateRedirect,
        groups: Option<&Pattern>,
    ) -> Result<Location, Fault> {
        let status = redirect.status_code.unwrap_or(302);
        let legal = [301, 302, 303, 307, 308].contains(&status);
        let status = StatusCode::from_u16(status).ok().filter(|_| legal);
        let status = status.ok_or_else(|| {
            self.wrong("redirect.statusCode: 301, 302, 303, 307 and 308 are possible")
        })?;
        let location = Template::location(&redirect.location, groups)
            .map_err(|error| self.wrong(format_args!("redirect.location: {error}")))?;
        Ok(Location {
            status,
            groups: used(groups.cloned(), std::iter::once(&location)),
            location,
            keeps_query: redirect.request_query == Some(RequestQuery::Append),
        })
    }

    fn headers(
        &self,
        field: &str,
        declared: &TemplateHeaders,
        of: Message,
        groups: Option<&Pattern>,
    ) -> Result<HeaderTemplates, Fault> {
        let mut set: Vec<(HeaderName, Template)> = Vec::new();
        for declared in &declared.set {
            let wrong = |error: &dyn std::fmt::Display| {
                self.wrong(format_args!("{field}.set {}: {error}", declared.name))
            };
            let name = header::name(&declared.name)
                .and_then(|name| header::changeable(name, of))
                .map_err(|fault| wrong(&fault.message))?;
            let template =
                Template::parse(&declared.value, groups).map_err(|error| wrong(&error))?;
            if set.iter().all(|(known, _)| *known != name) {
                set.push((name, template));
            }
        }
        Ok(HeaderTemplates(set))
    }
}

#[cfg(test)]
mod tests {
    use api::template::{DOLLAR, KINDS, VARIABLES, is_variable};
    use ir::Template;

    #[test]
    fn what_is_documented_is_what_there_is() {
        assert_eq!(Template::variables().collect::<Vec<_>>(), VARIABLES);
        let kinds = KINDS.iter().map(|kind| format!("{kind}x_y"));
        let names = VARIABLES.iter().map(|name| (*name).to_owned());
        for name in names.chain(kinds).chain([DOLLAR.to_owned()]) {
            assert!(is_variable(&name), "{name}");
            let read = Template::parse(&format!("${{{name}}}"), None);
            assert!(read.is_ok(), "{name}: {read:?}");
        }
    }
}
