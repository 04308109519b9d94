//! Values of flags.

use std::time::Duration;

use api::ObjectKey;
use http::{HeaderName, HeaderValue};

/// `500ms`, `10s`, `5m`, `1h`, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 500ms, 10s, 5m or 1h");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" | "" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    // A year is for ever, and may be added to any clock.
    millis
        .filter(|millis| *millis <= 31_536_000_000)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// A duration that is not zero.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    let value = duration(text)?;
    if value.is_zero() {
        return Err("a deadline of zero would refuse everything".to_owned());
    }
    Ok(value)
}

/// `65536`, `64KiB`, `1MiB`.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let wrong = || format!("{text:?} is not a number of bytes such as 65536, 64KiB or 1MiB");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: usize = number.parse().map_err(|_| wrong())?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1024,
        "MiB" => 1024 * 1024,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(wrong)
}

/// `NAMESPACE/NAME`.
pub(super) fn object_key(text: &str) -> Result<ObjectKey, String> {
    let label = |text: &str| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        !text.is_empty() && text.len() <= 253 && text.chars().all(allowed)
    };
    let pair = text.split_once('/');
    let pair = pair.filter(|(namespace, name)| label(namespace) && label(name));
    pair.map(|(namespace, name)| ObjectKey::new(namespace, name))
        .ok_or_else(|| format!("{text:?} is not NAMESPACE/NAME"))
}

/// `80=8080`.
pub(super) fn port_pair(text: &str) -> Result<(u16, u16), String> {
    let pair = text
        .split_once('=')
        .and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    pair.ok_or_else(|| format!("{text:?} is not FROM=TO with two ports"))
}

/// `Name: value`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| format!("{text:?} is not Name: value"))?;
    let name = name
        .trim()
        .parse()
        .map_err(|_| format!("{:?} is not a header name", name.trim()))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| format!("{:?} is not a header value", value.trim()))?;
    Ok((name, value))
}

/// A host without port.
pub(super) fn host(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not a name of a host, without port");
    let authority: http::uri::Authority = text.parse().map_err(|_| wrong())?;
    match authority.host() == text && !text.is_empty() {
        true => Ok(text.to_owned()),
        false => Err(wrong()),
    }
}
