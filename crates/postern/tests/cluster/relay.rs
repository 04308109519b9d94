//! A relay between the binary and the API server, which can make the API server look worse than it is, and keeps what
//! was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// What is wrong with the API server. Watches that are open when it begins are ended by it, or made slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It has too much to do: everything is answered with 429.
    Busy,
    /// It has forgotten the past: every watch is answered with 410, and afterwards those of kinds that have not been
    /// listed since.
    Expired,
    /// The same, said by an event of the watch.
    Desynced,
    /// Every answer comes that much later, and every event of a watch.
    Slow(Duration),
    /// Connections are closed without an answer.
    Gone,
    /// It does not know the Gateway API.
    Lacking,
}

/// Paths of its kinds begin so.
const GATEWAY_API: &str = "/apis/gateway.networking.k8s.io/";

/// See the module. Dropped, it is gone for good.
pub(crate) struct Relay {
    kubeconfig: NamedTempFile,
    fault: watch::Sender<Fault>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    met: AtomicUsize,
    /// After the past has been forgotten: what it was, and which paths have been listed since.
    forgotten: Mutex<Option<(Fault, BTreeSet<String>)>>,
    writes: Mutex<Vec<Write>>,
    /// Of each object that has been written, the version since.
    versions: Mutex<BTreeMap<String, Value>>,
}

/// What has been asked for that was to change something, but for Leases.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Write {
    pub(crate) method: Method,
    /// Of the object, or its status.
    pub(crate) path: String,
    pub(crate) answer: u16,
    /// The object is the same after it as before.
    pub(crate) in_vain: bool,
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl Relay {
    /// A relay to the API server that KUBECONFIG names.
    pub(crate) async fn start() -> Self {
        let client = Client::try_default()
            .await
            .expect("KUBECONFIG names a cluster");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let mut kubeconfig = NamedTempFile::new().unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "relay",
            "clusters": [{ "name": "relay", "cluster": { "server": server } }],
            "users": [{ "name": "relay", "user": {} }],
            "contexts": [{ "name": "relay", "context": { "cluster": "relay", "user": "relay" } }],
        });
        kubeconfig.write_all(config.to_string().as_bytes()).unwrap();
        let (fault, faults) = watch::channel(Fault::None);
        let shared = Arc::<Shared>::default();
        let way = Way {
            client,
            faults,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(way.clone().serve(stream));
            }
        });
        Self {
            kubeconfig,
            fault,
            shared,
        }
    }

    /// For the binary's KUBECONFIG.
    pub(crate) fn kubeconfig(&self) -> &Path {
        self.kubeconfig.path()
    }

    /// From now on this is wrong.
    pub(crate) fn set(&self, fault: Fault) {
        self.shared.met.store(0, Relaxed);
        if matches!(fault, Fault::Expired | Fault::Desynced) {
            *self.shared.forgotten.lock() = Some((fault, BTreeSet::new()));
        }
        self.fault.send_replace(fault);
    }

    /// What has been written since the last call.
    pub(crate) fn writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.shared.writes.lock())
    }

    /// How many requests have met with what is wrong.
    pub(crate) fn met(&self) -> usize {
        self.shared.met.load(Relaxed)
    }
}

impl Shared {
    fn note(
        &self,
        method: Method,
        path: String,
        asked: &Bytes,
        (status, answer): (StatusCode, &Bytes),
    ) {
        if path.contains("/leases") {
            return;
        }
        let version = |body: &Bytes| -> Value {
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            body["metadata"]["resourceVersion"].clone()
        };
        let now = version(answer);
        let object = path.strip_suffix("/status").unwrap_or(&path).to_owned();
        let mut versions = self.versions.lock();
        let known = versions.insert(object, now.clone());
        let before = [known.unwrap_or_default(), version(asked)];
        let in_vain = now.is_string() && before.contains(&now);
        let answer = status.as_u16();
        self.writes.lock().push(Write {
            method,
            path,
            answer,
            in_vain,
        });
    }
}

/// What every connection has.
#[derive(Clone)]
struct Way {
    client: Client,
    faults: watch::Receiver<Fault>,
    shared: Arc<Shared>,
}

impl Way {
    /// What is wrong for a request.
    fn fault(&self, path: &str, watches: bool) -> Fault {
        let now = *self.faults.borrow();
        let mut forgotten = self.shared.forgotten.lock();
        match &mut *forgotten {
            Some((fault, listed)) if watches && !listed.contains(path) => *fault,
            Some((_, listed)) if !watches && now != Fault::Busy => {
                listed.insert(path.to_owned());
                now
            }
            _ => now,
        }
    }

