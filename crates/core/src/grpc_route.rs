//! GRPCRoutes, in the words of HTTPRoute: a call of `METHOD` of `SERVICE` is a POST to `/SERVICE/METHOD`.

use std::{cmp::Reverse, sync::Arc};

use api::{
    ObjectRef,
    condition::reasons,
    gateway::{
        GrpcRoute,
        grpcroutes::{
            GrpcRouteRules, GrpcRouteRulesMatches, GrpcRouteRulesMatchesHeaders,
            GrpcRouteRulesMatchesHeadersType, GrpcRouteRulesMatchesMethod,
            GrpcRouteRulesMatchesMethodType,
        },
        httproutes::{
            HttpRouteRules, HttpRouteRulesMatches, HttpRouteRulesMatchesHeaders,
            HttpRouteRulesMatchesHeadersType, HttpRouteRulesMatchesMethod,
            HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType,
        },
    },
};
use ir::RequestMatch;

use crate::{
    fault::Fault,
    host,
    http_route::{Requests, host_fallthrough, scheme},
    lookup::Lookup,
    precedence::{Age, CallRank, Precedence, RouteOrder},
    route::TranslatedRoute,
};

/// Translates one route.
pub(crate) fn translate(
    reference: &ObjectRef,
    route: &GrpcRoute,
    lookup: &Lookup<'_>,
) -> TranslatedRoute {
    let mut warnings = Vec::new();
    let order = Arc::new(RouteOrder::of(route, &mut warnings));
    let everything = [GrpcRouteRules::default()];
    let declared = match route.spec.rules.as_deref() {
        None | Some([]) => &everything[..],
        Some(rules) => rules,
    };
    let rules: Result<Vec<_>, _> = declared.iter().map(in_http_words).collect();
    let rules = match rules {
        Ok(rules) => rules,
        Err(fault) => return TranslatedRoute::rejected(fault),
    };
    let requests = Requests {
        reference,
        hostnames: route.spec.hostnames.as_deref().unwrap_or_default(),
        rules: &rules,
        fallthrough: host_fallthrough(route, &mut warnings),
        https: scheme(route, &mut warnings),
        host_settings: host::settings(route, &mut warnings),
        age: Age::vouched(route),
    };
    let rank = |place: (usize, usize), matches: &RequestMatch| {
        let call = declared[place.0]
            .matches
            .as_deref()
            .and_then(|matches| matches.get(place.1))
            .and_then(|matches| matches.method.as_ref());
        Precedence::of_call(call_rank(call), matches, &order, place)
    };
    requests.translate(rank, warnings, lookup)
}

/// > Precedence MUST be given to the rule with the largest number of: ... Characters in a matching service. Characters
/// > in a matching method. Header matches.
fn call_rank(call: Option<&GrpcRouteRulesMatchesMethod>) -> CallRank {
    let length = |text: Option<&str>| Reverse(text.map_or(0, |text| text.chars().count()));
    CallRank {
        service: length(call.and_then(|call| call.service.as_deref())),
        method: length(call.and_then(|call| call.method.as_deref())),
    }
}

/// All but matches are the same fields under the same names in both kinds.
fn in_http_words(rule: &GrpcRouteRules) -> Result<HttpRouteRules, Fault> {
    let everything = [GrpcRouteRulesMatches::default()];
    let matches = match rule.matches.as_deref() {
        None | Some([]) => &everything[..],
        Some(matches) => matches,
    };
    let rest = GrpcRouteRules {
        matches: None,
        ..rule.clone()
    };
    let rest = serde_json::to_value(rest).and_then(serde_json::from_value::<HttpRouteRules>);
    let rest =
        rest.map_err(|error| Fault::new(reasons::ROUTE_UNSUPPORTED_VALUE, error.to_string()));
    Ok(HttpRouteRules {
        matches: Some(matches.iter().map(request).collect()),
        ..rest?
    })
}

/// > If no matches are specified, the implementation MUST match every gRPC request.
fn request(declared: &GrpcRouteRulesMatches) -> HttpRouteRulesMatches {
    let headers = declared.headers.as_ref();
    HttpRouteRulesMatches {
        headers: headers.map(|headers| headers.iter().map(header).collect()),
        method: Some(HttpRouteRulesMatchesMethod::Post),
        path: declared.method.as_ref().map(path),
        query_params: None,
    }
}

fn header(declared: &GrpcRouteRulesMatchesHeaders) -> HttpRouteRulesMatchesHeaders {
    HttpRouteRulesMatchesHeaders {
        name: declared.name.clone(),
        r#type: declared.r#type.as_ref().map(|type_| match type_ {
            GrpcRouteRulesMatchesHeadersType::Exact => HttpRouteRulesMatchesHeadersType::Exact,
            GrpcRouteRulesMatchesHeadersType::RegularExpression => {
                HttpRouteRulesMatchesHeadersType::RegularExpression
            }
        }),
        value: declared.value.clone(),
    }
}

/// An absent or empty service or method is any.
fn path(call: &GrpcRouteRulesMatchesMethod) -> HttpRouteRulesMatchesPath {
    use HttpRouteRulesMatchesPathType::{Exact, PathPrefix, RegularExpression};
    let part = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let (service, method) = (part(&call.service), part(&call.method));
    let expression = call.r#type == Some(GrpcRouteRulesMatchesMethodType::RegularExpression);
    let either =
        |part: Option<String>| part.map_or("[^/]+".to_owned(), |part| format!("(?:{part})"));
    let (type_, value) = match (service, method) {
        (None, None) => (PathPrefix, "/".to_owned()),
        (service, method) if expression => {
            let value = format!("/{}/{}", either(service), either(method));
            (RegularExpression, value)
        }
        (Some(service), Some(method)) => (Exact, format!("/{service}/{method}")),
        (Some(service), None) => (PathPrefix, format!("/{service}/")),
        (None, Some(method)) => (
            RegularExpression,
            format!("/[^/]+/{}", regex::escape(&method)),
        ),
    };
    HttpRouteRulesMatchesPath {
        r#type: Some(type_),
        value: Some(value),
    }
}
