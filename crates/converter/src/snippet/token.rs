//! Text to directives, by the rules of nginx' own reader, within bounds.

use std::iter::Peekable;
use std::str::Chars;

use super::Directive;

/// Longer snippets are not read.
const MOST_BYTES: usize = 64 * 1024;
/// Blocks within blocks.
const MOST_DEPTH: usize = 8;

/// What the reader sees next.
enum Token {
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// The directives of a snippet.
///
/// # Errors
/// What keeps it from being nginx configuration, or from being read here.
pub(super) fn parse(text: &str) -> Result<Vec<Directive>, &'static str> {
    if text.len() > MOST_BYTES {
        return Err("longer than 64 KiB");
    }
    let mut reader = Reader {
        chars: text.chars().peekable(),
    };
    // The directives of each open block, and what opened it.
    let mut open: Vec<(Vec<Directive>, Vec<String>)> = Vec::new();
    let mut done = Vec::new();
    let mut words = Vec::new();
    while let Some(token) = reader.token()? {
        match token {
            Token::Word(word) => words.push(word),
            Token::End => done.extend(directive(&mut words, Vec::new())),
            Token::Open if words.is_empty() => return Err("a block without a name"),
            Token::Open if words[0].ends_with("_by_lua_block") => {
                reader.skip_block()?;
                done.extend(directive(&mut words, Vec::new()));
            }
            Token::Open if open.len() == MOST_DEPTH => return Err("blocks too deep"),
            Token::Open => open.push((std::mem::take(&mut done), std::mem::take(&mut words))),
            Token::Close if !words.is_empty() => return Err("a directive without its semicolon"),
            Token::Close => {
                let (outer, mut opened) = open.pop().ok_or("a brace too many")?;
                let block = std::mem::replace(&mut done, outer);
                done.extend(directive(&mut opened, block));
            }
        }
    }
    match (open.is_empty(), words.is_empty()) {
        (false, _) => Err("a block without its end"),
        (true, false) => Err("a directive without its semicolon"),
        (true, true) => Ok(done),
    }
}

fn directive(words: &mut Vec<String>, block: Vec<Directive>) -> Option<Directive> {
    let mut words = std::mem::take(words).into_iter();
    let name = words.next()?.to_ascii_lowercase();
    Some(Directive {
        name,
        args: words.collect(),
        block,
    })
}

struct Reader<'a> {
    chars: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn token(&mut self) -> Result<Option<Token>, &'static str> {
        loop {
            let Some(next) = self.chars.peek().copied() else {
                return Ok(None);
            };
            match next {
                '#' => while self.chars.next_if(|c| *c != '\n').is_some() {},
                _ if next.is_ascii_whitespace() => drop(self.chars.next()),
                _ => break,
            }
        }
        let token = match self.chars.next() {
            None => return Ok(None),
            Some(';') => Token::End,
            Some('{') => Token::Open,
            Some('}') => Token::Close,
            Some(quote @ ('"' | '\'')) => Token::Word(self.quoted(quote)?),
            Some(first) => Token::Word(self.word(first)),
        };
        Ok(Some(token))
    }

    /// Up to white space, a semicolon or a brace; `${name}` is no block.
    fn word(&mut self, first: char) -> String {
        let mut word = String::new();
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\\' => word.extend(self.escaped()),
                '$' => {
                    word.push('$');
                    word.extend(self.chars.next_if_eq(&'{'));
                }
                _ => word.push(c),
            }
            next = self
                .chars
                .next_if(|c| !c.is_ascii_whitespace() && !matches!(c, ';' | '{'));
        }
        word
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut word = String::new();
        loop {
            match self.chars.next() {
                None => return Err("a quote without its end"),
                Some(c) if c == quote => return Ok(word),
                Some('\\') => word.extend(self.escaped()),
                Some(c) => word.push(c),
            }
        }
    }

    /// nginx drops a backslash only before quotes, blanks and itself; expressions keep theirs.
    fn escaped(&mut self) -> Vec<char> {
        match self.chars.next() {
            None => vec!['\\'],
            Some(c @ ('"' | '\'' | '\\' | ' ')) => vec![c],
            Some('t') => vec!['\t'],
            Some('r') => vec!['\r'],
            Some('n') => vec!['\n'],
            Some(c) => vec!['\\', c],
        }
    }

    /// Lua has its own words; only its braces count here.
    fn skip_block(&mut self) -> Result<(), &'static str> {
        let mut depth = 1_u32;
        while depth > 0 {
            match self.chars.next() {
                None => return Err("a block without its end"),
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(_) => {}
            }
        }
        Ok(())
    }
}