    async fn serve(self, stream: TcpStream) {
        let mut faults = self.faults.clone();
        let service = service_fn(|request| self.clone().answer(request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            // A client that goes away is its own business.
            _ = connection => {}
            _ = faults.wait_for(|fault| *fault == Fault::Gone) => {
                self.shared.met.fetch_add(1, Relaxed);
            }
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Answer, kube::Error> {
        let watches = request.uri().query().is_some_and(|q| q.contains("watch="));
        let path = request.uri().path();
        let fault = self.fault(path, watches);
        let made = match fault {
            Fault::Lacking if path.starts_with(GATEWAY_API) => Some(refusal(StatusCode::NOT_FOUND)),
            Fault::Busy => Some(refusal(StatusCode::TOO_MANY_REQUESTS)),
            Fault::Expired if watches => Some(refusal(StatusCode::GONE)),
            Fault::Desynced if watches => Some(Response::new(expired())),
            _ => None,
        };
        let slow = matches!(fault, Fault::Slow(_));
        self.shared
            .met
            .fetch_add(usize::from(slow || made.is_some()), Relaxed);
        let made = made.map(|made| made.map(|event| Full::from(event).boxed_unsync()));
        match made {
            Some(made) => Ok(made),
            None => self.pass_on(request, watches).await,
        }
    }

    async fn pass_on(
        self,
        request: Request<Incoming>,
        watches: bool,
    ) -> Result<Answer, kube::Error> {
        let fault = *self.faults.borrow();
        if let Fault::Slow(by) = fault {
            tokio::time::sleep(by).await;
        }
        let (mut head, body) = request.into_parts();
        head.headers.remove(header::HOST);
        head.uri = Uri::from(head.uri.into_parts().path_and_query.unwrap());
        let asked = body.collect().await.map_err(kube::Error::HyperError)?;
        let asked = asked.to_bytes();
        let (method, path) = (head.method.clone(), head.uri.path().to_owned());
        let request = Request::from_parts(head, Body::from(asked.clone()));
        let (mut head, body) = self.client.send(request).await?.into_parts();
        if method != Method::GET {
            let answer = body.collect().await?.to_bytes();
            self.shared
                .note(method, path, &asked, (head.status, &answer));
            return Ok(Response::from_parts(
                head,
                Full::from(answer).boxed_unsync(),
            ));
        }
        // This connection has a framing of its own.
        head.headers.remove(header::TRANSFER_ENCODING);
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(read(body, sender, self.faults, watches));
        let frames = stream::unfold(receiver, async |mut receiver| {
            let (due, bytes) = receiver.recv().await?;
            sleep_until(due).await;
            Some((Ok(Frame::data(bytes)), receiver))
        });
        Ok(Response::from_parts(
            head,
            StreamBody::new(frames).boxed_unsync(),
        ))
    }
}

/// Reads an answer, each piece with the time when it is due, for as long as nothing is wrong that would end it.
async fn read(
    mut body: Body,
    to: mpsc::UnboundedSender<(Instant, Bytes)>,
    mut faults: watch::Receiver<Fault>,
    watches: bool,
) {
    loop {
        tokio::select! {
            frame = body.frame() => {
                let Some(Ok(frame)) = frame else { return };
                let late = match *faults.borrow() {
                    Fault::Slow(by) => by,
                    _ => Duration::ZERO,
                };
                let Ok(bytes) = frame.into_data() else { continue };
                if to.send((Instant::now() + late, bytes)).is_err() {
                    return;
                }
            }
            Ok(()) = faults.changed(), if watches => match *faults.borrow_and_update() {
                Fault::None | Fault::Slow(_) | Fault::Lacking => {}
                Fault::Busy | Fault::Expired | Fault::Gone => return,
                Fault::Desynced => {
                    // The client may have gone.
                    let _ = to.send((Instant::now(), expired().into()));
                    return;
                }
            },
            () = to.closed() => return,
        }
    }
}

fn status(code: StatusCode) -> Value {
    let reason = match code {
        StatusCode::GONE => "Expired",
        StatusCode::NOT_FOUND => "NotFound",
        _ => "TooManyRequests",
    };
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "the relay says so", "reason": reason, "code": code.as_u16(),
    })
}

/// The event that ends a watch of what is no longer known.
fn expired() -> String {
    let event = json!({ "type": "ERROR", "object": status(StatusCode::GONE) });
    format!("{event}\n")
}

fn refusal(code: StatusCode) -> Response<String> {
    let answer = Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::RETRY_AFTER, "1");
    answer.body(status(code).to_string()).unwrap()
}
