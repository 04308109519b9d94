//! One attempt: a connection, a request, the head of an answer.

pub(crate) mod balance;
pub(crate) mod body;
mod connect;
mod context;
mod http2;
pub(crate) mod names;
mod permit;
mod place;
mod pool;
mod replay_body;
pub(crate) mod silence;
mod tls;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header, uri::PathAndQuery};
use hyper::{
    body::{Body, Incoming},
    client::conn::http1,
};
use ir::{Cluster, Endpoint, Upstream};

pub(crate) use context::Context;
pub(crate) use http2::Stream;
pub(crate) use permit::check as permitted;
pub(crate) use place::Place;
pub(crate) use replay_body::{KeptBody, Replay, ReplayBody};
pub(crate) use tls::{Secured, UpstreamClient};

use crate::{
    http::{
        error::ProxyError,
        framing::{Reuse, settle},
    },
    upstream::{
        balance::{ClusterState, Picked},
        body::UpBody,
        silence::{Watch, Watched},
    },
};

/// The head of a request as a backend shall see it. Cheap to clone: what it holds is shared.
#[derive(Clone)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) target: PathAndQuery,
    /// What `Host` or `:authority` says.
    pub(crate) host: HeaderValue,
    /// Without `Host`.
    pub(crate) headers: HeaderMap,
}

/// What an answer needs of a connection. Dropped, a connection of HTTP/1.1 closes, and of HTTP/2 the stream ends.
pub(crate) struct Lease(Leased);

enum Leased {
    Connection {
        context: Rc<Context>,
        way: Way,
        sender: http1::SendRequest<UpBody>,
        reuse: Reuse,
    },
    Stream {
        _counted: Stream,
    },
}

/// Where a connection leads, and how it is secured.
#[derive(Clone, PartialEq)]
pub(crate) struct Way {
    pub(crate) address: SocketAddr,
    /// `None` is plain text.
    pub(crate) tls: Option<Secured>,
}

impl Lease {
    /// Whether it is a stream of HTTP/2.
    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self.0, Leased::Stream { .. })
    }

    /// The response has been read to its end: the connection may serve another request, unless it must not.
    pub(crate) fn give_back(self) {
        if let Leased::Connection {
            context,
            way,
            sender,
            reuse: Reuse::Yes,
        } = self.0
        {
            let (now, limit) = (context.clock.now(), context.config.limits.idle_upstream);
            context.pool.borrow_mut().put_http1(way, sender, now, limit);
        }
    }
}

/// An answer's head, and what still carries its body.
pub(crate) struct Answer {
    pub(crate) response: Response<Incoming>,
    pub(crate) lease: Option<Lease>,
}

/// Why an attempt came to nothing.
pub(crate) struct Failure {
    pub(crate) error: ProxyError,
    /// How far it got.
    pub(crate) progress: Progress,
}

/// How far a failed attempt got.
pub(crate) enum Progress {
    /// Nothing was sent, and no connection was there; the body comes back unread.
    NoConnection(UpBody),
    /// Nothing was sent, as an idle connection had just been closed; the body comes back unread.
    Unsent(UpBody),
    /// An idle connection was closed before a byte of the answer came.
    PooledClosed,
    /// A new connection was closed before a byte of the answer came.
    Closed,
    /// The backend did not process it and will not (HTTP/2; RFC 9113 sections 6.8 and 8.7).
    Refused,
}

impl Failure {
    const fn new(error: ProxyError, progress: Progress) -> Self {
        Self { error, progress }
    }
}

/// Where an attempt goes.
pub(crate) struct Destination {
    /// The address is the one that is tried first, and after that the one that was reached.
    pub(crate) way: Way,
    place: Place,
    protocol: Upstream,
    /// Take an idle connection, if there is one.
    pooled: bool,
    /// How long opening a connection may take.
    connect: Duration,
}

impl Destination {
    /// Where an attempt to reach an endpoint goes, with `host` as the server's name where the cluster has none, by
    /// which protocol, and whether a connection will do that has been used. Of a name, an address to which there is an
    /// idle connection is taken, and nothing is looked up then.
    ///
    /// # Errors
    /// A name has no address, or none was known in time.
    pub(crate) async fn of(
        context: &Context,
        (cluster, picked): (&ClusterState, &Picked<'_>),
        host: &HeaderValue,
        (protocol, pooled): (Upstream, bool),
    ) -> Result<Self, ProxyError> {
        let connect = connect_limit(context, &cluster.cluster);
        let tls = cluster.tls.as_ref().map(|tls| tls.secured(host));
        let (address, place) = match picked.endpoint {
            Endpoint::Address(address) => (*address, Place::Address(*address)),
            Endpoint::Name { .. } => {
                let idle = pooled
                    .then(|| idle(context, protocol, picked, tls.as_ref()))
                    .flatten();
                match idle {
                    Some(found) => found,
                    None => Box::pin(Place::of(picked.endpoint, picked.name, connect))
                        .await?
                        .split()?,
                }
            }
        };
        Ok(Self {
            way: Way { address, tls },
            place,
            protocol,
            pooled,
            connect,
        })
    }
}

/// The address of a name to which there is an idle connection.
fn idle(
    context: &Context,
    protocol: Upstream,
    picked: &Picked<'_>,
    tls: Option<&Secured>,
) -> Option<(SocketAddr, Place)> {
    let named = Place::known(picked)?;
    let mut pool = context.pool.borrow_mut();
    let address = named.by_turns().find(|address| {
        let way = Way {
            address: *address,
            tls: tls.cloned(),
        };
        pool.leads(protocol, &way)
    })?;
    Some((address, Place::Named(named)))
}

/// How long opening a connection to a cluster may take.
pub(crate) fn connect_limit(context: &Context, cluster: &Cluster) -> Duration {
    let own = cluster.timeouts.connect;
    own.unwrap_or(context.config.deadlines.connect)
}

/// A request that waits to be sent. It is taken at the last moment, and stands outside of the futures that send it:
/// they are moved before they run.
#[derive(Default)]
pub(crate) struct Outgoing {
    request: Option<(Head, UpBody)>,
    watch: Option<Rc<Watch>>,
}

impl Outgoing {
    pub(crate) const fn new(head: Head, body: UpBody) -> Self {
        Self {
            request: Some((head, body)),
            watch: None,
        }
    }

