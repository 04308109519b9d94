//! A gRPC service of four methods, one of each shape, and the client for it; what a generator would write.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::{BoxFuture, Service},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

/// What is said both ways.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Line {
    #[prost(string, tag = "1")]
    pub(super) text: String,
    #[prost(uint32, tag = "2")]
    pub(super) number: u32,
}

impl Line {
    pub(super) fn new(text: &str, number: u32) -> Self {
        Self {
            text: text.to_owned(),
            number,
        }
    }
}

type Lines = Pin<Box<dyn Stream<Item = Result<Line, Status>> + Send>>;

/// Says when it is dropped: the call of the server is over, however it ended.
struct Guard(mpsc::UnboundedSender<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send(());
    }
}

/// The service.
#[derive(Clone)]
struct Lab {
    ended: mpsc::UnboundedSender<()>,
}

impl Lab {
    /// Answers `name number`, or the status that is asked for, or never.
    async fn say(self, request: Request<Line>) -> Result<Response<Line>, Status> {
        let deadline = request.metadata().get("grpc-timeout").cloned();
        let line = request.into_inner();
        match line.text.as_str() {
            "fail" => {
                let mut status = Status::with_details(
                    tonic::Code::from_i32(i32::try_from(line.number).unwrap()),
                    "no such thing: ä, \"quoted\"",
                    bytes::Bytes::from_static(b"\x00details\xff"),
                );
                let trailer = tonic::metadata::MetadataValue::from_static("kept");
                status.metadata_mut().insert("x-trailer", trailer);
                Err(status)
            }
            "sleep" => {
                let _guard = Guard(self.ended);
                std::future::pending().await
            }
            "deadline" => {
                let text = deadline.and_then(|value| Some(value.to_str().ok()?.to_owned()));
                Ok(Response::new(Line::new(&text.unwrap_or_default(), 0)))
            }
            text => Ok(Response::new(Line::new(
                &format!("said {text}"),
                line.number + 1,
            ))),
        }
    }

    /// That many lines, each when there is room for it; without end for none.
    async fn count(self, request: Request<Line>) -> Result<Response<Lines>, Status> {
        let Line { text, number } = request.into_inner();
        let (sender, receiver) = mpsc::channel(1);
        let guard = Guard(self.ended);
        tokio::spawn(async move {
            let _guard = guard;
            for at in 1.. {
                if number != 0 && at > number {
                    if text == "fail" {
                        // Nobody may be there to hear it.
                        let _ = sender.send(Err(Status::data_loss("half way"))).await;
                    }
                    break;
                }
                if sender.send(Ok(Line::new(&text, at))).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    /// All lines as one.
    async fn join(self, request: Request<Streaming<Line>>) -> Result<Response<Line>, Status> {
        let mut lines = request.into_inner();
        let mut all = Line::default();
        while let Some(line) = lines.message().await? {
            all.text.push_str(&line.text);
            all.number += line.number;
        }
        Ok(Response::new(all))
    }

    /// Each line back as it comes.
    async fn echo(self, request: Request<Streaming<Line>>) -> Result<Response<Lines>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

/// A method of the service as tonic takes it.
struct Method<F>(Lab, F);

impl<In, Out, F, Answer> Service<Request<In>> for Method<F>
where
    F: Fn(Lab, Request<In>) -> Answer,
    Answer: Future<Output = Result<Response<Out>, Status>> + Send + 'static,
{
    type Response = Response<Out>;
    type Error = Status;
    type Future = BoxFuture<Self::Response, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<In>) -> Self::Future {
        Box::pin((self.1)(self.0.clone(), request))
    }
}

impl Service<http::Request<Body>> for Lab {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let lab = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Line, Line>::default());
            Ok(match request.uri().path() {
                "/lab.Lab/Say" => grpc.unary(Method(lab, Self::say), request).await,
                "/lab.Lab/Count" => {
                    grpc.server_streaming(Method(lab, Self::count), request)
                        .await
                }
                "/lab.Lab/Join" => {
                    grpc.client_streaming(Method(lab, Self::join), request)
                        .await
                }
                "/lab.Lab/Echo" => grpc.streaming(Method(lab, Self::echo), request).await,
                other => Status::unimplemented(other).into_http(),
            })
        })
    }
}

