//! Values of annotations: text to types. Every error says what is allowed.

use std::{borrow::Cow, hash::Hasher as _};

use fnv::FnvHasher;
use http::{HeaderName, HeaderValue};
use regex_syntax::hir::{Class, Hir, HirKind};

/// Go's `ParseBool`, as Kubernetes controllers read booleans.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(format!("{other:?} is not true or false")),
    }
}

/// A decimal number without unit.
pub(crate) fn number(text: &str) -> Result<i64, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is not a whole number (without unit)"))
}

/// A whole number above zero.
pub(crate) fn positive(text: &str) -> Result<u64, String> {
    let number = number(text)?;
    u64::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| format!("{text:?} is not at least 1"))
}

/// What may follow `Path=` or `Domain=` in a cookie.
pub(crate) fn cookie_attribute(text: &str) -> Result<String, String> {
    let legal = |b: u8| (0x20..0x7f).contains(&b) && b != b';';
    if !text.is_empty() && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text:?} fits into no cookie"))
    }
}

/// A size as nginx writes it: bytes, or kibibytes, mebibytes or gibibytes with `k`, `m` or `g` behind the number.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let legal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|_| legal);
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("{text:?} is no size such as 1048576, 512k, 8m or 1g"))
}

/// `on` or `off`.
pub(crate) fn on_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("{other:?} is neither on nor off")),
    }
}

/// `name` or `namespace/name` of an object.
pub(crate) fn object_ref(text: &str) -> Result<(Option<String>, String), String> {
    let legal = |name: &str| {
        let end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
        name.len() <= 253
            && end(name.bytes().next())
            && end(name.bytes().last())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
    };
    let (namespace, name) = match text.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, text),
    };
    if legal(name) && namespace.is_none_or(legal) {
        Ok((namespace.map(str::to_owned), name.to_owned()))
    } else {
        Err(format!("{text:?} is neither a name nor namespace/name"))
    }
}

/// A path that requests can be sent to, without query.
pub(crate) fn path(text: &str) -> Result<String, String> {
    let legal = text.starts_with('/')
        && text.len() <= 1024
        && text.bytes().all(|b| b.is_ascii_graphic())
        && !text.contains(['?', '#']);
    if legal {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "{text:?} is not a path: it has to begin with a slash, and to have at most 1,024 printable characters and neither ? nor #"
        ))
    }
}

/// A comma-separated list; blanks around entries and empty entries do not count.
pub(crate) fn list(text: &str) -> Vec<&str> {
    text.split([',', '\n'])
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .collect()
}

/// A header's name, in lower case.
pub(crate) fn header_name(text: &str) -> Result<String, String> {
    HeaderName::try_from(text)
        .map(|name| name.to_string())
        .map_err(|_| format!("{text:?} is not a header name"))
}

/// A header's value.
pub(crate) fn header_value(text: &str) -> Result<String, String> {
    HeaderValue::from_str(text)
        .map(|_| text.to_owned())
        .map_err(|_| format!("{text:?} is not a header value"))
}

/// Whole seconds as Gateway API writes durations (GEP-2257): at most five digits for each unit.
pub(crate) fn duration(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    if seconds < 100_000 {
        return format!("{seconds}s");
    }
    // 99,999 hours are eleven years.
    format!("{}h{minutes}m{rest}s", hours.min(99_999))
}

/// A DNS name without wildcard, as Gateway API's `PreciseHostname` takes it.
pub(crate) fn precise_hostname(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    if lower.len() <= 253 && lower.split('.').all(label) {
        Ok(lower)
    } else {
        Err(format!(
            "{text:?} is not a host name (no port, no path, no wildcard)"
        ))
    }
}

/// The largest expression that the gateway compiles, in bytes of what comes of it.
const LARGEST: usize = 256 * 1024;

/// A regular expression that our gateway will compile: syntax and size are checked as it does.
pub(crate) fn regex(pattern: &str) -> Result<(), String> {
    compiles(pattern, &[true])
}

