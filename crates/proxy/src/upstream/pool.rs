//! Upstream connections of one worker that may be used again, by address. They survive every snapshot: an address keeps
//! its connections whatever happens to routes and clusters.

use std::{collections::HashMap, net::SocketAddr};

use hyper::client::conn::http1;
use ir::Upstream;

use super::{Secured, Way, http2::Connections};
use crate::{config::Config, net::clock::ticks, upstream::body::UpBody};

type Map<V> = HashMap<SocketAddr, V, foldhash::fast::FixedState>;

/// How many of the youngest idle connections are looked at before a new one is opened.
const LOOK: usize = 4;

/// An idle HTTP/1.1 connection.
struct Idle {
    tls: Option<Secured>,
    sender: http1::SendRequest<UpBody>,
    since: u32,
}

/// The connections of a worker. HTTP/1.1: idle ones; last in, first out, so that surplus ones age and go.
#[derive(Default)]
pub(crate) struct Pool {
    http1: Map<Vec<Idle>>,
    pub(super) http2: Connections,
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
            Upstream::Http2 => self.http2.leads(way),
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

    /// Drops what is closed or has been idle for too long.
    pub(crate) fn sweep(&mut self, now: u32, config: &Config) {
        self.http2.sweep(now, config.deadlines.idle_upstream);
        let limit = ticks(config.deadlines.idle_upstream);
        self.http1.retain(|_, idle| {
            idle.retain(|c| !c.sender.is_closed() && now.saturating_sub(c.since) <= limit);
            !idle.is_empty()
        });
    }
}
