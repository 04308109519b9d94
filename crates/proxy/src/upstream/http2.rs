//! An attempt over HTTP/2.

mod connections;
mod greeting;

use std::{error::Error as _, rc::Rc};

use h2::Reason;
use http::{Request, Uri, Version, header, uri::Scheme};
use hyper::body::Body as _;

pub(crate) use connections::{Connections, Stream};
pub(crate) use greeting::Greeted;

use super::{
    Answer, Context, Destination, Failure, Head, Lease, Leased, Outgoing, Progress, lost, malformed,
};
use crate::{
    http::{error::ProxyError, framing::settle},
    upstream::body::UpBody,
};

/// Sends a request and waits for the head of the answer.
pub(super) async fn send(
    context: &Rc<Context>,
    destination: &mut Destination,
    outgoing: &mut Outgoing,
) -> Result<Answer, Failure> {
    let open = if destination.pooled {
        context.pool.borrow_mut().http2.take(&destination.way)
    } else {
        None
    };
    let mut stream = match open {
        Some(stream) => stream,
        // Rare, and large: kept out of every request's future.
        None => Box::pin(connections::stream(context, destination))
            .await
            .map_err(|error| outgoing.unsent(error))?,
    };
    let way = &destination.way;
    let make = if way.tls.is_some() {
        https2_request
    } else {
        http2_request
    };
    let head = outgoing.is_head();
    let mut request = outgoing.take(make);
    if !request.body().is_end_stream() {
        request.body_mut().holds(stream.other_side());
    }
    let sent = stream.sender().borrow_mut().try_send_request(request);
    match sent.await {
        Ok(mut response) => {
            stream.answered();
            settle(head, &mut response).map_err(|_| malformed())?;
            let body = response.body();
            if body.size_hint().exact() == Some(0) && !body.is_end_stream() {
                // The stream may still say something else.
                response.headers_mut().remove(header::CONTENT_LENGTH);
            }
            let lease = Some(Lease(Leased::Stream { _counted: stream }));
            Ok(Answer { response, lease })
        }
        Err(mut failed) => {
            let pooled = stream.is_on_one_that_worked();
            let unsent = failed.take_message().is_some();
            let (failure, lasts) = failure(unsent, pooled, failed.error());
            if !lasts {
                context.pool.borrow_mut().http2.retire(way, &stream);
            }
            Err(failure)
        }
    }
}

/// What became of a request, and whether its connection may serve others.
#[cold]
fn failure(unsent: bool, pooled: bool, error: &hyper::Error) -> (Failure, bool) {
    if unsent {
        let failure = Failure::new(ProxyError::UpstreamClosed, Progress::Refused);
        return (failure, false);
    }
    let cause = error.source().and_then(|e| e.downcast_ref::<h2::Error>());
    let Some(cause) = cause else {
        let failure = Failure::new(ProxyError::UpstreamClosed, lost(None, pooled));
        return (failure, false);
    };
    let reset = cause.is_reset();
    // What could not be sent, by the rules of HTTP/2.
    let wrong = cause.reason().is_none() && !cause.is_io();
    let (error, progress) = if cause.is_remote() && cause.is_go_away() {
        // Streams that the backend has taken on end in another way.
        (ProxyError::UpstreamClosed, Progress::Refused)
    } else if cause.is_remote() && cause.reason() == Some(Reason::REFUSED_STREAM) {
        (ProxyError::StreamsExhausted, Progress::Refused)
    } else if reset && !cause.is_remote() && !cause.is_library() {
        // We reset a stream ourselves when its body breaks, and the only body that we send is the client's.
        (ProxyError::ClientClosed, Progress::Closed)
    } else {
        (
            ProxyError::UpstreamClosed,
            lost(None, pooled && !reset && !wrong),
        )
    };
    (Failure::new(error, progress), reset || wrong)
}

fn http2_request(head: Head, body: UpBody) -> Request<UpBody> {
    http2_request_of(Scheme::HTTP, head, body)
}

fn https2_request(head: Head, body: UpBody) -> Request<UpBody> {
    http2_request_of(Scheme::HTTPS, head, body)
}

fn http2_request_of(scheme: Scheme, head: Head, body: UpBody) -> Request<UpBody> {
    let authority = http::uri::Authority::from_maybe_shared(bytes::Bytes::copy_from_slice(
        head.host.as_bytes(),
    ));
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(head.target);
    // A host that is no authority cannot get here: it was parsed when the request or the rule was read.
    parts.authority = authority.ok();
    parts.scheme = parts.authority.is_some().then_some(scheme);
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = head.headers;
    request
}
