//! Texts with variables in them, such as `https://login.example.com/start?rd=$escaped_request_uri`.

use serde::{Serialize, Serializer};

use crate::redacted;

/// A text that is completed for each request. Parsed once; nothing in it is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(Box<str>),
    /// What a request has.
    Variable(Variable),
}

/// What of a request a [`Template`] may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// `$host`: lower case, without port.
    Host,
    /// `$http_host` or `$best_http_host`: as the client wrote it, with port.
    Authority,
    /// `$scheme` or `$pass_access_scheme`: `http` or `https`, as the client sees it.
    Scheme,
    /// `$request_uri`: path and query.
    RequestUri,
    /// `$escaped_request_uri`: path and query, percent-encoded so as to stand in a query.
    EscapedRequestUri,
    /// `$uri` or `$document_uri`: the path.
    Path,
    /// `$args` or `$query_string`: the query, without question mark.
    Query,
    /// `$is_args`: a question mark where there is a query.
    QuestionMark,
    /// `$request_method`.
    Method,
    /// `$remote_addr`: the client's address.
    ClientAddress,
}

/// Names of variables.
const VARIABLES: &[(&str, Variable)] = &[
    ("host", Variable::Host),
    ("http_host", Variable::Authority),
    ("best_http_host", Variable::Authority),
    ("scheme", Variable::Scheme),
    ("pass_access_scheme", Variable::Scheme),
    ("request_uri", Variable::RequestUri),
    ("escaped_request_uri", Variable::EscapedRequestUri),
    ("uri", Variable::Path),
    ("document_uri", Variable::Path),
    ("args", Variable::Query),
    ("query_string", Variable::Query),
    ("is_args", Variable::QuestionMark),
    ("request_method", Variable::Method),
    ("remote_addr", Variable::ClientAddress),
];

/// A text whose variables cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A dollar that begins no name.
    #[error("a dollar has to begin the name of a variable")]
    Dollar,
    /// A name that is not known.
    #[error("variable ${0} is not known; these are: {list}", list = names())]
    Unknown(String),
}

fn names() -> String {
    let names: Vec<_> = VARIABLES
        .iter()
        .map(|(name, _)| format!("${name}"))
        .collect();
    names.join(", ")
}

impl Template {
    /// Reads a text with `$name` and `${name}` in it.
    ///
    /// # Errors
    /// See [`InvalidTemplate`].
    pub fn parse(text: &str) -> Result<Self, InvalidTemplate> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            let (name, behind) = match after.strip_prefix('{') {
                Some(braced) => braced.split_once('}').ok_or(InvalidTemplate::Dollar)?,
                None => {
                    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
                    let end = after.bytes().position(|b| !word(b));
                    after.split_at(end.unwrap_or(after.len()))
                }
            };
            if name.is_empty() {
                return Err(InvalidTemplate::Dollar);
            }
            let known = VARIABLES.iter().find(|(known, _)| *known == name);
            let (_, variable) = known.ok_or_else(|| InvalidTemplate::Unknown(name.to_owned()))?;
            pieces.push(Piece::Variable(*variable));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces.into()))
    }

    /// A text without variables, whatever is in it, with more behind it.
    #[must_use]
    pub fn prefixed(text: &str, then: Variable) -> Self {
        let text = (!text.is_empty()).then(|| Piece::Text(text.into()));
        Self(text.into_iter().chain([Piece::Variable(then)]).collect())
    }

    /// Its parts, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The text, with each variable replaced.
    pub fn fill(&self, mut value: impl FnMut(Variable, &mut String)) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable(variable) => value(*variable, &mut filled),
            }
        }
        filled
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.fill(|variable, text| {
            let named = VARIABLES.iter().find(|(_, known)| *known == variable);
            text.push_str("${");
            text.push_str(named.map_or("", |(name, _)| name));
            text.push('}');
        });
        serializer.serialize_str(&redacted::query(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidTemplate, Template, Variable};

    fn filled(text: &str) -> Result<String, InvalidTemplate> {
        let template = Template::parse(text)?;
        Ok(template.fill(|variable, text| text.push_str(&format!("<{variable:?}>"))))
    }

    #[test]
    fn variables_are_found_once() {
        let text = "https://$host/a?rd=${scheme}://$http_host$escaped_request_uri&x=$args";
        let wanted = "https://<Host>/a?rd=<Scheme>://<Authority><EscapedRequestUri>&x=<Query>";
        assert_eq!(filled(text).unwrap(), wanted);
        assert_eq!(filled("").unwrap(), "");
        assert_eq!(filled("/plain").unwrap(), "/plain");
        assert_eq!(
            serde_json::to_string(&Template::parse("/a$uri").unwrap()).unwrap(),
            "\"/a${uri}\""
        );
        let prefixed = Template::prefixed("/$a", Variable::Path);
        assert_eq!(
            prefixed.fill(|_, text| text.push('!')),
            "/$a!",
            "taken as it stands"
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for (text, name) in [
            ("$cookie_x", "cookie_x"),
            ("a$hosts/b", "hosts"),
            ("${x y}", "x y"),
        ] {
            assert_eq!(filled(text), Err(InvalidTemplate::Unknown(name.to_owned())));
        }
        for text in ["$", "a$/", "${host", "${}", "$$host"] {
            assert_eq!(filled(text), Err(InvalidTemplate::Dollar), "{text}");
        }
    }
}
