//! The trace a request belongs to: W3C Trace Context in and out, B3 accepted.
//!
//! <https://www.w3.org/TR/trace-context/> and <https://github.com/openzipkin/b3-propagation>.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, TraceFlags};
pub use opentelemetry::trace::{SpanId, TraceId, TraceState};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// More than this in all `tracestate` headers together and they are dropped. The specification
/// asks for at least 512.
const MAX_TRACESTATE: usize = 4096;
const MAX_TRACESTATE_MEMBERS: usize = 32;

/// What the caller decided about recording this trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Record it.
    Sampled,
    /// Do not.
    NotSampled,
    /// The caller leaves it to us; only B3 can say so.
    Deferred,
}

/// The headers the parent came in, so that the same dialect is kept current on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `traceparent` and `tracestate`.
    W3c,
    /// The single `b3` header.
    B3Single,
    /// `X-B3-TraceId` and its companions.
    B3Multi,
}

/// The caller's span, as found in the request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParent {
    /// The trace; never all zero.
    pub trace_id: TraceId,
    /// The caller's span; never all zero.
    pub span_id: SpanId,
    /// Whether the caller records it.
    pub sampling: Sampling,
    /// Vendors' state; empty unless it was asked for and valid.
    pub state: TraceState,
    /// Where it was found.
    pub dialect: Dialect,
}

impl RemoteParent {
    /// The caller's span: `traceparent` first, then `b3`, then `X-B3-*`. Allocates nothing unless
    /// `with_state` is set and the request carries a `tracestate`.
    pub fn extract(headers: &HeaderMap, with_state: bool) -> Option<Self> {
        if let Some(value) = only(headers, &TRACEPARENT)
            && let Some((trace_id, span_id, flags)) = parse_traceparent(value.as_bytes())
        {
            let sampling = if flags & 1 == 1 {
                Sampling::Sampled
            } else {
                Sampling::NotSampled
            };
            let state = if with_state {
                combined_tracestate(headers)
            } else {
                TraceState::NONE
            };
            return Some(Self {
                trace_id,
                span_id,
                sampling,
                state,
                dialect: Dialect::W3c,
            });
        }
        let (found, dialect) = match only(headers, &B3) {
            Some(value) => (parse_b3(value.as_bytes()), Dialect::B3Single),
            None => (b3_headers(headers), Dialect::B3Multi),
        };
        let (trace_id, span_id, sampling) = found?;
        Some(Self {
            trace_id,
            span_id,
            sampling,
            state: TraceState::NONE,
            dialect,
        })
    }

    pub(crate) fn span_context(&self) -> SpanContext {
        let flags = if self.sampling == Sampling::Sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::NOT_SAMPLED
        };
        SpanContext::new(self.trace_id, self.span_id, flags, true, self.state.clone())
    }
}

/// Writes `context` as the parent of whatever the receiver does. A request that came with B3
/// headers keeps them, pointing at the same span.
pub(crate) fn inject(headers: &mut HeaderMap, context: &SpanContext, dialect: Dialect) {
    let (trace_id, span_id) = (context.trace_id(), context.span_id());
    let sampled = context.is_sampled();
    headers.insert(
        TRACEPARENT,
        ascii(&format_traceparent(trace_id, span_id, sampled)),
    );
    let state = context.trace_state().header();
    match HeaderValue::try_from(state) {
        Ok(value) if !value.is_empty() => drop(headers.insert(TRACESTATE, value)),
        // What came in was refused, or came with another dialect: it must not pair with our ids.
        _ => drop(headers.remove(TRACESTATE)),
    }
    match dialect {
        Dialect::W3c => {}
        Dialect::B3Single => {
            let mut text = [b'-'; 51];
            hex(&trace_id.to_bytes(), &mut text[..32]);
            hex(&span_id.to_bytes(), &mut text[33..49]);
            text[50] = b'0' + u8::from(sampled);
            headers.insert(B3, ascii(&text));
        }
        Dialect::B3Multi => {
            let (mut trace, mut span) = ([0; 32], [0; 16]);
            hex(&trace_id.to_bytes(), &mut trace);
            hex(&span_id.to_bytes(), &mut span);
            headers.insert(B3_TRACE_ID, ascii(&trace));
            headers.insert(B3_SPAN_ID, ascii(&span));
            headers.insert(B3_SAMPLED, ascii(&[b'0' + u8::from(sampled)]));
            headers.remove(B3_PARENT_SPAN_ID);
        }
    }
}

/// A version 00 `traceparent`.
pub fn format_traceparent(trace_id: TraceId, span_id: SpanId, sampled: bool) -> [u8; 55] {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(&trace_id.to_bytes(), &mut text[3..35]);
    hex(&span_id.to_bytes(), &mut text[36..52]);
    text[54] = b'0' + u8::from(sampled);
    text
}

