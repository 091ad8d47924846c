//! The door for `kube::Client`: a service that takes HTTP requests in the same process.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame};
use kube::client::Body;
use kube::client::retry::RetryPolicy;
use tower::retry::RetryLayer;
use tower::{BoxError, Layer, Service, ServiceExt as _};

use crate::error::ApiError;
use crate::faults::{Logged, Verdict};
use crate::request::{Call, Verb};
use crate::sim::KubeSim;
use crate::watch::WatchBody;

/// The body of an answer: whole, or a watch.
pub enum Answer {
    /// A whole body.
    Whole(Option<Bytes>),
    /// A watch.
    Watch(Box<WatchBody>),
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Watch(body) => Pin::new(&mut **body).poll_frame(context),
        }
    }
}

impl Service<Request<Body>> for KubeSim {
    type Response = Response<Answer>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Response<Answer>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let sim = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect_bytes().await.map_err(io::Error::other)?;
            sim.check_running()?;
            let call = match Call::parse(sim.lock().store.kinds, &parts, body) {
                Ok(call) => call,
                Err(error) => return refusal(&error),
            };
            sim.answer(call).await
        })
    }
}

impl KubeSim {
    /// A client of this server, with the retries (of 429, 503 and 504) that one made from a kubeconfig has.
    pub fn client(&self) -> kube::Client {
        let service = self.clone().map_err(BoxError::from);
        kube::Client::new(RetryLayer::new(RetryPolicy::server_retry()).layer(service), "default")
    }

    /// A client without retries.
    pub fn plain_client(&self) -> kube::Client {
        kube::Client::new(self.clone(), "default")
    }

    fn check_running(&self) -> io::Result<()> {
        if self.lock().running {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused: the API server does not run"))
    }

    async fn answer(&self, call: Call) -> io::Result<Response<Answer>> {
        let verdict = self.verdict(&call.info);
        let at = self.now();
        let versioned = call.is_versioned();
        let note = |code: Option<u16>, changed: bool| {
            let (request, verdict) = (call.info.clone(), verdict.clone());
            self.note(Logged { at, request, verdict, code, changed, versioned });
        };
        let lost = || io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost");
        match &verdict {
            Verdict::DropBefore => {
                note(None, false);
                return Err(lost());
            }
            Verdict::Fail(code) => {
                note(Some(*code), false);
                return refusal(&ApiError::of_code(*code));
            }
            Verdict::Delay(delay) => {
                tokio::time::sleep(*delay).await;
                // It may have been stopped meanwhile.
                self.check_running()?;
            }
            Verdict::Pass | Verdict::DropAfterCommit | Verdict::DelayReply(_) | Verdict::StaleRead(_) => {}
        }
        let result = if call.info.verb == Verb::Watch {
            let watch = self.watch(&call);
            note(Some(watch.as_ref().err().map_or(200, |error| error.code)), false);
            watch.map(|body| (200, Answer::Watch(Box::new(body))))
        } else {
            let stale = match verdict {
                Verdict::StaleRead(back) => Some(back),
                _ => None,
            };
            let (code, body, changed) = self.carry_out(&call, stale);
            note(Some(code), changed);
            Ok((code, Answer::Whole(Some(body))))
        };
        match verdict {
            Verdict::DropAfterCommit => return Err(lost()),
            Verdict::DelayReply(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        let (code, body) = match result {
            Ok(answer) => answer,
            Err(error) => return refusal(&error),
        };
        respond(code, body, None)
    }
}

fn refusal(error: &ApiError) -> io::Result<Response<Answer>> {
    let body = Answer::Whole(Some(error.status().to_string().into()));
    respond(error.code, body, error.details["retryAfterSeconds"].as_u64())
}

fn respond(code: u16, body: Answer, retry_after: Option<u64>) -> io::Result<Response<Answer>> {
    let mut response = Response::builder().status(code).header("content-type", "application/json");
    if let Some(seconds) = retry_after {
        response = response.header("retry-after", seconds.to_string());
    }
    response.body(body).map_err(io::Error::other)
}