impl tonic::server::NamedService for Lab {
    const NAME: &'static str = "lab.Lab";
}

/// A running server; dropped, it stops.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    /// A message for each call of `say sleep` and `count` that ended.
    pub(super) ended: mpsc::UnboundedReceiver<()>,
    _stop: oneshot::Sender<()>,
}

impl Running {
    /// Serves on a port of its own, with TLS or in plain text.
    pub(super) async fn start(tls: Option<ServerConfig>) -> Self {
        let listener = TcpListener::bind(testkit::echo::any()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, ended) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let router = Server::builder().add_service(Lab { ended: sender });
        let stopped = async {
            // Dropped is told, too.
            let _ = stopped.await;
        };
        tokio::spawn(async move {
            let served = match tls {
                None => {
                    let incoming = TcpIncoming::from(listener);
                    router.serve_with_incoming_shutdown(incoming, stopped).await
                }
                Some(config) => {
                    let acceptor = TlsAcceptor::from(Arc::new(config));
                    let incoming = TcpIncoming::from(listener)
                        .then(move |stream| {
                            let acceptor = acceptor.clone();
                            async move { acceptor.accept(stream?).await }
                        })
                        // A handshake that fails costs its connection alone.
                        .filter(Result::is_ok);
                    let incoming = Box::pin(incoming);
                    router.serve_with_incoming_shutdown(incoming, stopped).await
                }
            };
            served.unwrap();
        });
        Self {
            address,
            ended,
            _stop: stop,
        }
    }
}

/// A client of the service.
#[derive(Clone)]
pub(super) struct Client(Channel);

impl Client {
    /// Over one connection to the gateway, with TLS or in plain text, for that host.
    pub(super) async fn connect(
        gateway: SocketAddr,
        host: &'static str,
        tls: Option<ClientConfig>,
    ) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let origin = http::Uri::try_from(format!("{scheme}://{host}")).unwrap();
        // The connector below does what is to be done for https.
        let endpoint = Endpoint::try_from(format!("http://{gateway}"))
            .unwrap()
            .origin(origin)
            .connect_timeout(Duration::from_secs(10));
        let channel = match tls {
            None => endpoint.connect().await,
            Some(config) => {
                let connector = TlsConnector::from(Arc::new(config));
                let connect = tower::service_fn(move |_: http::Uri| {
                    let connector = connector.clone();
                    async move {
                        let stream = TcpStream::connect(gateway).await?;
                        let name = ServerName::try_from(host).unwrap();
                        connector.connect(name, stream).await.map(TokioIo::new)
                    }
                });
                endpoint.connect_with_connector(connect).await
            }
        };
        Self(channel.unwrap())
    }

    async fn ready(&self) -> tonic::client::Grpc<Channel> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.unwrap();
        grpc
    }

    pub(super) async fn say(&self, request: Request<Line>) -> Result<Response<Line>, Status> {
        let path = PathAndQuery::from_static("/lab.Lab/Say");
        let codec = ProstCodec::<Line, Line>::default();
        self.ready().await.unary(request, path, codec).await
    }

    pub(super) async fn count(&self, line: Line) -> Result<Response<Streaming<Line>>, Status> {
        let path = PathAndQuery::from_static("/lab.Lab/Count");
        let codec = ProstCodec::<Line, Line>::default();
        let mut grpc = self.ready().await;
        grpc.server_streaming(Request::new(line), path, codec).await
    }

    pub(super) async fn join(&self, lines: Vec<Line>) -> Result<Response<Line>, Status> {
        let path = PathAndQuery::from_static("/lab.Lab/Join");
        let codec = ProstCodec::<Line, Line>::default();
        let lines = Request::new(tokio_stream::iter(lines));
        let mut grpc = self.ready().await;
        grpc.client_streaming(lines, path, codec).await
    }

    pub(super) async fn echo(
        &self,
        lines: mpsc::Receiver<Line>,
    ) -> Result<Response<Streaming<Line>>, Status> {
        let path = PathAndQuery::from_static("/lab.Lab/Echo");
        let codec = ProstCodec::<Line, Line>::default();
        let lines = Request::new(ReceiverStream::new(lines));
        self.ready().await.streaming(lines, path, codec).await
    }
}