/// Ids and flags of a `traceparent`; nothing unless every rule of the specification holds.
pub fn parse_traceparent(value: &[u8]) -> Option<(TraceId, SpanId, u8)> {
    let (head, rest) = value.split_at_checked(55)?;
    let [version] = unhex_lower::<1>(head.get(..2)?)?;
    // "Version ff is invalid"; later versions may only append fields after another dash.
    let length_fits = match version {
        0xff => false,
        0 => rest.is_empty(),
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    if !length_fits || [head[2], head[35], head[52]] != [b'-'; 3] {
        return None;
    }
    let trace_id = TraceId::from_bytes(unhex_lower(&head[3..35])?);
    let span_id = SpanId::from_bytes(unhex_lower(&head[36..52])?);
    let [flags] = unhex_lower::<1>(&head[53..55])?;
    valid(trace_id, span_id).map(|(trace_id, span_id)| (trace_id, span_id, flags))
}

/// A `tracestate` list, or nothing: "if the vendor failed to parse tracestate, it may discard it".
pub fn parse_tracestate(text: &str) -> Option<TraceState> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in text.split(',') {
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        let repeated = members.iter().any(|(known, _)| *known == key);
        if repeated
            || members.len() == MAX_TRACESTATE_MEMBERS
            || !state_key(key)
            || !state_value(value)
        {
            return None;
        }
        members.push((key, value));
    }
    TraceState::from_key_value(members).ok()
}

/// The single-header form of B3: `trace-span[-sampling[-parent]]`. A lone sampling decision
/// names no trace and counts as nothing.
pub fn parse_b3(value: &[u8]) -> Option<(TraceId, SpanId, Sampling)> {
    let mut parts = value.split(|byte| *byte == b'-');
    let (trace_id, span_id) = b3_ids(parts.next()?, parts.next()?)?;
    let sampling = match parts.next() {
        None => Sampling::Deferred,
        Some(b"1" | b"d") => Sampling::Sampled,
        Some(b"0") => Sampling::NotSampled,
        Some(_) => return None,
    };
    if let Some(parent) = parts.next() {
        unhex::<8>(parent)?;
    }
    parts
        .next()
        .is_none()
        .then_some((trace_id, span_id, sampling))
}

fn b3_headers(headers: &HeaderMap) -> Option<(TraceId, SpanId, Sampling)> {
    let trace_id = only(headers, &B3_TRACE_ID)?;
    let span_id = only(headers, &B3_SPAN_ID)?;
    let (trace_id, span_id) = b3_ids(trace_id.as_bytes(), span_id.as_bytes())?;
    let debug = headers
        .get(B3_FLAGS)
        .is_some_and(|value| value.as_bytes() == b"1");
    let sampling = match headers.get(B3_SAMPLED).map(HeaderValue::as_bytes) {
        _ if debug => Sampling::Sampled,
        None => Sampling::Deferred,
        Some(b"1" | b"true") => Sampling::Sampled,
        Some(b"0" | b"false") => Sampling::NotSampled,
        Some(_) => return None,
    };
    Some((trace_id, span_id, sampling))
}

/// B3 trace ids have 64 or 128 bits; the short ones are padded on the left.
fn b3_ids(trace: &[u8], span: &[u8]) -> Option<(TraceId, SpanId)> {
    let trace_id = match trace.len() {
        16 => u128::from(u64::from_be_bytes(unhex(trace)?)).to_be_bytes(),
        _ => unhex(trace)?,
    };
    valid(
        TraceId::from_bytes(trace_id),
        SpanId::from_bytes(unhex(span)?),
    )
}

fn valid(trace_id: TraceId, span_id: SpanId) -> Option<(TraceId, SpanId)> {
    (trace_id != TraceId::INVALID && span_id != SpanId::INVALID).then_some((trace_id, span_id))
}

/// The header's value if it was sent exactly once; two parents are no parent.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn combined_tracestate(headers: &HeaderMap) -> TraceState {
    let mut values = headers.get_all(TRACESTATE).iter();
    let (Some(first), rest) = (values.next(), values) else {
        return TraceState::NONE;
    };
    let mut text = first.to_str().unwrap_or("=").to_owned();
    for value in rest {
        text.push(',');
        text.push_str(value.to_str().unwrap_or("="));
    }
    if text.len() > MAX_TRACESTATE {
        return TraceState::NONE;
    }
    parse_tracestate(&text).unwrap_or(TraceState::NONE)
}

fn state_key(key: &str) -> bool {
    let starts_well = key
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    starts_well
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte)
        })
}

/// Printable ASCII without `,` and `=`, not empty, at most 256 long.
fn state_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
}

/// Lower-case hexadecimal digits of `bytes` into `out`, which is twice as long.
pub(crate) fn hex(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

fn unhex_lower<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    unhex(text)
}

fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn ascii(text: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(text).expect("hexadecimal digits and dashes are a header value")
}

#[cfg(test)]
#[path = "propagation_tests.rs"]
mod tests;
