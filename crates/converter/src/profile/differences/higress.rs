//! What Postern does otherwise than Higress for Ingresses with its rules.

use super::Difference;

pub(super) const ROWS: &[Difference] = &[
    Difference {
        topic: "a value that cannot be honoured",
        theirs: "often falls back without a word",
        ours: "is reported, by name and with a reason; a security setting lets nobody in",
        shown: "annotations::refused::it_closes_its_own_route_and_no_other",
    },
    Difference {
        topic: "canary chain",
        theirs: "header, cookie, weight within one Ingress",
        ours: "the same, and across any number of canaries of a path; weights are exact shares, not whole percent",
        shown: "annotations::canary::a_chain_within_and_across",
    },
    Difference {
        topic: "session cookie",
        theirs: "Envoy hashes its value; an endpoint that comes takes its share of the clients",
        ours: "its value names the endpoint, and the client stays for as long as that is there; a value that another Service or the application made is hashed and stays",
        shown: "sessions::services_share_a_name",
    },
    Difference {
        topic: "`canary-by-header-value`",
        theirs: "may be read as an expression",
        ours: "is compared literally; `canary-by-header-pattern` is for expressions",
        shown: "canary/header-pattern",
    },
    Difference {
        topic: "`cors-allow-origin` without scheme",
        theirs: "is compared as it stands",
        ours: "means that host by http and by https",
        shown: "cors/seed",
    },
    Difference {
        topic: "retries without an annotation",
        theirs: "the data plane's defaults",
        ours: "up to two other endpoints, when no connection could be made; one, when a pooled connection died before any byte of the answer",
        shown: "elsewhere::two_more_endpoints_are_tried_with_the_body_that_nobody_has_read",
    },
    Difference {
        topic: "rate limit",
        theirs: "for each route",
        ours: "one bucket for each path of an Ingress and gateway instance, shared with its weighted canaries; 429 with `Retry-After`",
        shown: "annotations::limits::requests_a_minute_of_each_client",
    },
    Difference {
        topic: "settings of one Ingress",
        theirs: "may reach a Service that others use",
        ours: "hold for that Ingress' routes",
        shown: "canary/settings-of-base",
    },
    Difference {
        topic: "TLS 1.0 and 1.1",
        theirs: "can be switched on",
        ours: "are not spoken; a minimum below 1.2 is raised, and reported",
        shown: "downstream-tls/refused",
    },
    Difference {
        topic: "`proxy-ssl-secret`",
        theirs: "",
        ours: "turns on TLS to the backend by itself, and verifies with the authorities in the Secret",
        shown: "upstream-tls/seed",
    },
    Difference {
        topic: "`destination` with a registry that is not there, or of another type than `dns` and `static`",
        theirs: "asks the registry, or answers 503",
        ours: "is refused by name; its share is answered with 503",
        shown: "destination/bridge",
    },
    Difference {
        topic: "registries by https",
        theirs: "encrypts, and looks at no certificate",
        ours: "the same; a single host of type `dns`, or `sni`, is the name that is sent",
        shown: "annotations::higress::registries_by_tls",
    },
    Difference {
        topic: "`…-match-pseudo-header-path`",
        theirs: "is a condition beside the path of the rule, and compares the query too",
        ours: "is joined with the path of the rule to one; the query does not count. Where rules are put in order it is the joined path that counts. A path with which it cannot be joined is not served, and reported",
        shown: "annotations::higress::conditions_on_the_path",
    },
    Difference {
        topic: "`whitelist-source-range: \"*\"`",
        theirs: "is everybody",
        ours: "the same, and reported",
        shown: "annotations::higress::a_star_among_addresses",
    },
    Difference {
        topic: "`cors-expose-headers: \"*\"` with credentials",
        theirs: "sends `*`, which browsers take for a header of that name",
        ours: "names the headers that the answer has",
        shown: "annotations::higress::every_header_is_exposed_by_name",
    },
    Difference {
        topic: "`rewrite-target` with groups that does not begin with a slash",
        theirs: "sends what comes out in the place of the path",
        ours: "puts a slash before it, and reports it",
        shown: "rewrite/no-slash",
    },
    Difference {
        topic: "redirects",
        theirs: "",
        ours: "are absolute; a target without a path keeps the request's",
        shown: "annotations::higress::routes::where_clients_are_sent",
    },
];
