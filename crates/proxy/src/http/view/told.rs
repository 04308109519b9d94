//! What a rule has backends told of the client, beside what all of them are.

use http::{HeaderMap, HeaderName, HeaderValue};
use ir::{ForwardedField, ForwardedFields};

use super::{Authority, View, fields};

const REQUEST_ID: HeaderName = ForwardedField::RequestId.name();

impl View {
    /// Sees to it that the request has one identity: the client's word, else one of ours.
    pub(crate) fn identify(&mut self) {
        let mut said = self.headers.get_all(REQUEST_ID).iter();
        let identity = match (said.next(), said.next()) {
            (Some(one), None) if !one.is_empty() => return,
            (Some(_), Some(_)) => {
                let all: Vec<&[u8]> = { self.headers.get_all(REQUEST_ID).iter() }
                    .map(HeaderValue::as_bytes)
                    .filter(|line| !line.is_empty())
                    .collect();
                HeaderValue::from_bytes(&all.join(&b", "[..]))
                    .ok()
                    .filter(|joined| !joined.is_empty())
            }
            _ => None,
        };
        match identity.or_else(random) {
            Some(identity) => drop(self.headers.insert(REQUEST_ID, identity)),
            None => drop(self.headers.remove(REQUEST_ID)),
        }
    }

    /// Says in a head for a backend what the rule has it told. `listener` is the port of the listener, as clients know
    /// it.
    pub(crate) fn tell(&self, told: ForwardedFields, listener: u16, map: &mut HeaderMap) {
        if self.aliases {
            let names: Vec<HeaderName> = told.iter().map(ForwardedField::name).collect();
            fields::remove_aliases(map, names.iter());
        }
        for field in told.iter() {
            let value = match field {
                // It is in the head since the request was let in.
                ForwardedField::RequestId => continue,
                ForwardedField::RealIp | ForwardedField::ClientAlone => Some(self.client_text()),
                ForwardedField::OriginalForwardedFor => self.said.clone(),
                ForwardedField::HostAlone => Some(self.forwarded_host(map)),
                ForwardedField::Port => Some(HeaderValue::from(self.port(listener))),
                ForwardedField::ForwardedScheme | ForwardedField::Scheme => {
                    Some(HeaderValue::from_static(self.scheme()))
                }
            };
            match value {
                Some(value) => drop(map.insert(field.name(), value)),
                None => drop(map.remove(field.name())),
            }
        }
    }

    /// The host that a trusted proxy says the client asked for, with a port or without: the first of what
    /// `X-Forwarded-Host` has in a head. Else, and where that is no host, the one that the request is for.
    pub(crate) fn forwarded_host(&self, map: &HeaderMap) -> HeaderValue {
        // Only a trusted peer's is still there.
        let told = map.get(fields::FORWARDED_HOST).and_then(|told| {
            let first = told.as_bytes().split(|b| *b == b',').next()?.trim_ascii();
            let first = HeaderValue::from_bytes(first).ok()?;
            let told = Authority::parse(&first, self.https).ok()?;
            (!told.host().is_empty()).then(|| told.text().clone())
        });
        told.unwrap_or_else(|| self.authority.text().clone())
    }

    /// The client's address, or the word that proxies have for one that is not known.
    fn client_text(&self) -> HeaderValue {
        let client = self.client();
        if client.is_peer() {
            return self.peer.clone();
        }
        let address = client.address().map(|address| address.to_string());
        address
            .and_then(|address| HeaderValue::try_from(address).ok())
            .unwrap_or(HeaderValue::from_static("unknown"))
    }
}

/// 128 random bits as 32 hexadecimal digits; `None` where the system has no random bytes.
fn random() -> Option<HeaderValue> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    let digit = |four: u8| b"0123456789abcdef"[usize::from(four & 15)];
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte)]);
    }
    HeaderValue::from_bytes(&digits).ok()
}

#[cfg(test)]
#[path = "told_tests.rs"]
mod tests;
