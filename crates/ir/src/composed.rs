//! Changes whose values are made for each request, from templates.

use http::{HeaderName, StatusCode};
use serde::{Serialize, Serializer, ser::SerializeSeq};

use crate::{Pattern, Template, redacted, serialize};

/// Headers that are overwritten, or created. One that comes to nothing is taken off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderTemplates(pub Vec<(HeaderName, Template)>);

/// Names, with values that may be secrets.
impl Serialize for HeaderTemplates {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut seq = s.serialize_seq(Some(self.0.len()))?;
        for (name, template) in &self.0 {
            let value = template.source();
            seq.serialize_element(&format_args!("{name}: {}", redacted::value(&value)))?;
        }
        seq.end()
    }
}

/// A change of a request. Every value is made of the request as it came, not of what earlier steps have made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Composed {
    /// What groups are those of; it is searched for in the path. A path without a match has empty groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Pattern>,
    /// New host, if it changes: made by [`Template::host`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Template>,
    /// New path, if it changes: made by [`Template::path`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Template>,
    /// What the query begins with: made by [`Template::query`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Template>,
    /// The request's own query does not follow.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drops_query: bool,
    /// Headers.
    #[serde(skip_serializing_if = "is_empty")]
    pub set: HeaderTemplates,
}

fn is_empty(set: &HeaderTemplates) -> bool {
    set.0.is_empty()
}

/// An answer that sends the client to a URL that is made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// 301, 302, 303, 307 or 308.
    #[serde(serialize_with = "serialize::status")]
    pub status: StatusCode,
    /// As in [`Composed::groups`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Pattern>,
    /// The URL: made by [`Template::location`].
    pub location: Template,
    /// The request's query follows, behind a question mark or an ampersand.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keeps_query: bool,
}

/// Headers of answers that are made for each request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerHeaders {
    /// As in [`Composed::groups`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Pattern>,
    /// Headers.
    pub set: HeaderTemplates,
}
