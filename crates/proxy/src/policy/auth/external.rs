//! Asking somebody else whether a request may pass.

use std::{rc::Rc, time::Duration};

use http::{HeaderMap, HeaderName, header};
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::time::timeout;

use crate::{
    http::{error::ProxyError, view::fields},
    upstream::{
        self, Answer, Context, Destination, Failure, Head, Outgoing, Progress,
        balance::{ClusterState, Picked},
        body::UpBody,
    },
};

/// How much of a yes is read, and for how long, so that its connection can be used again.
const REST: (usize, Duration) = (64 * 1024, Duration::from_secs(5));

/// How long a no may take to be passed on.
pub(crate) const REST_OF_A_NO: Duration = Duration::from_secs(30);

/// What says something about a message and nothing about a client: not copied from one message to another.
const OF_THE_MESSAGE: [HeaderName; 16] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::DATE,
    header::HOST,
    header::SERVER,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VARY,
];

/// Asks, and waits for the head of the answer, whatever it is.
///
/// # Errors
/// There was none, or none in time.
pub(crate) async fn ask(
    context: &Rc<Context>,
    cluster: &ClusterState,
    head: Head,
    limit: Duration,
) -> Result<Answer, ProxyError> {
    let asked = timeout(limit, attempts(context, cluster, head));
    asked.await.unwrap_or(Err(ProxyError::AuthTimeout))
}

async fn attempts(
    context: &Rc<Context>,
    cluster: &ClusterState,
    head: Head,
) -> Result<Answer, ProxyError> {
    let failed = |error| match error {
        ProxyError::ConnectTimeout | ProxyError::AttemptTimeout => ProxyError::AuthTimeout,
        _ => ProxyError::AuthUnreachable,
    };
    let mut pooled = true;
    let mut tried = Vec::new();
    loop {
        let picked = cluster.pick_untried(None, 0, &tried);
        let picked = picked.ok_or(ProxyError::AuthUnreachable)?;
        match attempt(context, (cluster, &picked), &head, pooled).await {
            Ok(answer) => return Ok(answer),
            // A connection that was closed just as we took it says nothing; there is no body, so nothing is lost.
            Err(Failure {
                progress: Progress::Unsent(_) | Progress::PooledClosed | Progress::Refused,
                ..
            }) if pooled => pooled = false,
            Err(failure) => {
                let unsent = matches!(failure.progress, Progress::NoConnection(_));
                tried.push(picked.endpoint.clone());
                if !unsent || !cluster.goes_on(&tried) {
                    return Err(failed(failure.error));
                }
            }
        }
    }
}

async fn attempt(
    context: &Rc<Context>,
    (cluster, picked): (&ClusterState, &Picked<'_>),
    head: &Head,
    pooled: bool,
) -> Result<Answer, Failure> {
    let how = (cluster.cluster.upstream, pooled);
    let destination = Destination::of(context, (cluster, picked), &head.host, how).await;
    let mut destination = destination.map_err(|error| Failure {
        error,
        progress: Progress::NoConnection(UpBody::Empty),
    })?;
    let mut outgoing = Outgoing::new(head.clone(), UpBody::Empty);
    upstream::send(context, &mut destination, &mut outgoing).await
}

/// Reads what is left of a yes, which nobody needs, so that the connection can be used again.
pub(crate) fn finish(answer: Answer) {
    let Answer { response, lease } = answer;
    let Some(lease) = lease else { return };
    let mut incoming = response.into_body();
    if incoming.is_end_stream() {
        return lease.give_back();
    }
    let (most, limit) = REST;
    tokio::task::spawn_local(timeout(limit, async move {
        let mut read = 0;
        while let Some(Ok(frame)) = incoming.frame().await {
            read += frame.data_ref().map_or(0, bytes::Bytes::len);
            if read > most {
                return;
            }
        }
        if incoming.is_end_stream() {
            lease.give_back();
        }
    }));
}

/// Puts headers of a yes onto the request, in the place of whatever the client sent under their names.
pub(crate) fn copy(names: Option<&[HeaderName]>, from: &HeaderMap, onto: &mut HeaderMap) {
    let replace = |name: &HeaderName, onto: &mut HeaderMap| {
        onto.remove(name);
        for value in from.get_all(name) {
            onto.append(name.clone(), value.clone());
        }
    };
    match names {
        Some(names) => {
            fields::remove_aliases(onto, names.iter());
            names.iter().for_each(|name| replace(name, onto));
        }
        None => {
            let names: Vec<_> = from
                .keys()
                .filter(|name| !OF_THE_MESSAGE.contains(name))
                .cloned()
                .collect();
            fields::remove_aliases(onto, names.iter());
            names.iter().for_each(|name| replace(name, onto));
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::copy;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        map
    }

    #[test]
    fn clients_cannot_say_what_authenticators_say() {
        let names = ["x-user", "x-auth-groups"].map(HeaderName::from_static);
        let mut request = map(&[
            ("x-user", "root"),
            ("x-user", "admin"),
            ("x_user", "root"),
            ("x-auth_groups", "all"),
            ("x_auth_groups", "all"),
            ("x-other", "1"),
            ("x_other", "1"),
        ]);
        let answer = map(&[
            ("x-user", "jane"),
            ("x-other", "2"),
            ("x-auth-groups", "a"),
            ("x-auth-groups", "b"),
        ]);
        copy(Some(&names), &answer, &mut request);
        let wanted = [
            ("x-other", "1"),
            ("x_other", "1"),
            ("x-user", "jane"),
            ("x-auth-groups", "a"),
            ("x-auth-groups", "b"),
        ];
        assert_eq!(request, map(&wanted));
        copy(Some(&names), &HeaderMap::new(), &mut request);
        assert_eq!(request, map(&wanted[..2]), "nothing said is nothing known");
    }

    #[test]
    fn all_headers_are_all_that_tell_of_the_client() {
        let mut request = map(&[
            ("content-type", "text/plain"),
            ("content-length", "3"),
            ("host", "a.com"),
            ("x_user", "root"),
        ]);
        let answer = map(&[
            ("content-type", "text/html"),
            ("content-length", "0"),
            ("host", "evil.com"),
            ("set-cookie", "a=b"),
            ("x-user", "jane"),
            ("authorization", "Bearer x"),
        ]);
        copy(None, &answer, &mut request);
        let wanted = [
            ("content-type", "text/plain"),
            ("content-length", "3"),
            ("host", "a.com"),
            ("x-user", "jane"),
            ("authorization", "Bearer x"),
        ];
        assert_eq!(request, map(&wanted));
    }
}
