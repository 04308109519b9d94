//! What backends and clients are told beside what a request or an answer says itself.

use http::{HeaderName, HeaderValue, StatusCode};
use serde::{Serialize, Serializer};

use crate::serialize;

/// A field of a request that tells the backend who asks, and how. What the client sent under its name is replaced.
///
/// `X-Forwarded-For`, `-Proto` and `-Host` need no word: every backend gets them, with all that trusted proxies said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[repr(u8)]
pub enum ForwardedField {
    /// `X-Request-ID`: the client's, else 32 hexadecimal digits.
    RequestId,
    /// `X-Real-IP`: the client's address.
    RealIp,
    /// `X-Forwarded-For`: the client's address alone, rather than all that trusted proxies said and the peer.
    ClientAlone,
    /// `X-Original-Forwarded-For`: what came as `X-Forwarded-For`, trusted or not.
    OriginalForwardedFor,
    /// `X-Forwarded-Port`: the port that the client connected to.
    Port,
    /// `X-Forwarded-Scheme`: `http` or `https`.
    ForwardedScheme,
    /// `X-Scheme`: likewise.
    Scheme,
    /// `X-Forwarded-Host`: the first host alone that a trusted proxy says, else that of the request; and `Host` is the
    /// same.
    HostAlone,
}

impl ForwardedField {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RequestId,
        Self::RealIp,
        Self::ClientAlone,
        Self::OriginalForwardedFor,
        Self::Port,
        Self::ForwardedScheme,
        Self::Scheme,
        Self::HostAlone,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> HeaderName {
        match self {
            Self::RequestId => const { HeaderName::from_static("x-request-id") },
            Self::RealIp => const { HeaderName::from_static("x-real-ip") },
            Self::ClientAlone => const { HeaderName::from_static("x-forwarded-for") },
            Self::OriginalForwardedFor => {
                const { HeaderName::from_static("x-original-forwarded-for") }
            }
            Self::Port => const { HeaderName::from_static("x-forwarded-port") },
            Self::ForwardedScheme => const { HeaderName::from_static("x-forwarded-scheme") },
            Self::Scheme => const { HeaderName::from_static("x-scheme") },
            Self::HostAlone => const { HeaderName::from_static("x-forwarded-host") },
        }
    }
}

/// A set of [`ForwardedField`]s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForwardedFields(u8);

impl ForwardedFields {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn has(self, field: ForwardedField) -> bool {
        self.0 & field.bit() != 0
    }

    /// Those that are there.
    pub fn iter(self) -> impl Iterator<Item = ForwardedField> + Clone {
        let all = ForwardedField::ALL.into_iter();
        all.filter(move |field| self.has(*field))
    }
}

impl FromIterator<ForwardedField> for ForwardedFields {
    fn from_iter<I: IntoIterator<Item = ForwardedField>>(fields: I) -> Self {
        let bits = fields.into_iter().map(ForwardedField::bit);
        Self(bits.fold(0, |all, bit| all | bit))
    }
}

impl Serialize for ForwardedFields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// `Strict-Transport-Security` (RFC 6797), said in every answer over TLS that ends here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StrictTransport(#[serde(serialize_with = "serialize::header_value")] HeaderValue);

impl StrictTransport {
    /// `max_age` in seconds.
    #[must_use]
    pub fn new(max_age: u32, include_subdomains: bool, preload: bool) -> Self {
        let mut text = format!("max-age={max_age}");
        if include_subdomains {
            text.push_str("; includeSubDomains");
        }
        if preload {
            text.push_str("; preload");
        }
        // Digits and words fit into any header.
        Self(HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("max-age=0")))
    }

    /// The field's value.
    #[must_use]
    pub const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

/// Statuses of answers that the gateway gives itself; `None`: as for every rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnStatuses {
    /// No connection could be made; else 503.
    #[serde(
        serialize_with = "serialize::option_status",
        skip_serializing_if = "Option::is_none"
    )]
    pub connect_failed: Option<StatusCode>,
    /// The backend does not exist, or may not be used; else 500.
    #[serde(
        serialize_with = "serialize::option_status",
        skip_serializing_if = "Option::is_none"
    )]
    pub invalid_backend: Option<StatusCode>,
    /// The rule names no backend; else 500.
    #[serde(
        serialize_with = "serialize::option_status",
        skip_serializing_if = "Option::is_none"
    )]
    pub no_backend: Option<StatusCode>,
    /// The rule is closed, because something in it cannot be honoured; else 500.
    #[serde(
        serialize_with = "serialize::option_status",
        skip_serializing_if = "Option::is_none"
    )]
    pub invalid_rule: Option<StatusCode>,
    /// The client's address is not let in; else 403.
    #[serde(
        serialize_with = "serialize::option_status",
        skip_serializing_if = "Option::is_none"
    )]
    pub forbidden: Option<StatusCode>,
}

impl OwnStatuses {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::{ForwardedField, ForwardedFields, StrictTransport};

    #[test]
    fn a_set_has_what_was_put_in_and_nothing_else() {
        for field in ForwardedField::ALL {
            let one: ForwardedFields = [field, field].into_iter().collect();
            assert_eq!(one.iter().collect::<Vec<_>>(), [field]);
            assert!(!one.is_empty());
        }
        let all: ForwardedFields = ForwardedField::ALL.into_iter().collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), ForwardedField::ALL);
        assert!(ForwardedFields::default().is_empty());
    }

    #[test]
    fn the_directives_of_strict_transport() {
        let text = |a, b, c| StrictTransport::new(a, b, c).value().clone();
        assert_eq!(
            text(31_536_000, true, false),
            "max-age=31536000; includeSubDomains"
        );
        assert_eq!(text(0, false, false), "max-age=0");
        assert_eq!(text(1, true, true), "max-age=1; includeSubDomains; preload");
    }
}