/// Likewise one for paths, which are ASCII.
pub(crate) fn path_regex(pattern: &str) -> Result<(), String> {
    compiles(pattern, &[false, true])
}

/// Whether the expression can be compiled in one of these ways, with Unicode or without. Nearly all are so small that
/// there is no need to try.
fn compiles(pattern: &str, unicode: &[bool]) -> Result<(), String> {
    let reason = |error: String| {
        let last = error.lines().last().unwrap_or_default();
        last.trim_start_matches("error: ").to_owned()
    };
    // By itself, for it is put into a group: `a)|(b` would be fine there.
    let parsed = regex_syntax::Parser::new().parse(pattern);
    let parsed = parsed.map_err(|error| reason(error.to_string()))?;
    if at_most(&parsed) <= LARGEST / 4 {
        return Ok(());
    }
    let anchored = format!("^(?:{pattern})$");
    let build = |unicode: &bool| {
        let mut builder = regex::bytes::RegexBuilder::new(&anchored);
        builder.unicode(*unicode).size_limit(LARGEST).build()
    };
    let mut tried = unicode.iter().map(build);
    let first = tried.next();
    let built = match first {
        Some(Err(_)) => tried.next().or(first),
        first => first,
    };
    match built {
        Some(Err(regex::Error::CompiledTooBig(limit))) => {
            Err(format!("larger than {limit} bytes once compiled"))
        }
        Some(Err(error)) => Err(reason(error.to_string())),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// How many bytes an expression takes at most once it is compiled: generously, and without overflow.
fn at_most(hir: &Hir) -> usize {
    const STATE: usize = 128;
    // A range of characters is up to a few sequences of up to four bytes.
    const RANGE: usize = 16 * STATE;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len().saturating_mul(RANGE),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len().saturating_mul(RANGE),
        HirKind::Capture(capture) => at_most(&capture.sub).saturating_add(2 * STATE),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min.saturating_add(1));
            let times = usize::try_from(most).unwrap_or(usize::MAX).max(1);
            let once = at_most(&repetition.sub).saturating_add(STATE);
            once.saturating_mul(times)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let sizes = parts.iter().map(at_most);
            sizes.fold(STATE, usize::saturating_add)
        }
    }
}

/// A path as clients send it and HTTPRoute wants it: what no path may hold as it is (RFC 3986 section 3.3), such as a
/// blank, a bar or what is not ASCII, is escaped. Escapes stay.
pub(crate) fn escaped_path(path: &str) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    let stays = |at: usize| match bytes[at] {
        b'%' => {
            matches!(bytes.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit))
        }
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte),
    };
    if (0..bytes.len()).all(stays) {
        return Cow::Borrowed(path);
    }
    let escaped = (0..bytes.len()).map(|at| match stays(at) {
        true => char::from(bytes[at]).to_string(),
        false => format!("%{:02X}", bytes[at]),
    });
    Cow::Owned(escaped.collect())
}

/// FNV-1a, 64 bits, in eight hexadecimal digits: names of generated objects must not change between versions, which
/// the standard library's hasher does not promise.
pub(crate) fn short_hash(parts: &[&str]) -> String {
    let mut hasher = FnvHasher::default();
    for part in parts {
        hasher.write(part.as_bytes());
        hasher.write(&[0]);
    }
    let hash = hasher.finish();
    format!("{:08x}", (hash >> 32) as u32 ^ hash as u32)
}

/// `name-suffix`, shortened with a hash where Kubernetes would not take it (253 characters).
pub(crate) fn object_name(name: &str, suffix: &str) -> String {
    let whole = format!("{name}-{suffix}");
    if whole.len() <= 253 {
        return whole;
    }
    let hash = short_hash(&[name]);
    let keep = 253 - suffix.len() - hash.len() - 2;
    let end = (0..=keep.min(name.len()))
        .rev()
        .find(|at| name.is_char_boundary(*at))
        .unwrap_or(0);
    format!(
        "{}-{hash}-{suffix}",
        name[..end].trim_end_matches(['-', '.'])
    )
}

