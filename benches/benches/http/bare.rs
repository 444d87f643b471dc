//! A responder of hyper and nothing else: it reads the request, and gives the same answer each
//! time.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::asking::Answer;

/// Serves this answer as long as the runtime lives.
pub(crate) async fn serve(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let body = Bytes::from(answer.body);
    let headers = answer.headers;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let (body, headers) = (body.clone(), headers.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (body, headers) = (body.clone(), headers.clone());
                async move {
                    // A body that is not read would cost the connection.
                    request.into_body().collect().await.unwrap();
                    let mut response = Response::new(Full::new(body));
                    *response.headers_mut() = headers;
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(async move {
                let connection = http1::Builder::new();
                let served = connection.serve_connection(TokioIo::new(stream), service);
                served.await.unwrap();
            });
        }
    });
    addr
}
