//! What the head of a response says about the end of its body, made unambiguous.
//!
//! hyper follows RFC 9112 section 6.3 when it reads a body, but hands over the fields as they came. What is passed on
//! has to agree with what was read.

use http::{HeaderMap, HeaderValue, Response, StatusCode, Version, header};

use super::length::{self, Coding};

/// Whether a connection may take another request once the answer has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// Both sides agree where the answer ends.
    Yes,
    /// The backend may see its end elsewhere.
    No,
}

/// A head that does not say in one way where its body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear;

/// Leaves at most one `Content-Length` in an answer, and only one that is true (RFC 9112 section 6.3). `head` is
/// whether the request was HEAD.
pub(crate) fn settle<B>(head: bool, response: &mut Response<B>) -> Result<Reuse, Unclear> {
    let status = response.status();
    let version = response.version();
    let fields = response.headers_mut();
    if fields.contains_key(header::TRANSFER_ENCODING) {
        return coded(head, status, version, fields);
    }
    let mut lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (None, _) => return Ok(Reuse::Yes),
        (Some(one), None) if length::length(one.as_bytes()).is_some() => {}
        _ => merge(fields)?,
    }
    if !is_without_length(status) {
        return Ok(Reuse::Yes);
    }
    // RFC 9110 section 8.6 forbids it; a backend that says it might send such a body.
    let said = fields.remove(header::CONTENT_LENGTH);
    Ok(match said.is_some_and(|value| value.as_bytes() != b"0") {
        true => Reuse::No,
        false => Reuse::Yes,
    })
}

/// 1xx and 204, which have neither a body nor a length.
fn is_without_length(status: StatusCode) -> bool {
    status.is_informational() || status == StatusCode::NO_CONTENT
}

/// Makes equal lengths one.
#[cold]
fn merge(fields: &mut HeaderMap) -> Result<(), Unclear> {
    let values = fields.get_all(header::CONTENT_LENGTH).iter();
    let length = length::lengths(values).ok_or(Unclear)?;
    fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(())
}

/// The transfer coding decides, and the length goes.
fn coded(
    head: bool,
    status: StatusCode,
    version: Version,
    fields: &mut HeaderMap,
) -> Result<Reuse, Unclear> {
    // RFC 9112 section 6.1: its framing is faulty, whatever else it says.
    if version == Version::HTTP_10 {
        return Err(Unclear);
    }
    let bodyless = head || is_without_length(status) || status == StatusCode::NOT_MODIFIED;
    let mut codings = fields.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = match (codings.next(), codings.next()) {
        (Some(one), None) => length::coding(one.as_bytes()) == Coding::Chunked,
        // We ask for none (`TE`), so nothing may be under it.
        _ => false,
    };
    if !chunked && !bodyless {
        return Err(Unclear);
    }
    let said = fields.remove(header::CONTENT_LENGTH).is_some();
    let sure = chunked && !said && !is_without_length(status);
    Ok(if sure { Reuse::Yes } else { Reuse::No })
}
