//! The table: every feature that is done.

use api::Kind;

use super::feature::Feature;

/// What retries are written in.
const RETRY: &str = "spec.rules[].retry";

/// Where it is said from where an address is reached.
const ROUTABILITY: &str = "spec.addresses[].routability";

const fn f(name: &'static str, definition: &'static str, test: &'static str) -> Feature {
    Feature::new(name, definition, test)
}

/// In ascending order. The channel is the suite's own label, but for `TLSRouteModeMixed`: releases before 1.7 call it
/// experimental, though all of its fields are standard, and the suite wants listeners that mix modes refused where it
/// is not claimed.
pub const FEATURES: &[Feature] = &[
    f("BackendTLSPolicy", "backendtlspolicies", "BackendTLSPolicy"),
    f(
        "BackendTLSPolicySANValidation",
        "backendtlspolicies",
        "BackendTLSPolicySANValidation",
    ),
    f("ClusterTrustBundle", "gateways", "")
        .since(1, 7, 0)
        .experimental()
        .kind(Kind::ClusterTrustBundle)
        .golden("backend-tls-policy/trust-bundle"),
    f("GRPCRoute", "grpcroutes", "GRPCExactMethodMatching"),
    f(
        "GRPCRouteNamedRouteRule",
        "grpcroutes",
        "GRPCRouteNamedRule",
    ),
    f(
        "GRPCRouteRequestHeaderModifier",
        "grpcroutes",
        "GRPCRouteRequestHeaderModifier",
    )
    .since(1, 7, 0),
    f("Gateway", "gateways", "GatewayModifyListeners"),
    f(
        "GatewayAddressEmpty",
        "gateways",
        "GatewayOptionalAddressValue",
    ),
    f("GatewayAddressRoutability", "gateways", "")
        .since(1, 7, 0)
        .experimental()
        .field(ROUTABILITY)
        .own(
            "crates/core/src/reach_tests.rs",
            "what_cannot_be_kept_inside_is_not_served",
        ),
    f("GatewayAddressRoutabilityCluster", "gateways", "")
        .since(1, 7, 0)
        .experimental()
        .field(ROUTABILITY)
        .own(
            "crates/core/src/reach_tests.rs",
            "an_address_inside_the_cluster_is_that_of_the_service_and_of_no_load_balancer",
        ),
    f(
        "GatewayBackendClientCertificate",
        "gateways",
        "GatewayTLSBackendClientCertificate",
    ),
    f(
        "GatewayFrontendClientCertificateValidation",
        "gateways",
        "GatewayFrontendClientCertificateValidation",
    ),
    f(
        "GatewayFrontendClientCertificateValidationInsecureFallback",
        "gateways",
        "GatewayFrontendClientCertificateValidationInsecureFallback",
    ),
    f(
        "GatewayHTTPListenerIsolation",
        "gateways",
        "GatewayHTTPListenerIsolation",
    ),
    f(
        "GatewayHTTPSListenerDetectMisdirectedRequests",
        "gateways",
        "HTTPRouteHTTPSListenerDetectMisdirectedRequests",
    ),
    f(
        "GatewayInfrastructure",
        "gateways",
        "GatewayInfrastructureMetadata",
    )
    .since(1, 6, 3),
    f(
        "GatewayInfrastructurePropagation",
        "gateways",
        "GatewayInfrastructure",
    )
    .until(1, 6, 3),
    f("GatewayListenerFilters", "gateways", "")
        .since(1, 7, 0)
        .experimental()
        .field("spec.listeners[].filters")
        .own(
            "crates/proxy/tests/sockets/external_auth.rs",
            "filters_of_a_listener_come_before_routes",
        ),
    f(
        "GatewayPort8080",
        "gateways",
        "GatewayWithAttachedRoutesWithPort8080",
    ),
    f(
        "GatewayRouteHostnameIntersectionPrecedence",
        "gateways",
        "HTTPRouteMultipleRoutesAttachmentSameHostnameIntersection",
    )
    .since(1, 7, 0),
    f(
        "GatewayStaticAddresses",
        "gateways",
        "GatewayStaticAddresses",
    ),
    f("HTTPRoute", "httproutes", "HTTPRouteMatching"),
    f(
        "HTTPRoute303RedirectStatusCode",
        "httproutes",
        "HTTPRoute303Redirect",
    ),
    f(
        "HTTPRoute307RedirectStatusCode",
        "httproutes",
        "HTTPRoute307Redirect",
    ),
    f(
        "HTTPRoute308RedirectStatusCode",
        "httproutes",
        "HTTPRoute308Redirect",
    ),
    f(
        "HTTPRouteBackendProtocolH2C",
        "httproutes",
        "HTTPRouteBackendProtocolH2C",
    ),
    f(
        "HTTPRouteBackendProtocolWebSocket",
        "httproutes",
        "HTTPRouteBackendProtocolWebSocket",
    ),
    f(
        "HTTPRouteBackendRequestHeaderModification",
        "httproutes",
        "HTTPRouteBackendRequestHeaderModifier",
    ),
    f(
        "HTTPRouteBackendTimeout",
        "httproutes",
        "HTTPRouteTimeoutBackendRequest",
    ),
    f(
        "HTTPRouteBackendURLRewrite",
        "httproutes",
        "HTTPRouteBackendURLRewrite",
    )
    .since(1, 7, 0),
    f("HTTPRouteCORS", "httproutes", "HTTPRouteCORS"),
    f(
        "HTTPRouteDestinationPortMatching",
        "httproutes",
        "HTTPRouteInvalidParentRefNotMatchingListenerPort",
    )
    .experimental(),
    f("HTTPRouteHostRewrite", "httproutes", "HTTPRouteRewriteHost"),
    f(
        "HTTPRouteMethodMatching",
        "httproutes",
        "HTTPRouteMethodMatching",
    ),
    f(
        "HTTPRouteNamedRouteRule",
        "httproutes",
        "HTTPRouteNamedRule",
    ),
    f(
        "HTTPRouteParentRefPort",
        "httproutes",
        "HTTPRouteListenerPortMatching",
    ),
    f(
        "HTTPRoutePathRedirect",
        "httproutes",
        "HTTPRouteRedirectPath",
    ),
    f("HTTPRoutePathRewrite", "httproutes", "HTTPRouteRewritePath"),
    f(
        "HTTPRoutePortRedirect",
        "httproutes",
        "HTTPRouteRedirectPort",
    ),
    f(
        "HTTPRouteQueryParamMatching",
        "httproutes",
        "HTTPRouteQueryParamMatching",
    ),
    f(
        "HTTPRouteRequestMirror",
        "httproutes",
        "HTTPRouteRequestMirror",
    ),
    f(
        "HTTPRouteRequestMultipleMirrors",
        "httproutes",
        "HTTPRouteRequestMultipleMirrors",
    ),
    f(
        "HTTPRouteRequestPercentageMirror",
        "httproutes",
        "HTTPRouteRequestPercentageMirror",
    ),
    f(
        "HTTPRouteRequestTimeout",
        "httproutes",
        "HTTPRouteTimeoutRequest",
    ),
    f(
        "HTTPRouteResponseHeaderModification",
        "httproutes",
        "HTTPRouteResponseHeaderModifier",
    ),
    f("HTTPRouteRetry", "httproutes", "HTTPRouteRetry")
        .since(1, 6, 0)
        .until(1, 7, 0)
        .experimental()
        .field(RETRY),
    f("HTTPRouteRetryBackendTimeout", "httproutes", "")
        .since(1, 6, 0)
        .until(1, 7, 0)
        .experimental()
        .field(RETRY)
        .own(
            "crates/proxy/tests/sockets/forwarding.rs",
            "deadlines_answer_504",
        ),
    f("HTTPRouteRetryCodes", "httproutes", "HTTPRouteRetry")
        .since(1, 7, 0)
        .field(RETRY),
    f("HTTPRouteRetryConnectionError", "httproutes", "")
        .since(1, 6, 0)
        .until(1, 7, 0)
        .experimental()
        .field(RETRY)
        .own(
            "crates/proxy/tests/sockets/forwarding.rs",
            "a_refused_connection_is_tried_elsewhere",
        ),
    f(
        "HTTPRouteRetryConnectionError",
        "httproutes",
        "HTTPRouteRetryConnectionError",
    )
    .since(1, 7, 0)
    .field(RETRY),
    f(
        "HTTPRouteSchemeRedirect",
        "httproutes",
        "HTTPRouteRedirectScheme",
    ),
    f("ListenerSet", "listenersets", "ListenerSetHTTPRouting"),
    f(
        "ReferenceGrant",
        "referencegrants",
        "GatewaySecretReferenceGrantSpecific",
    ),
    f("TCPRoute", "tcproutes", "TCPRouteWeightedRouting").since(1, 6, 0),
    f("TLSRoute", "tlsroutes", "TLSRouteSimpleSameNamespace"),
    f(
        "TLSRouteModeMixed",
        "tlsroutes",
        "TLSRouteMixedTerminationSameNamespace",
    ),
    f(
        "TLSRouteModeTerminate",
        "tlsroutes",
        "TLSRouteTerminateSimpleSameNamespace",
    ),
    f("UDPRoute", "udproutes", "UDPRoute")
        .until(1, 6, 0)
        .experimental(),
    f("UDPRoute", "udproutes", "UDPRoute").since(1, 6, 0),
];
