//! The end that is called: a layer around all services of a server.

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

use super::{Call, End};
use crate::trace::{HEADER, Kind, Span};

type Known = Arc<HashSet<(String, String)>>;

/// Gives each call its span, its log line's trace, and its place in the metrics.
#[derive(Debug, Clone)]
pub struct Observe {
    known: Known,
}

impl Observe {
    /// A layer that knows the methods of these descriptors; all others are counted together, as "other".
    ///
    /// # Errors
    /// When a descriptor cannot be decoded.
    pub fn new(descriptors: &[&[u8]]) -> anyhow::Result<Self> {
        let mut known = HashSet::new();
        for descriptor in descriptors {
            let set = FileDescriptorSet::decode(*descriptor).context("a gRPC descriptor cannot be decoded")?;
            for file in set.file {
                for service in &file.service {
                    let full = format!("{}.{}", file.package(), service.name());
                    known.extend(
                        service
                            .method
                            .iter()
                            .map(|method| (full.clone(), method.name().to_owned())),
                    );
                }
            }
        }
        Ok(Self { known: Arc::new(known) })
    }

    fn call<B>(&self, request: &Request<B>) -> Call {
        let asked = request.uri().path().trim_start_matches('/').split_once('/');
        let asked = asked.map(|(service, method)| (service.to_owned(), method.to_owned()));
        let (service, method) = asked
            .filter(|asked| self.known.contains(asked))
            .unwrap_or_else(|| ("other".to_owned(), "other".to_owned()));
        let header = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
        let span = Span::continued(Kind::Server, format!("{service}/{method}"), header);
        Call::started(End::Server, &service, &method, span)
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            observe: self.clone(),
        }
    }
}

/// What [`Observe`] makes of a service.
#[derive(Debug, Clone)]
pub struct Observed<S> {
    inner: S,
    observe: Observe,
}

impl<S, B, A> Service<Request<B>> for Observed<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
    A: 'static,
{
    type Response = Response<Answer<A>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut call = self.observe.call(&request);
        let work = self.inner.call(request);
        Box::pin(async move {
            let response = call.span.scope(work).await?;
            if let Some(code) = code(response.headers()) {
                call.ended(code);
            }
            Ok(response.map(|body| Answer { body, call: Some(call) }))
        })
    }
}

/// The body of an answer, whose trailers say how the call ended.
#[derive(Debug)]
pub struct Answer<B> {
    body: B,
    call: Option<Call>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
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

/// The status that headers or trailers tell.
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
            name: Some("Open".into()),
            ..Default::default()
        };
        let service = ServiceDescriptorProto {
            name: Some("Door".into()),
            method: vec![method],
            ..Default::default()
        };
        let file = FileDescriptorProto {
            package: Some("house.v1".into()),
            service: vec![service],
            ..Default::default()
        };
        FileDescriptorSet { file: vec![file] }.encode_to_vec()
    }

    /// Answers 0 in trailers on the path of Open, and UNIMPLEMENTED in headers elsewhere, as tonic does.
    async fn door(
        request: Request<()>,
    ) -> Result<Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>, Infallible> {
        let open = request.uri().path() == "/house.v1.Door/Open";
        let mut response = Response::builder();
        let mut frames = Vec::new();
        if open {
            let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), 0.into())]);
            frames = vec![Frame::data(Bytes::from_static(b"message")), Frame::trailers(trailers)];
        } else {
            response = response.header("grpc-status", 12);
        }
        let body = StreamBody::new(stream::iter(frames.into_iter().map(Ok::<_, Infallible>)));
        Ok(response.body(body).expect("a response"))
    }

    #[test]
    fn a_call_is_counted_by_the_status_in_its_trailers_and_invented_methods_share_a_label() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            futures::executor::block_on(async {
                let layer = Observe::new(&[&descriptor()]).expect("a good descriptor");
                let service = layer.layer(tower::service_fn(door));
                let call =
                    |path: &'static str| service.clone().oneshot(Request::get(path).body(()).expect("a request"));
                let answer = call("/house.v1.Door/Open").await.expect("an answer");
                answer.into_body().collect().await.expect("a body");
                for path in [
                    "/house.v1.Door/Break",
                    "/jane@example.org/x",
                    "/",
                    "/house.v1.Window/Open",
                ] {
                    drop(call(path).await.expect("an answer"));
                }
                // A caller that leaves before the trailers.
                drop(call("/house.v1.Door/Open").await.expect("an answer"));
            });
        });
        let text = handle.render();
        for line in [
            "grpc_server_handled_total{service=\"house.v1.Door\",method=\"Open\",code=\"OK\"} 1",
            "grpc_server_handled_total{service=\"house.v1.Door\",method=\"Open\",code=\"Canceled\"} 1",
            "grpc_server_handled_total{service=\"other\",method=\"other\",code=\"Unimplemented\"} 4",
            "grpc_server_started_total{service=\"house.v1.Door\",method=\"Open\"} 2",
            "grpc_server_handling_seconds_count{service=\"house.v1.Door\",method=\"Open\"} 2",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("jane"), "{text}");
    }
}
