//! Reading the body of a request.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use skychat_api::{Code, ErrorBody, SendRequest};
use skychat_identity::PublicKey;
use skychat_proto::ids::MessageId;

use crate::answer::Refusal;

/// Bytes of a request body at most.
pub(crate) const MAX_BODY: usize = 256 * 1024;
/// How long a request body may take.
const BODY: Duration = Duration::from_secs(10);

/// The whole body.
pub(crate) async fn read(body: Body) -> Result<Bytes, Refusal> {
    let too_large = || {
        Refusal::new(
            Code::TooLarge,
            format!("the request has more than {MAX_BODY} bytes"),
        )
    };
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    match tokio::time::timeout(BODY, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(
            Code::BadRequest,
            "the body of the request broke off",
        )),
        Err(_) => Err(Refusal::new(
            Code::BadRequest,
            format!(
                "the body of the request took more than {} s",
                BODY.as_secs()
            ),
        )),
    }
}

/// Reads a request to send, and says which part of it is wrong.
pub(crate) fn parse_send(body: &[u8]) -> Result<SendRequest, Refusal> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let at = error.valid_up_to();
        Refusal::new(
            Code::BadText,
            format!("the body is not UTF-8: byte {at} is not text"),
        )
    })?;
    let request: SendRequest =
        serde_json::from_str(text).map_err(|error| Refusal(diagnose(text, &error)))?;
    if request.text.is_empty() {
        return Err(Refusal::new(Code::BadText, "the text is empty"));
    }
    if request
        .timeout_ms
        .is_some_and(|ms| !(1..=600_000).contains(&ms))
    {
        return Err(Refusal::new(Code::BadRequest, "timeout_ms is 1 to 600000"));
    }
    Ok(request)
}

/// The field that is malformed, if it is one with a code of its own.
fn diagnose(text: &str, error: &serde_json::Error) -> ErrorBody {
    let value: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let field = |name: &str| value.get(name).and_then(serde_json::Value::as_str);
    if let Some(Err(error)) = field("to").map(str::parse::<PublicKey>) {
        return ErrorBody::new(Code::MalformedKey, format!("to: {error}"));
    }
    if let Some(Err(error)) = field("message_id").map(str::parse::<MessageId>) {
        return ErrorBody::new(Code::MalformedId, format!("message_id: {error}"));
    }
    // The place is of use; what stands there may be text of a message and stays out.
    let what = match error.classify() {
        serde_json::error::Category::Data => "it is no request to send",
        _ => "it is no JSON",
    };
    let (line, column) = (error.line(), error.column());
    ErrorBody::new(
        Code::BadRequest,
        format!("the body, line {line}, column {column}: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use skychat_identity::SecretKey;

    fn code(body: &[u8]) -> Code {
        parse_send(body).unwrap_err().0.code
    }

    #[test]
    fn each_mistake_has_its_code() {
        let to = SecretKey::from_seed([7; 32]).public();
        let body = |rest: &str| format!("{{\"to\":\"{to}\",{rest}}}").into_bytes();
        assert!(parse_send(&body(r#""text":"hello""#)).is_ok());
        assert!(
            parse_send(&body(
                r#""text":"hello","timeout_ms":600000,"wait":"acked""#
            ))
            .is_ok()
        );
        assert_eq!(code(&body(r#""text":"""#)), Code::BadText);
        assert_eq!(
            code(&[&body(r#""text":"h"#)[..], b"\xff\"}"].concat()),
            Code::BadText
        );
        assert_eq!(
            code(&body(r#""text":"h","message_id":"xyz""#)),
            Code::MalformedId
        );
        assert_eq!(code(br#"{"to":"bob","text":"h"}"#), Code::MalformedKey);
        let zero = "00".repeat(32);
        let zero = format!(r#"{{"to":"{zero}","text":"h"}}"#);
        assert_eq!(code(zero.as_bytes()), Code::MalformedKey);
        for rest in [
            r#""text":5"#,
            r#""txt":"h""#,
            r#""text":"h","more":1"#,
            r#""text":"h","wait":"soon""#,
            r#""text":"h","timeout_ms":0"#,
            r#""text":"h","timeout_ms":600001"#,
            r#""text":"h","timeout_ms":1e400"#,
        ] {
            assert_eq!(code(&body(rest)), Code::BadRequest, "{rest}");
        }
        for body in [
            "",
            "[]",
            "null",
            "{",
            "{}",
            &"[".repeat(10_000),
            "\"\\ud800\"",
        ] {
            assert_eq!(code(body.as_bytes()), Code::BadRequest, "{body:.20}");
        }
    }

    #[test]
    fn errors_do_not_repeat_what_people_say() {
        let to = SecretKey::from_seed([7; 32]).public();
        let body = format!("{{\"to\":\"{to}\",\"text\":\"h\",\"wait\":\"marker-of-a-secret\"}}");
        let error = parse_send(body.as_bytes()).unwrap_err();
        assert!(!error.0.message.contains("marker"), "{}", error.0.message);
    }

    #[tokio::test]
    async fn a_body_is_limited() {
        assert!(read(Body::from(vec![b'x'; MAX_BODY])).await.is_ok());
        let error = read(Body::from(vec![b'x'; MAX_BODY + 1]))
            .await
            .unwrap_err();
        assert_eq!(error.0.code, Code::TooLarge);
    }
}
