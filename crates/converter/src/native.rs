//! HTTPRoute's own types under short names, and how their filters are written.

pub(crate) use api::gateway::httproutes::{
    HttpRouteParentRefs as ParentRef, HttpRouteRules as Rule,
    HttpRouteRulesBackendRefs as BackendRef, HttpRouteRulesBackendRefsFilters as BackendFilter,
    HttpRouteRulesFilters as Filter, HttpRouteRulesFiltersCors as Cors,
    HttpRouteRulesFiltersRequestHeaderModifierSet as RequestSet,
    HttpRouteRulesFiltersRequestMirror as RequestMirror,
    HttpRouteRulesFiltersRequestRedirect as RequestRedirect,
    HttpRouteRulesFiltersRequestRedirectScheme as RedirectScheme,
    HttpRouteRulesFiltersUrlRewrite as UrlRewrite,
    HttpRouteRulesFiltersUrlRewritePath as RewritePath, HttpRouteRulesMatches as RouteMatch,
    HttpRouteRulesMatchesHeaders as HeaderMatch, HttpRouteRulesMatchesHeadersType as HeaderType,
    HttpRouteRulesMatchesMethod as Method, HttpRouteRulesMatchesPath as PathMatch,
    HttpRouteRulesMatchesPathType as PathType, HttpRouteRulesMatchesQueryParams as QueryMatch,
    HttpRouteRulesMatchesQueryParamsType as QueryType, HttpRouteRulesRetry as Retry,
    HttpRouteRulesTimeouts as Timeouts,
};
use api::gateway::httproutes::{
    HttpRouteRulesBackendRefsFiltersRequestHeaderModifier as BackendRequestHeaders,
    HttpRouteRulesBackendRefsFiltersRequestHeaderModifierAdd as BackendRequestAdd,
    HttpRouteRulesBackendRefsFiltersRequestHeaderModifierSet as BackendRequestSet,
    HttpRouteRulesBackendRefsFiltersResponseHeaderModifier as BackendResponseHeaders,
    HttpRouteRulesBackendRefsFiltersResponseHeaderModifierAdd as BackendResponseAdd,
    HttpRouteRulesBackendRefsFiltersResponseHeaderModifierSet as BackendResponseSet,
    HttpRouteRulesBackendRefsFiltersType as BackendFilterType,
    HttpRouteRulesFiltersExtensionRef as ExtensionRef,
    HttpRouteRulesFiltersRequestHeaderModifier as RequestHeaders,
    HttpRouteRulesFiltersRequestHeaderModifierAdd as RequestAdd,
    HttpRouteRulesFiltersRequestMirrorBackendRef as MirrorBackendRef,
    HttpRouteRulesFiltersRequestRedirectPath as RedirectPath,
    HttpRouteRulesFiltersRequestRedirectPathType as RedirectPathType,
    HttpRouteRulesFiltersResponseHeaderModifier as ResponseHeaders,
    HttpRouteRulesFiltersResponseHeaderModifierAdd as ResponseAdd,
    HttpRouteRulesFiltersResponseHeaderModifierSet as ResponseSet,
    HttpRouteRulesFiltersType as FilterType,
    HttpRouteRulesFiltersUrlRewritePathType as RewritePathType,
};

use crate::{annotations::HeaderControl, service::ServiceRef};

/// The methods that HTTPRoute can match.
const METHODS: [(&str, Method); 9] = [
    ("GET", Method::Get),
    ("HEAD", Method::Head),
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("DELETE", Method::Delete),
    ("CONNECT", Method::Connect),
    ("OPTIONS", Method::Options),
    ("TRACE", Method::Trace),
    ("PATCH", Method::Patch),
];

/// Names of the methods that HTTPRoute can match.
pub(crate) fn methods() -> impl Iterator<Item = &'static str> {
    METHODS.iter().map(|(name, _)| *name)
}

/// The method of that name.
pub(crate) fn method(wanted: &str) -> Option<Method> {
    let known = METHODS.iter().find(|(name, _)| *name == wanted)?;
    Some(known.1.clone())
}

/// A match of the path.
pub(crate) fn path_match(kind: PathType, value: &str) -> PathMatch {
    PathMatch {
        r#type: Some(kind),
        value: Some(value.to_owned()),
    }
}

/// A match of a header.
pub(crate) fn header_match(kind: HeaderType, name: &str, value: &str) -> HeaderMatch {
    HeaderMatch {
        name: name.to_owned(),
        r#type: Some(kind),
        value: value.to_owned(),
    }
}

/// A backend that is a Service.
pub(crate) fn backend_ref(reference: &ServiceRef, weight: Option<u64>) -> BackendRef {
    BackendRef {
        name: reference.name.clone(),
        namespace: reference.namespace.clone(),
        port: Some(i32::from(reference.port)),
        weight: weight.map(|weight| i32::try_from(weight).unwrap_or(i32::MAX)),
        ..BackendRef::default()
    }
}

/// The CORS filter.
pub(crate) fn cors(cors: Cors) -> Filter {
    Filter {
        r#type: FilterType::Cors,
        cors: Some(cors),
        ..Filter::default()
    }
}

