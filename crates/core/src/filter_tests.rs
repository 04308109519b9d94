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
        ("ftp://a.com", Err(())),
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
