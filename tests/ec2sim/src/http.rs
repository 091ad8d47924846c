//! The door for everyone else: HTTP on loopback.

use std::io;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::admin;
use crate::request::{Answer, REQUEST_ID};
use crate::sim::Sim;

/// Serves until the listener fails.
pub async fn serve(listener: TcpListener, sim: Sim) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let sim = sim.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(sim.clone(), request));
            // An error is a client that has gone, or a connection that a fault has closed.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An error here closes the connection without an answer.
async fn respond(sim: Sim, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let answer = match parts.uri.path().strip_prefix(admin::PREFIX) {
        Some(path) => Some(admin::answer(&sim, &parts.method, path, &body)),
        None => sim.answer(&parts, &body).await,
    };
    let Answer { status, content_type, body, request_id } =
        answer.ok_or_else(|| io::Error::other("a fault closes the connection"))?;
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .header(REQUEST_ID, request_id)
        .body(Full::from(body))
        .map_err(io::Error::other)
}