    /// Has its sending watched.
    pub(crate) fn watched(&mut self, watch: &Rc<Watch>) {
        if let Some((_, body)) = &mut self.request
            && !matches!(body, UpBody::Empty)
        {
            let whole = std::mem::replace(body, UpBody::Empty);
            *body = UpBody::Watched(Box::new(Watched::new(whole, watch)));
        }
        self.watch = Some(Rc::clone(watch));
    }

    /// Changes the head before it is sent.
    pub(crate) fn with_head(&mut self, change: impl FnOnce(&mut Head)) {
        if let Some((head, _)) = &mut self.request {
            change(head);
        }
    }

    /// Whether the request is HEAD, whose answer has no body whatever it says.
    fn is_head(&self) -> bool {
        let head = self.request.as_ref().map(|(head, _)| head);
        head.is_some_and(|head| head.method == Method::HEAD)
    }

    /// The failure of a request that was never sent.
    pub(crate) fn unsent(&mut self, error: ProxyError) -> Failure {
        let body = self.request.take().map_or(UpBody::Empty, |(_, body)| body);
        Failure::new(error, Progress::NoConnection(body))
    }

    fn take(&mut self, make: fn(Head, UpBody) -> Request<UpBody>) -> Request<UpBody> {
        let (head, body) = self
            .request
            .take()
            .expect("an outgoing request is sent once");
        if let Some(watch) = &self.watch {
            watch.begins(!body.is_end_stream());
        }
        make(head, body)
    }
}

/// Sends a request and waits for the head of the answer. The destination's address is then the one that was reached.
pub(crate) async fn send(
    context: &Rc<Context>,
    destination: &mut Destination,
    outgoing: &mut Outgoing,
) -> Result<Answer, Failure> {
    match destination.protocol {
        Upstream::Http1 => send_http1(context, destination, outgoing).await,
        // Large: most backends speak HTTP/1.1.
        Upstream::Http2 => Box::pin(http2::send(context, destination, outgoing)).await,
    }
}

async fn send_http1(
    context: &Rc<Context>,
    destination: &mut Destination,
    outgoing: &mut Outgoing,
) -> Result<Answer, Failure> {
    let idle = if destination.pooled {
        context.pool.borrow_mut().take_http1(&destination.way)
    } else {
        None
    };
    let pooled = idle.is_some();
    let mut sender = match idle {
        Some(sender) => sender,
        // Rare, and large: kept out of every request's future.
        None => Box::pin(connect::http1(context, destination))
            .await
            .map_err(|error| outgoing.unsent(error))?,
    };
    let head = outgoing.is_head();
    match sender.try_send_request(outgoing.take(http1_request)).await {
        Ok(mut response) => {
            let reuse = settle(head, &mut response).map_err(|_| malformed())?;
            let lease = Lease(Leased::Connection {
                context: Rc::clone(context),
                way: destination.way.clone(),
                sender,
                reuse,
            });
            Ok(Answer {
                response,
                lease: Some(lease),
            })
        }
        Err(mut failed) => {
            let unsent = failed.take_message();
            Err(failure(unsent, pooled, failed.error()))
        }
    }
}

/// An answer that cannot be passed on.
const fn malformed() -> Failure {
    Failure::new(ProxyError::BadResponse, Progress::Closed)
}

fn failure(unsent: Option<Request<UpBody>>, pooled: bool, error: &hyper::Error) -> Failure {
    // The only body that we send is the client's.
    if error.is_user() && unsent.is_none() {
        return Failure::new(ProxyError::ClientClosed, Progress::Closed);
    }
    let error = match error.is_parse() {
        true => ProxyError::BadResponse,
        false => ProxyError::UpstreamClosed,
    };
    Failure::new(error, lost(unsent, pooled))
}

/// How far a request got whose connection was lost.
fn lost(unsent: Option<Request<UpBody>>, pooled: bool) -> Progress {
    match (unsent, pooled) {
        (Some(request), true) => Progress::Unsent(request.into_body()),
        (Some(request), false) => Progress::NoConnection(request.into_body()),
        (None, true) => Progress::PooledClosed,
        (None, false) => Progress::Closed,
    }
}

fn http1_request(head: Head, body: UpBody) -> Request<UpBody> {
    let unknown = !body.is_end_stream() && body.size_hint().exact().is_none();
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from(head.target);
    *request.headers_mut() = head.headers;
    let headers = request.headers_mut();
    headers.insert(header::HOST, head.host);
    // RFC 9110 section 10.1.4: it concerns this connection, and has to say so.
    if headers.contains_key(header::TE) {
        headers.append(header::CONNECTION, HeaderValue::from_static("te"));
    }
    // hyper would leave out the bodies of GET and HEAD.
    if unknown && !headers.contains_key(header::CONTENT_LENGTH) {
        let chunked = HeaderValue::from_static("chunked");
        headers.insert(header::TRANSFER_ENCODING, chunked);
    }
    request
}