/// The RequestRedirect filter.
pub(crate) fn request_redirect(redirect: RequestRedirect) -> Filter {
    Filter {
        r#type: FilterType::RequestRedirect,
        request_redirect: Some(redirect),
        ..Filter::default()
    }
}

/// A RequestRedirect to another path of the same host.
pub(crate) fn redirect_to_path(path: &str, code: i64) -> RequestRedirect {
    RequestRedirect {
        path: Some(full_path(path)),
        status_code: Some(code),
        ..RequestRedirect::default()
    }
}

/// What a RequestRedirect puts in the place of the whole path.
pub(crate) fn full_path(path: &str) -> RedirectPath {
    RedirectPath {
        r#type: RedirectPathType::ReplaceFullPath,
        replace_full_path: Some(path.to_owned()),
        ..RedirectPath::default()
    }
}

/// The URLRewrite filter.
pub(crate) fn url_rewrite(rewrite: UrlRewrite) -> Filter {
    Filter {
        r#type: FilterType::UrlRewrite,
        url_rewrite: Some(rewrite),
        ..Filter::default()
    }
}

/// What a URLRewrite puts in the place of the prefix that matched.
pub(crate) fn rewrite_prefix(path: &str) -> RewritePath {
    RewritePath {
        r#type: RewritePathType::ReplacePrefixMatch,
        replace_prefix_match: Some(path.to_owned()),
        ..RewritePath::default()
    }
}

/// What a URLRewrite puts in the place of the whole path.
pub(crate) fn rewrite_path(path: &str) -> RewritePath {
    RewritePath {
        r#type: RewritePathType::ReplaceFullPath,
        replace_full_path: Some(path.to_owned()),
        ..RewritePath::default()
    }
}

/// The RequestMirror filter.
pub(crate) fn request_mirror(mirror: RequestMirror) -> Filter {
    Filter {
        r#type: FilterType::RequestMirror,
        request_mirror: Some(mirror),
        ..Filter::default()
    }
}

/// A copy of this share of requests for a Service; all of them where no percentage is given.
pub(crate) fn mirror_to(reference: &ServiceRef, percent: Option<i32>) -> RequestMirror {
    RequestMirror {
        backend_ref: MirrorBackendRef {
            name: reference.name.clone(),
            namespace: reference.namespace.clone(),
            port: Some(i32::from(reference.port)),
            ..MirrorBackendRef::default()
        },
        percent,
        ..RequestMirror::default()
    }
}

/// A reference to a RouteFilter.
pub(crate) fn route_filter(name: &str) -> Filter {
    Filter {
        r#type: FilterType::ExtensionRef,
        extension_ref: Some(ExtensionRef {
            group: api::GROUP.to_owned(),
            kind: "RouteFilter".to_owned(),
            name: name.to_owned(),
        }),
        ..Filter::default()
    }
}

/// The two header modifiers of a place in a rule, in each place's own types.
macro_rules! modifiers {
    ($(#[$doc:meta])* $name:ident -> $filter:ident, $type:ident,
     $request:ident { $request_add:ident $request_set:ident },
     $response:ident { $response_add:ident $response_set:ident }) => {
        $(#[$doc])*
        pub(crate) fn $name([request, response]: &[&HeaderControl; 2]) -> Vec<$filter> {
            let mut filters = Vec::new();
            if !request.is_empty() {
                filters.push($filter {
                    r#type: $type::RequestHeaderModifier,
                    request_header_modifier: Some($request {
                        set: pairs(&request.update, |name, value| $request_set { name, value }),
                        add: pairs(&request.add, |name, value| $request_add { name, value }),
                        remove: names(&request.remove),
                    }),
                    ..$filter::default()
                });
            }
            if !response.is_empty() {
                filters.push($filter {
                    r#type: $type::ResponseHeaderModifier,
                    response_header_modifier: Some($response {
                        set: pairs(&response.update, |name, value| $response_set { name, value }),
                        add: pairs(&response.add, |name, value| $response_add { name, value }),
                        remove: names(&response.remove),
                    }),
                    ..$filter::default()
                });
            }
            filters
        }
    };
}

modifiers!(
    /// Header modifiers of a rule, for requests and answers.
    modifiers -> Filter, FilterType,
    RequestHeaders { RequestAdd RequestSet },
    ResponseHeaders { ResponseAdd ResponseSet }
);
modifiers!(
    /// Header modifiers of one backend, for requests and answers.
    backend_modifiers -> BackendFilter, BackendFilterType,
    BackendRequestHeaders { BackendRequestAdd BackendRequestSet },
    BackendResponseHeaders { BackendResponseAdd BackendResponseSet }
);

fn pairs<T>(pairs: &[(String, String)], write: impl Fn(String, String) -> T) -> Option<Vec<T>> {
    let written = pairs.iter();
    let written = written.map(|(name, value)| write(name.clone(), value.clone()));
    (!pairs.is_empty()).then(|| written.collect())
}

fn names(names: &[String]) -> Option<Vec<String>> {
    (!names.is_empty()).then(|| names.to_vec())
}
