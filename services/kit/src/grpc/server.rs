//! The server side of a call: a layer around all services of a server.

use std::{
    collections::HashSet,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Frame, SizeHint};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status};
use tower::{Layer, Service};

use super::{Call, Side};
use crate::trace::{HEADER, Kind, Span};

/// Services and methods.
type Methods = Arc<HashSet<(String, String)>>;

/// A layer that records each call as a span and in the metrics.
#[derive(Debug, Clone)]
pub struct TelemetryLayer {
    methods: Methods,
}

impl TelemetryLayer {
    /// Creates a layer for the methods of these descriptors; all others are counted together, as "other".
    ///
    /// # Errors
    /// If a descriptor cannot be decoded.
    pub fn new(descriptors: &[&[u8]]) -> anyhow::Result<Self> {
        let mut methods = HashSet::new();
        for descriptor in descriptors {
            let set = FileDescriptorSet::decode(*descriptor).context("cannot decode a gRPC descriptor")?;
            for file in set.file {
                for service in &file.service {
                    let full = format!("{}.{}", file.package(), service.name());
                    methods.extend(
                        service
                            .method
                            .iter()
                            .map(|method| (full.clone(), method.name().to_owned())),
                    );
                }
            }
        }
        Ok(Self {
            methods: Arc::new(methods),
        })
    }

    fn call<B>(&self, request: &Request<B>) -> Call {
        let path = request.uri().path().trim_start_matches('/').split_once('/');
        let requested = path.map(|(service, method)| (service.to_owned(), method.to_owned()));
        let (service, method) = requested
            .filter(|requested| self.methods.contains(requested))
            .unwrap_or_else(|| ("other".to_owned(), "other".to_owned()));
        let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        let span = Span::continued(Kind::Server, format!("{service}/{method}"), header);
        Call::start(Side::Server, &service, &method, span)
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = TelemetryService<S>;

    fn layer(&self, inner: S) -> TelemetryService<S> {
        TelemetryService {
            inner,
            layer: self.clone(),
        }
    }
}

/// A service with a [`TelemetryLayer`].
#[derive(Debug, Clone)]
pub struct TelemetryService<S> {
    inner: S,
    layer: TelemetryLayer,
}

impl<S, B, A> Service<Request<B>> for TelemetryService<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    A: 'static,
{
    type Response = Response<CountedBody<A>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = self.layer.call(&request);
        let work = self.inner.call(request);
        Box::pin(async move {
            let response = call.span.scope(work).await?;
            if let Some(code) = code(response.headers()) {
                call.ended(code);
            }
            Ok(response.map(|body| CountedBody { body, call: Some(call) }))
        })
    }
}

/// The body of a response, whose trailers contain the status of the call.
#[derive(Debug)]
pub struct CountedBody<B> {
    body: B,
    call: Option<Call>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let (Some(call), Some(Ok(frame))) = (&mut self.call, &frame)
            && let Some(code) = frame.trailers_ref().and_then(code)
        {
            call.ended(code);
        }
        if !matches!(frame, Some(Ok(ref frame)) if frame.is_data()) {
            self.call = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Returns the status in headers or trailers.
fn code(headers: &HeaderMap) -> Option<Code> {
    Status::from_header_map(headers).map(|status| status.code())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};
    use metrics_exporter_prometheus::PrometheusBuilder;
    use prost_types::{FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto};
    use tower::ServiceExt;

    use super::*;

    fn descriptor() -> Vec<u8> {
        let method = MethodDescriptorProto {
            name: Some("Read".into()),
            ..Default::default()
        };
        let service = ServiceDescriptorProto {
            name: Some("Library".into()),
            method: vec![method],
            ..Default::default()
        };
        let file = FileDescriptorProto {
            package: Some("test.v1".into()),
            service: vec![service],
            ..Default::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    /// Responds with status 0 in trailers to `Read`, and with UNIMPLEMENTED in headers otherwise, as tonic does.
    async fn respond(
        request: Request<()>,
    ) -> Result<Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>, Infallible> {
        let known = request.uri().path() == "/test.v1.Library/Read";
        let mut response = Response::builder();
        let mut frames = Vec::new();
        if known {
            let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), 0.into())]);
            frames = vec![Frame::data(Bytes::from_static(b"message")), Frame::trailers(trailers)];
        } else {
            response = response.header("grpc-status", 12);
        }
        let body = StreamBody::new(stream::iter(frames.into_iter().map(Ok::<_, Infallible>)));
        Ok(response.body(body).expect("a response"))
    }

    #[test]
    fn a_call_is_counted_by_the_status_in_its_trailers_and_unknown_methods_share_a_label() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            futures::executor::block_on(async {
                let layer = TelemetryLayer::new(&[&descriptor()]).expect("a good descriptor");
                let service = layer.layer(tower::service_fn(respond));
                let call =
                    |path: &'static str| service.clone().oneshot(Request::get(path).body(()).expect("a request"));
                let response = call("/test.v1.Library/Read").await.expect("a response");
                response.into_body().collect().await.expect("a body");
                for path in [
                    "/test.v1.Library/Burn",
                    "/jane@example.org/x",
                    "/",
                    "/test.v1.Shop/Read",
                ] {
                    drop(call(path).await.expect("a response"));
                }
                // A client that disconnects before the trailers.
                drop(call("/test.v1.Library/Read").await.expect("a response"));
            });
        });
        let text = handle.render();
        for line in [
            "grpc_server_handled_total{service=\"test.v1.Library\",method=\"Read\",code=\"OK\"} 1",
            "grpc_server_handled_total{service=\"test.v1.Library\",method=\"Read\",code=\"Canceled\"} 1",
            "grpc_server_handled_total{service=\"other\",method=\"other\",code=\"Unimplemented\"} 4",
            "grpc_server_started_total{service=\"test.v1.Library\",method=\"Read\"} 2",
            "grpc_server_handling_seconds_count{service=\"test.v1.Library\",method=\"Read\"} 2",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("jane"), "{text}");
    }
}