#[cfg(test)]
mod tests {
    use super::{
        boolean, duration, escaped_path, list, number, object_name, path_regex, precise_hostname,
        regex, short_hash, size,
    };

    #[test]
    fn values() {
        assert_eq!(boolean("True"), Ok(true));
        assert!(boolean("yes").is_err() && boolean(" true").is_err());
        assert_eq!(number("-3"), Ok(-3));
        assert!(number("5s").unwrap_err().contains("whole number"));
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size(" 512K"), Ok(512 * 1024));
        assert_eq!(size("8m"), Ok(8 * 1024 * 1024));
        assert_eq!(size("17179869183g"), Ok(17_179_869_183 << 30));
        for bad in [
            "",
            "m",
            "-1",
            "+1",
            "1.5m",
            "8mb",
            "8 m",
            "é",
            "17179869184g",
        ] {
            assert!(size(bad).is_err(), "{bad}");
        }
        assert_eq!(list(" a, b,,c "), ["a", "b", "c"]);
        assert_eq!(duration(5), "5s");
        assert_eq!(duration(99_999), "99999s");
        assert_eq!(duration(100_000), "27h46m40s");
        assert_eq!(precise_hostname("Test.com"), Ok("test.com".to_owned()));
        for bad in ["a.com:80", "*.a.com", "a b", "", "http://a"] {
            assert!(precise_hostname(bad).is_err(), "{bad}");
        }
        assert!(
            regex("/a(b").is_err() && regex(r"\w{1000}{100}").is_err() && regex("a)|(b").is_err()
        );
    }

    #[test]
    fn the_size_of_an_expression_is_not_underrated() {
        for pattern in [
            "",
            "/a",
            "/a(/|$)(.*)",
            r"/\w+/\d{2,9}",
            "(?i)/[a-zé]+",
            ".*.*.*",
            r"(\pL|x){3}",
            "(a|b|cd){40}",
            r"\bx\B",
        ] {
            let most = super::at_most(&regex_syntax::Parser::new().parse(pattern).unwrap());
            for unicode in [true, false] {
                let mut builder = regex::bytes::RegexBuilder::new(&format!("^(?:{pattern})$"));
                let built = builder.unicode(unicode).size_limit(most + 4096).build();
                // Some expressions need Unicode.
                assert!(
                    built.is_ok() || !unicode && pattern.contains(['L', 'é']),
                    "{pattern}: {built:?}"
                );
            }
        }
    }

    #[test]
    fn paths_speak_ascii() {
        for (written, escaped) in [
            ("/a%20b/~c;d=1,2", "/a%20b/~c;d=1,2"),
            ("/é/x", "/%C3%A9/x"),
            ("/a b|c", "/a%20b%7Cc"),
            ("/100%", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
        ] {
            assert_eq!(escaped_path(written), escaped);
        }
        // A word character of Unicode is large, one of ASCII is not.
        assert!(regex(r"/\w{200}").is_err() && path_regex(r"/\w{200}").is_ok());
        assert!(path_regex(r"/\p{L}+").is_ok() && path_regex("a)|(b").is_err());
    }

    #[test]
    fn names_are_stable_and_short_enough() {
        assert_eq!(short_hash(&["a", "b"]), short_hash(&["a", "b"]));
        assert_ne!(short_hash(&["ab"]), short_hash(&["a", "b"]));
        assert_eq!(object_name("demo", "x"), "demo-x");
        let long = object_name(&"a".repeat(253), "12345678");
        assert!(long.len() <= 253 && long.ends_with("-12345678"), "{long}");
        assert_ne!(
            long,
            object_name(&format!("{}b", "a".repeat(252)), "12345678")
        );
    }
}
