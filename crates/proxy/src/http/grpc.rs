//! gRPC's own way to say that something went wrong, for clients that would make little of a status of HTTP.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header};

use crate::http::error::ProxyError;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const CONTENT_TYPE: &str = "application/grpc";

/// Whether the request is a gRPC call.
pub(crate) fn is_call<B>(request: &Request<B>) -> bool {
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(names_grpc)
}

/// `application/grpc`, with or without a codec or parameters; gRPC-Web is another format.
fn names_grpc(value: &HeaderValue) -> bool {
    value
        .as_bytes()
        .strip_prefix(CONTENT_TYPE.as_bytes())
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// Makes an answer's head that of a call that failed: all that gRPC has to say fits into it.
pub(crate) fn fail(error: ProxyError, answer: &mut HeaderMap) {
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    answer.insert(STATUS, HeaderValue::from(code(error)));
    answer.insert(MESSAGE, HeaderValue::from_static(error.flag()));
}

/// The code for an error, as gRPC's table for statuses of HTTP has it, but where that has no code of its own.
///
/// (<https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>.) A rule that cannot be served is
/// `UNAVAILABLE`: GRPCRoute asks for that where a backend is invalid.
const fn code(error: ProxyError) -> u16 {
    const UNKNOWN: u16 = 2;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    if matches!(error, ProxyError::Rule(_)) {
        return UNAVAILABLE;
    }
    match error.status() {
        StatusCode::BAD_REQUEST => INTERNAL,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::NOT_FOUND => UNIMPLEMENTED,
        StatusCode::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_requests() {
        let request = |version, method, content: &str| {
            let request = Request::builder().version(version).method(method);
            request.header("content-type", content).body(()).unwrap()
        };
        for content in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;charset=utf-8",
        ] {
            let call = request(Version::HTTP_2, Method::POST, content);
            assert!(is_call(&call), "{content}");
            assert!(!is_call(&request(Version::HTTP_11, Method::POST, content)));
            assert!(!is_call(&request(Version::HTTP_2, Method::GET, content)));
        }
        for content in [
            "application/grpc-web",
            "application/grpcs",
            "text/plain",
            "",
        ] {
            assert!(!is_call(&request(Version::HTTP_2, Method::POST, content)));
        }
    }

    #[test]
    fn errors_have_the_codes_that_clients_retry_or_report() {
        for (error, wanted) in [
            (ProxyError::NoRoute, 12),
            (ProxyError::Rule(ir::Reason::InvalidBackend), 14),
            (ProxyError::NoEndpoint, 14),
            (ProxyError::RateLimited, 14),
            (ProxyError::Unauthorized, 16),
            (ProxyError::Forbidden, 7),
            (ProxyError::BodyTooLarge, 8),
            (ProxyError::Misdirected, 2),
        ] {
            assert_eq!(code(error), wanted, "{error:?}");
        }
    }
}
