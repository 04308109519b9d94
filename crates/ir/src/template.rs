//! Texts with variables in them, such as `https://login.example.com/start?rd=$escaped_request_uri`.
//!
//! Parsed once: nothing in a [`Template`] is unknown. Each variable has its [`Place`] in the result, and that says how
//! its value is written there, so that what a client sends cannot end a path, a query or a host that the template has
//! begun.

mod location;
mod variable;

use serde::{Serialize, Serializer};

use crate::{Pattern, redacted};

pub use variable::Variable;

/// A text that is completed for each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Box<[Piece]>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(Box<str>),
    /// What a request has.
    Variable(Variable, Place),
}

/// Where in the result a variable stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the value of a header.
    Value,
    /// In the host of a URL.
    Host,
    /// Where the host of a URL ends: whatever is put there begins the path, the query or the fragment.
    HostEnd,
    /// In the path of a URL, which a client is sent to.
    Url,
    /// In a path that a backend is asked for.
    Path,
    /// In a query, or in a fragment.
    Query,
}

/// A text whose variables cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// A dollar that begins no name.
    #[error("a dollar has to begin the name of a variable; ${{literal_dollar}} is a dollar itself")]
    Dollar,
    /// A name that is not known.
    #[error("variable ${0} is not known; these are: {list}", list = variable::names())]
    Unknown(String),
    /// A group that the expression does not have.
    #[error("${0} stands for a group, and there is no such group in an expression for the path")]
    Group(u16),
    /// A text that cannot stand where it is meant to.
    #[error("{0}")]
    Illegal(String),
}

impl InvalidTemplate {
    fn illegal(message: impl Into<String>) -> Self {
        Self::Illegal(message.into())
    }
}

impl Template {
    /// Reads the value of a header, with `$name` and `${name}` in it. `$1` to `$9`, and names, may stand for groups of
    /// `groups`, an expression for the path.
    ///
    /// # Errors
    /// See [`InvalidTemplate`].
    pub fn parse(text: &str, groups: Option<&Pattern>) -> Result<Self, InvalidTemplate> {
        let control = |b: u8| b < 0x20 && b != b'\t' || b == 0x7f;
        if text.bytes().any(control) {
            return Err(InvalidTemplate::illegal(format!(
                "{text:?} has a control character"
            )));
        }
        pieces(text, groups).map(Self::from)
    }

    /// Reads a path, for [`Place::Path`]. It begins with a slash or with a variable, and what may not stand in a path
    /// is escaped.
    ///
    /// # Errors
    /// See [`InvalidTemplate`].
    pub fn path(text: &str, groups: Option<&Pattern>) -> Result<Self, InvalidTemplate> {
        if !text.starts_with(['/', '$']) || text.contains(['?', '#']) {
            let message = format!(
                "{text:?} is not a path, which begins with a slash and has neither query nor fragment"
            );
            return Err(InvalidTemplate::Illegal(message));
        }
        placed(text, groups, Place::Path)
    }

    /// Reads a query without its question mark, for [`Place::Query`].
    ///
    /// # Errors
    /// See [`InvalidTemplate`].
    pub fn query(text: &str, groups: Option<&Pattern>) -> Result<Self, InvalidTemplate> {
        if text.contains('#') {
            let message = format!("{text:?} is not a query: it has a fragment");
            return Err(InvalidTemplate::Illegal(message));
        }
        placed(text, groups, Place::Query)
    }

    /// Reads a host, with or without a port: its variables are in the host of a URL.
    ///
    /// # Errors
    /// See [`InvalidTemplate`].
    pub fn host(text: &str, groups: Option<&Pattern>) -> Result<Self, InvalidTemplate> {
        let mut pieces = pieces(text, groups)?;
        for piece in &mut pieces {
            match piece {
                Piece::Text(text) => location::host_text(text)?,
                Piece::Variable(_, place) => *place = Place::Host,
            }
        }
        if pieces.is_empty() {
            return Err(InvalidTemplate::illegal("a host has to have a name"));
        }
        Ok(Self::from(pieces))
    }

    /// Reads the URL that clients are sent to: absolute, with `http` or `https`, or a path on the same host.
    ///
    /// # Errors
    /// See [`InvalidTemplate`].
    pub fn location(text: &str, groups: Option<&Pattern>) -> Result<Self, InvalidTemplate> {
        let mut pieces = pieces(text, groups)?;
        location::place(text, &mut pieces)?;
        Ok(Self::from(pieces))
    }

    /// A text without variables, whatever is in it, with more behind it.
    #[must_use]
    pub fn prefixed(text: &str, then: Variable) -> Self {
        let text = (!text.is_empty()).then(|| Piece::Text(text.into()));
        let then = Piece::Variable(then, Place::Value);
        Self(text.into_iter().chain([then]).collect())
    }

    /// Names of the variables, without dollar, but for those with a name of their own in their name.
    pub fn variables() -> impl Iterator<Item = &'static str> {
        variable::known()
    }

    /// Its parts, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Whether anything in it stands for a group.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        let is_group = |piece: &Piece| matches!(piece, Piece::Variable(Variable::Group(_), _));
        self.0.iter().any(is_group)
    }

    /// The text, with each variable replaced.
    pub fn fill(&self, mut value: impl FnMut(&Variable, &mut String)) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable(variable, _) => value(variable, &mut filled),
            }
        }
        filled
    }

    /// As it was written; a group has its number.
    #[must_use]
    pub fn source(&self) -> String {
        self.fill(|variable, text| text.push_str(&format!("${{{variable}}}")))
    }
}

impl From<Vec<Piece>> for Template {
    fn from(pieces: Vec<Piece>) -> Self {
        Self(pieces.into())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&redacted::query(&self.source()))
    }
}

/// A template of one place, whose text is escaped as that asks for.
fn placed(text: &str, groups: Option<&Pattern>, at: Place) -> Result<Template, InvalidTemplate> {
    let mut pieces = pieces(text, groups)?;
    for piece in &mut pieces {
        match piece {
            Piece::Text(text) => *text = location::target_text(text)?,
            Piece::Variable(_, place) => *place = at,
        }
    }
    Ok(Template::from(pieces))
}

/// The parts of a text, as those of a header's value.
fn pieces(text: &str, groups: Option<&Pattern>) -> Result<Vec<Piece>, InvalidTemplate> {
    let mut pieces = Vec::new();
    let mut before = String::new();
    let mut rest = text;
    while let Some((text, after)) = rest.split_once('$') {
        before.push_str(text);
        let (name, behind) = name(after)?;
        rest = behind;
        if name.eq_ignore_ascii_case("literal_dollar") {
            before.push('$');
            continue;
        }
        let variable = Variable::named(name, groups)?;
        if !before.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut before).into()));
        }
        pieces.push(Piece::Variable(variable, Place::Value));
    }
    before.push_str(rest);
    if !before.is_empty() {
        pieces.push(Piece::Text(before.into()));
    }
    Ok(pieces)
}

/// The name behind a dollar, and what follows it. A digit is a name by itself: `$1a` is a group and an `a`.
fn name(after: &str) -> Result<(&str, &str), InvalidTemplate> {
    let (name, behind) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or(InvalidTemplate::Dollar)?,
        None if after.starts_with(|c: char| c.is_ascii_digit() && c != '0') => after.split_at(1),
        None => {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
            let end = after.bytes().position(|b| !word(b));
            after.split_at(end.unwrap_or(after.len()))
        }
    };
    match name.is_empty() {
        true => Err(InvalidTemplate::Dollar),
        false => Ok((name, behind)),
    }
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
