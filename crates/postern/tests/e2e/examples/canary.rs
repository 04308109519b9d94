//! Canary release, and header control together with it.

use std::collections::BTreeMap;

use crate::support::Served;

const URL: &str = "http://any.example.net/hello";

/// "When the request contains this Header with a value of always, the traffic will be routed to the canary service;
/// otherwise, the traffic will not be routed to the canary service."
pub(crate) fn by_header(served: &Served<'_>) {
    assert_eq!(
        served.who(URL, Some(("higress", "always"))),
        "demo-service-canary"
    );
    assert_eq!(
        served.who(URL, Some(("HIGRESS", "always"))),
        "demo-service-canary"
    );
    for header in [
        None,
        Some(("higress", "never")),
        Some(("higress", "Always")),
        Some(("higress", "always1")),
        Some(("other", "always")),
    ] {
        assert_eq!(served.who(URL, header), "demo-service", "{header:?}");
    }
    assert_eq!(
        served.who("http://any.example.net/hello/", Some(("higress", "always"))),
        "404"
    );
    assert_eq!(served.who("http://any.example.net/", None), "404");
}

/// "When the request Header is higress: v1, it will access the canary service demo-service-canary-v1; when the request
/// Header is higress: v2, it will access the canary service demo-service-canary-v2; otherwise, it will access the
/// production service demo-service."
pub(crate) fn by_header_value(served: &Served<'_>) {
    assert_eq!(
        served.who(URL, Some(("higress", "v1"))),
        "demo-service-canary-v1"
    );
    assert_eq!(
        served.who(URL, Some(("higress", "v2"))),
        "demo-service-canary-v2"
    );
    for header in [
        None,
        Some(("higress", "v3")),
        Some(("higress", "v11")),
        Some(("higress", "always")),
        Some(("higress", "V1")),
    ] {
        assert_eq!(served.who(URL, header), "demo-service", "{header:?}");
    }
}

/// "When the request Cookie is demo=always, it will access the canary service demo-service-canary; otherwise, it will
/// access the production service demo-service."
pub(crate) fn by_cookie(served: &Served<'_>) {
    for cookie in [
        "demo=always",
        "a=b; demo=always",
        "demo=always; a=b",
        "a=b;demo=always",
    ] {
        assert_eq!(
            served.who(URL, Some(("cookie", cookie))),
            "demo-service-canary",
            "{cookie}"
        );
    }
    for cookie in [
        "demo=never",
        "demo=alwaysnot",
        "xdemo=always",
        "demo=other; a=always",
        "a=demo=always",
    ] {
        assert_eq!(
            served.who(URL, Some(("cookie", cookie))),
            "demo-service",
            "{cookie}"
        );
    }
    assert_eq!(served.who(URL, None), "demo-service");
    assert_eq!(served.who(URL, Some(("demo", "always"))), "demo-service");
}

/// "the weight of canary service demo-service-canary-v1 as 30%, the weight of canary service demo-service-canary-v2 as
/// 20%, and the weight of production service demo-service as 50%"
pub(crate) fn by_weight(served: &Served<'_>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..200 {
        *counts.entry(served.who(URL, None)).or_default() += 1;
    }
    let wanted = [
        ("demo-service", 100),
        ("demo-service-canary-v1", 60),
        ("demo-service-canary-v2", 40),
    ];
    assert_eq!(
        counts,
        wanted.map(|(name, count)| (name.to_owned(), count)).into()
    );
    assert_eq!(served.who("http://any.example.net/other", None), "404");
}

/// "Sets the total weight, default is 100": 1 of 40, which no whole percentage can say.
pub(crate) fn by_weight_total(served: &Served<'_>) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..80 {
        *counts.entry(served.who(URL, None)).or_default() += 1;
    }
    let wanted = [("demo-service", 78), ("demo-service-canary", 2)];
    assert_eq!(
        counts,
        wanted.map(|(name, count)| (name.to_owned(), count)).into()
    );
}

/// "When the request header is higress: v1, it will access the canary service demo-service-canary-v1 and add the header
/// stage: gray; otherwise, it will access the production service demo-service and add the header stage: production."
pub(crate) fn coloured(served: &Served<'_>) {
    let stage = |value: Option<&str>| {
        let mut call = served.call("GET", URL);
        if let Some(value) = value {
            call = call.header("higress", value);
        }
        let answer = call.send_blocking().unwrap();
        (
            answer.backend().to_owned(),
            answer.json()["headers"]["stage"].to_string(),
        )
    };
    assert_eq!(
        stage(Some("v1")),
        (
            "demo-service-canary-v1".to_owned(),
            r#"["gray"]"#.to_owned()
        )
    );
    for other in [None, Some("v2")] {
        assert_eq!(
            stage(other),
            ("demo-service".to_owned(), r#"["production"]"#.to_owned())
        );
    }
}
