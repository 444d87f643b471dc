//! Answers: JSON documents, and errors by the one table.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde::Serialize;
use skychat_api::{Code, ErrorBody};

/// A JSON document as the body of an answer.
pub(crate) struct Document<T>(pub(crate) T);

impl<T: Serialize> IntoResponse for Document<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// An error as an answer; its status is the one of its code.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) ErrorBody);

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self(ErrorBody::new(code, message))
    }
}

impl From<ErrorBody> for Refusal {
    fn from(body: ErrorBody) -> Self {
        Self(body)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(body) = self;
        let status =
            StatusCode::from_u16(body.code.http()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &body);
        let headers = response.headers_mut();
        if body.code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if body.code.is_temporary() || body.retry_after_ms.is_some() {
            let seconds = body
                .retry_after_ms
                .map_or(1, |ms| ms.div_ceil(1_000).max(1));
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn json<T: Serialize>(status: StatusCode, document: &T) -> Response {
    let (status, bytes) = match serde_json::to_vec(document) {
        Ok(bytes) => (status, Bytes::from(bytes)),
        Err(error) => {
            tracing::error!(%error, "http: a document could not be written as JSON");
            let body = br#"{"v":1,"code":"internal","message":"the answer could not be written"}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from_static(body))
        }
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
