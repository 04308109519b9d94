//! Idle upstream connections of one worker, by address. They survive every snapshot: an address keeps its
//! connections whatever happens to routes and clusters.

use std::{collections::HashMap, net::SocketAddr};

use hyper::client::conn::{http1, http2};
use ir::Upstream;

use super::{Secured, Way};
use crate::{body::UpBody, config::Config, connection::ticks};

type Map<V> = HashMap<SocketAddr, V, foldhash::fast::FixedState>;

/// How many of the youngest idle connections are looked at before a new one is opened.
const LOOK: usize = 4;

/// An idle HTTP/1.1 connection.
struct Idle {
    tls: Option<Secured>,
    sender: http1::SendRequest<UpBody>,
    since: u32,
}

/// The idle connections of a worker; last in, first out, so that surplus ones age and go.
#[derive(Default)]
pub(crate) struct Pool {
    http1: Map<Vec<Idle>>,
    http2: Map<Vec<(Option<Secured>, http2::SendRequest<UpBody>)>>,
}

impl Pool {
    /// An idle HTTP/1.1 connection that is fit for a request now.
    pub(crate) fn take_http1(&mut self, way: &Way) -> Option<http1::SendRequest<UpBody>> {
        let idle = self.http1.get_mut(&way.address)?;
        let mut at = idle.len();
        let mut looked = 0;
        while at > 0 && looked < LOOK {
            at -= 1;
            if idle[at].tls != way.tls {
                continue;
            }
            looked += 1;
            if idle[at].sender.is_closed() {
                idle.remove(at);
            } else if idle[at].sender.is_ready() {
                return Some(idle.remove(at).sender);
            }
        }
        None
    }

    /// Whether there is a connection that leads there and is fit for a request now.
    pub(crate) fn leads(&mut self, protocol: Upstream, way: &Way) -> bool {
        match protocol {
            Upstream::Http1 => self.http1.get(&way.address).is_some_and(|idle| {
                let mut idle = idle.iter().rev().filter(|idle| idle.tls == way.tls);
                let mut fit = idle.by_ref().take(LOOK);
                fit.any(|idle| !idle.sender.is_closed() && idle.sender.is_ready())
            }),
            Upstream::Http2 => self.http2(way).is_some(),
        }
    }

    /// Keeps a connection whose response has been read to its end.
    pub(crate) fn put_http1(
        &mut self,
        way: Way,
        sender: http1::SendRequest<UpBody>,
        now: u32,
        limit: usize,
    ) {
        if sender.is_closed() {
            return;
        }
        let idle = self.http1.entry(way.address).or_default();
        if idle.len() < limit {
            let (tls, since) = (way.tls, now);
            idle.push(Idle { tls, sender, since });
        }
    }

    /// The HTTP/2 connection that leads there, if it still works.
    pub(crate) fn http2(&mut self, way: &Way) -> Option<http2::SendRequest<UpBody>> {
        let known = self.http2.get_mut(&way.address)?;
        known.retain(|(_, sender)| !sender.is_closed());
        let (_, sender) = known.iter().find(|(tls, _)| *tls == way.tls)?;
        Some(sender.clone())
    }

    /// Makes a connection the one that leads there, unless another was quicker.
    pub(crate) fn put_http2(&mut self, way: &Way, sender: &http2::SendRequest<UpBody>) {
        if self.http2(way).is_none() {
            let known = self.http2.entry(way.address).or_default();
            known.push((way.tls.clone(), sender.clone()));
        }
    }

    /// Drops what is closed or has been idle for too long.
    pub(crate) fn sweep(&mut self, now: u32, config: &Config) {
        let limit = ticks(config.deadlines.idle_upstream);
        self.http1.retain(|_, idle| {
            idle.retain(|c| !c.sender.is_closed() && now.saturating_sub(c.since) <= limit);
            !idle.is_empty()
        });
        self.http2.retain(|_, known| {
            known.retain(|(_, sender)| !sender.is_closed());
            !known.is_empty()
        });
    }
}
