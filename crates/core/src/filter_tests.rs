use api::gateway::httproutes::HttpRouteRulesFilters;
use ir::{OriginMatch, PathRewrite, Pattern, RequestStep};

use super::{Filters, path};
use crate::lookup::Lookup;

fn parse(yaml: &str, prefix: Option<&str>) -> Filters {
    let declared: Vec<HttpRouteRulesFilters> = serde_saphyr::from_str(yaml).unwrap();
    let resources = api::Resources::default();
    let policies = crate::policy::Policies::default();
    let lookup = Lookup::new(&resources, &policies);
    let of = super::Of {
        from: &"HTTPRoute/default/r".parse().unwrap(),
        matches: &[],
        prefix,
        cors: api::CorsAnswers::default(),
        lookup: &lookup,
    };
    super::parse(&declared, of)
}

#[test]
fn substitutions_read_as_nginx_reads_them() {
    for (given, path, expected) in [
        ("/$1", "/v1/x", "//x"),
        ("/$1x", "/v1/x", "//xx"),
        ("/$2y$1", "/v1/x", "/y/x"),
        ("/${1}1", "/v1/x", "//x1"),
        ("/$$1", "/v1/x", "/$1"),
        ("/$", "/v1/x", "/$"),
        ("/${", "/v1/x", "/${"),
        ("/$a", "/v1/x", "/$a"),
        ("/a", "/v2", "/v2"),
        ("/é$1", "/v1/x", "/é/x"),
    ] {
        let pattern = Pattern::in_path("^/v1(/.*)$").unwrap();
        let got = pattern.replace(path, &path::replacement(given));
        assert_eq!(got, expected, "{given}");
    }
}

#[test]
fn origins() {
    let wild = |scheme: &str, suffix: &str| {
        Ok(OriginMatch::Wildcard {
            scheme: scheme.into(),
            suffix: suffix.into(),
            one_label: false,
        })
    };
    let exact = |text: &str| Ok(OriginMatch::Exact(text.into()));
    for (given, expected) in [
        ("*", Ok(OriginMatch::Any)),
        ("https://A.com", exact("https://a.com")),
        ("http://a.com:8080", exact("http://a.com:8080")),
        ("http://[::1]:80", exact("http://[::1]:80")),
        ("https://*.bar.com", wild("https://", ".bar.com")),
        ("https://*.bar.com:8443", wild("https://", ".bar.com:8443")),
        ("https://*", wild("https://", "")),
        ("a.com", Err(())),
        ("app://a.com", exact("app://a.com")),
        ("Chrome-Extension://abc", exact("chrome-extension://abc")),
        ("1app://a.com", Err(())),
        ("://a.com", Err(())),
        ("https://", Err(())),
        ("https://a.com:0", Err(())),
        ("https://a.com/path", Err(())),
        ("https://a.*.com", Err(())),
        ("https://*bar.com", Err(())),
    ] {
        let yaml = format!("[{{type: CORS, cors: {{allowOrigins: [\"{given}\"]}}}}]");
        let filters = parse(&yaml, None);
        let got = match &filters.cors {
            Some(cors) => Ok(cors.origins[0].clone()),
            None => {
                assert_eq!(filters.faults.len(), 1, "{given}");
                Err(())
            }
        };
        assert_eq!(got, expected, "{given}");
    }
}

#[test]
fn prefixes_are_held_without_trailing_slash() {
    for (given, matched, replacement) in [
        ("/b/", "/a", "/b"),
        ("/", "/a", ""),
        ("", "/a", ""),
        ("b", "", "/b"),
    ] {
        let yaml = format!(
            "[{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: \"{given}\"}}}}}}]"
        );
        let filters = parse(&yaml, Some(matched));
        let Some(RequestStep::Rewrite(rewrite)) = filters.request.first() else {
            panic!("{given}: {:?}", filters.faults);
        };
        let expected = PathRewrite::Prefix {
            matched: matched.into(),
            replacement: replacement.into(),
        };
        assert_eq!(rewrite.path, Some(expected), "{given}");
    }
}

#[test]
fn what_frames_messages_is_not_for_modifiers() {
    let list = |name: &str| format!("set: [{{name: {name}, value: x}}]");
    let all = [
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Upgrade",
        "TE",
        "Trailer",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authorization",
        "HTTP2-Settings",
    ];
    for name in all {
        for change in [
            list(name),
            list(name).replace("set", "add"),
            format!("remove: [{name}]"),
        ] {
            for of in ["Request", "Response"] {
                let field = of.to_ascii_lowercase();
                let yaml =
                    format!("[{{type: {of}HeaderModifier, {field}HeaderModifier: {{{change}}}}}]");
                let filters = parse(&yaml, None);
                assert_eq!(filters.faults.len(), 1, "{yaml}");
                assert!(filters.faults[0].message.contains("cannot be changed"));
                assert!(filters.request.is_empty() && filters.response.is_empty());
            }
        }
    }
    let host = |of: &str, field: &str| {
        let yaml = format!(
            "[{{type: {of}HeaderModifier, {field}HeaderModifier: {{set: [{{name: host, value: a.com}}]}}}}]"
        );
        parse(&yaml, None).faults.len()
    };
    assert_eq!(
        (host("Request", "request"), host("Response", "response")),
        (1, 0)
    );
}

#[test]
fn of_entries_with_one_name_the_first_counts() {
    let filters = parse(
        "[{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X, value: '1'}, {name: x, value: '2'}], add: [{name: y, value: '1'}, {name: Y, value: '2'}]}}]",
        None,
    );
    let Some(RequestStep::Headers(mods)) = filters.request.first() else {
        panic!("{:?}", filters.faults);
    };
    let pairs = |list: &[(http::HeaderName, http::HeaderValue)]| {
        let text = |(name, value): &(http::HeaderName, http::HeaderValue)| {
            format!("{name}={}", value.to_str().unwrap())
        };
        list.iter().map(text).collect::<Vec<_>>()
    };
    assert_eq!(
        (pairs(&mods.set), pairs(&mods.add)),
        (vec!["x=1".to_owned()], vec!["y=1".to_owned()])
    );
}

#[test]
fn illegal_headers_are_faults() {
    for header in ["{name: \"a b\", value: x}", "{name: a, value: \"x\\ny\"}"] {
        let yaml = format!(
            "[{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{header}]}}}}]"
        );
        let filters = parse(&yaml, None);
        assert_eq!(filters.faults.len(), 1, "{header}");
        assert!(filters.request.is_empty(), "{header}");
    }
}
