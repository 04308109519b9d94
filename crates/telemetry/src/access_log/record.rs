//! One line of the access log.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Version;
use serde::{Serialize, Serializer};

use crate::propagation::{self, SpanId, TraceId};

/// Everything the access log says about a request. Absent values are left out of the line.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Record<'a> {
    /// When the request head had been read; RFC 3339, UTC, milliseconds.
    #[serde(serialize_with = "timestamp")]
    pub timestamp: SystemTime,
    /// The request method.
    pub method: &'a str,
    /// The path as the client sent it.
    pub path: &'a str,
    /// The host the request was for.
    pub host: &'a str,
    /// `http` or `https`, as the client spoke, as far as trusted sources say.
    pub scheme: &'a str,
    /// The HTTP version towards the client.
    #[serde(serialize_with = "protocol")]
    pub protocol: Version,
    /// The status sent to the client; 0 when it left before there was one.
    pub status: u16,
    /// One word for a response the gateway made itself, absent when a backend answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// From the request head to the end of the response.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The backend that answered, or the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<SocketAddr>,
    /// How many times a backend was tried.
    pub attempts: u32,
    /// Body bytes from the client.
    pub bytes_in: u64,
    /// Body bytes to the client.
    pub bytes_out: u64,
    /// The route that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The client, as established from trusted sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
    /// The trace the request belongs to.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "trace_id")]
    pub trace_id: Option<TraceId>,
    /// Our server span.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "span_id")]
    pub span_id: Option<SpanId>,
    /// The `User-Agent` header, whatever bytes it holds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "lossy")]
    pub user_agent: Option<&'a [u8]>,
}

/// Everything the access log says about a stream, or a session of datagrams. Absent values are left out of the line.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StreamRecord<'a> {
    /// When it began; RFC 3339, UTC, milliseconds.
    #[serde(serialize_with = "timestamp")]
    pub timestamp: SystemTime,
    /// `TCP`, `TLS` or `UDP`.
    pub protocol: &'static str,
    /// The listener that it came by.
    pub listener: &'a str,
    /// The server name that the client asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<&'a str>,
    /// One word for how it ended, or for what kept it from a backend.
    pub result: &'static str,
    /// From accept, or the first datagram, to the end.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The backend that it went to, or the last one tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<SocketAddr>,
    /// How many times a backend was tried.
    pub attempts: u32,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// The route that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    /// The client.
    pub client: IpAddr,
}

fn timestamp<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(ascii(&rfc3339(*time)))
}

fn protocol<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match *version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    })
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Microseconds are exact in a double for 285 years.
    serializer.serialize_f64(duration.as_micros() as f64 / 1_000.0)
}

fn trace_id<S: Serializer>(id: &Option<TraceId>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = [0; 32];
    propagation::hex(&id.unwrap_or(TraceId::INVALID).to_bytes(), &mut text);
    serializer.serialize_str(ascii(&text))
}

fn span_id<S: Serializer>(id: &Option<SpanId>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut text = [0; 16];
    propagation::hex(&id.unwrap_or(SpanId::INVALID).to_bytes(), &mut text);
    serializer.serialize_str(ascii(&text))
}

fn lossy<S: Serializer>(bytes: &Option<&[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes.unwrap_or_default()))
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).expect("digits and punctuation are ASCII")
}

/// `YYYY-MM-DDThh:mm:ss.mmmZ`. Times before 1970 or after 9999 are clamped.
fn rfc3339(time: SystemTime) -> [u8; 24] {
    const LAST: Duration = Duration::from_millis(253_402_300_799_999);
    let since = time
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .min(LAST);
    let seconds = since.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], day);
    digits(&mut text[11..13], seconds / 3_600 % 24);
    digits(&mut text[14..16], seconds / 60 % 60);
    digits(&mut text[17..19], seconds % 60);
    digits(&mut text[20..23], u64::from(since.subsec_millis()));
    text
}

/// The Gregorian date `days` after 1970-01-01. Years are taken to start in March, so that the
/// leap day is the last of its year; 146,097 days make 400 years.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era_day = shifted % 146_097;
    let year_of_era = (era_day - era_day / 1_460 + era_day / 36_524 - era_day / 146_096) / 365;
    let day_of_year = era_day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = shifted / 146_097 * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

fn digits(out: &mut [u8], mut value: u64) {
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::rfc3339;

    #[test]
    fn timestamps_are_rfc3339() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800_001, "2024-02-29T00:00:00.001Z"),
            (1_735_689_599_123, "2024-12-31T23:59:59.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (999_999_999_999_999, "9999-12-31T23:59:59.999Z"),
        ] {
            let text = rfc3339(UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
        }
        let before = rfc3339(UNIX_EPOCH - Duration::from_secs(1));
        assert_eq!(&before, b"1970-01-01T00:00:00.000Z");
    }
}
