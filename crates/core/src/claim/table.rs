//! The table: every feature that is done.

use super::feature::Feature;

/// What retries are written in.
const RETRY: &str = "spec.rules[].retry";

const fn f(name: &'static str, definition: &'static str, test: &'static str) -> Feature {
    Feature::new(name, definition, test)
}

/// In ascending order. The channel is the suite's own label, but for `TLSRouteModeMixed`: releases before 1.7 call it
/// experimental, though all of its fields are standard, and the suite wants listeners that mix modes refused where it is
/// not claimed.
pub const FEATURES: &[Feature] = &[
    f("BackendTLSPolicy", "backendtlspolicies", "BackendTLSPolicy"),
    f(
        "BackendTLSPolicySANValidation",
        "backendtlspolicies",
        "BackendTLSPolicySANValidation",
    ),
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
    f(
        "GatewayPort8080",
        "gateways",
        "GatewayWithAttachedRoutesWithPort8080",
    ),
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
        .needs(RETRY),
    f("HTTPRouteRetryBackendTimeout", "httproutes", "")
        .since(1, 6, 0)
        .until(1, 7, 0)
        .experimental()
        .needs(RETRY)
        .own(
            "crates/proxy/tests/sockets/forwarding.rs",
            "deadlines_answer_504",
        ),
    f("HTTPRouteRetryCodes", "httproutes", "HTTPRouteRetry")
        .since(1, 7, 0)
        .needs(RETRY),
    f("HTTPRouteRetryConnectionError", "httproutes", "")
        .since(1, 6, 0)
        .until(1, 7, 0)
        .experimental()
        .needs(RETRY)
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
    .needs(RETRY),
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
