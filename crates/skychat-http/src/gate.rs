//! The one gate in front of every route: who may speak to this server at all.
//!
//! A page in a browser can make its visitor's browser send requests to loopback, and a name it
//! controls can point there. So a request is judged before it is routed, in this order: the `Host`
//! it believes to speak to, the `Origin` it comes from, what the browser says about the site, the
//! token. Each of them has to be right; a wrong one gets an answer that says nothing about the
//! others.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::{Method, Request};
use skychat_api::{Code, ErrorBody};
use subtle::ConstantTimeEq;

const INTERNAL: HeaderName = HeaderName::from_static("x-skychat-internal-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The secret that opens the control surface.
pub struct Token(Box<[u8]>);

impl Token {
    /// Shortest token that is taken, in bytes: 128 bits of hex digits.
    pub const MIN: usize = 32;
    /// Longest token that is taken, in bytes.
    pub const MAX: usize = 256;

    /// A token from its text.
    ///
    /// # Errors
    /// [`BadToken`] when it is too short to be a secret, or has characters that cannot stand in a
    /// header.
    pub fn new(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(Self::MIN..=Self::MAX).contains(&text.len()) || !printable {
            return Err(BadToken { length: text.len() });
        }
        Ok(Self(text.as_bytes().into()))
    }

    /// Whether `presented` is this token, in time that depends on the lengths only.
    fn matches(&self, presented: &[u8]) -> bool {
        self.0.ct_eq(presented).into()
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Text that cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 32 to 256 printable ASCII characters, found {length}")]
pub struct BadToken {
    /// How long it was, in bytes.
    pub length: usize,
}

/// Text that cannot be an entry of the Host or Origin list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no {expected}")]
pub struct BadName {
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: &'static str,
}

/// What is let through to the routes.
#[derive(Debug)]
pub struct Gate {
    hosts: BTreeSet<String>,
    origins: BTreeSet<String>,
    token: Token,
    internal: Option<Token>,
}

impl Gate {
    /// A gate that lets through who speaks to `bound` by a loopback name or by that very address,
    /// and presents `token`.
    #[must_use]
    pub fn new(bound: SocketAddr, token: Token) -> Self {
        let port = bound.port();
        let mut hosts: BTreeSet<String> = ["localhost", "127.0.0.1", "[::1]"]
            .into_iter()
            .map(|name| format!("{name}:{port}"))
            .collect();
        if !bound.ip().is_unspecified() {
            hosts.insert(bound.to_string());
        }
        if port == 80 {
            hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(str::to_owned));
        }
        Self {
            hosts,
            origins: BTreeSet::new(),
            token,
            internal: None,
        }
    }

    /// Takes this secret too, in the header `X-Skychat-Internal-Token` and in place of the token:
    /// for a program in front of this one that answers for who may use it. Host and Origin are
    /// judged all the same.
    pub fn allow_internal(&mut self, token: Token) {
        self.internal = Some(token);
    }

    /// Lets through requests to this `Host` too: `name`, `name:port` or `[v6]:port`, compared
    /// exactly but for the case of letters.
    ///
    /// # Errors
    /// [`BadName`] when it has a scheme, a path, a user or blanks.
    pub fn allow_host(&mut self, host: &str) -> Result<(), BadName> {
        if !is_authority(host) {
            return Err(BadName {
                found: host.into(),
                expected: "host name with optional port",
            });
        }
        self.hosts.insert(host.to_ascii_lowercase());
        Ok(())
    }

    /// Lets through requests of pages of this origin: `https://name[:port]`.
    ///
    /// # Errors
    /// [`BadName`] when it is not an `http` or `https` origin; `null` never is one.
    pub fn allow_origin(&mut self, origin: &str) -> Result<(), BadName> {
        let authority = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        if !authority.is_some_and(is_authority) {
            return Err(BadName {
                found: origin.into(),
                expected: "origin of scheme and host",
            });
        }
        self.origins.insert(origin.to_ascii_lowercase());
        Ok(())
    }

    /// Judges a request by its head.
    ///
    /// # Errors
    /// What to answer: `forbidden`, `unauthorized`, `unsupported_media_type`.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), ErrorBody> {
        let headers = request.headers();
        let host = one(headers, &HOST).map(str::to_ascii_lowercase);
        let authority = request
            .uri()
            .authority()
            .map(|name| name.as_str().to_ascii_lowercase());
        let known = |name: &String| self.hosts.contains(name);
        if !host.as_ref().is_some_and(known) || !authority.as_ref().is_none_or(known) {
            return Err(ErrorBody::new(
                Code::Forbidden,
                "this server does not answer to that Host",
            ));
        }
        if headers.contains_key(ORIGIN) {
            let origin = one(headers, &ORIGIN).map(str::to_ascii_lowercase);
            if !origin.is_some_and(|origin| self.origins.contains(&origin)) {
                return Err(ErrorBody::new(
                    Code::Forbidden,
                    "this server takes no requests from pages of that Origin",
                ));
            }
        }
        if headers
            .get_all(&SEC_FETCH_SITE)
            .iter()
            .any(|site| site == "cross-site")
        {
            return Err(ErrorBody::new(
                Code::Forbidden,
                "this server takes no requests from other sites",
            ));
        }
        if !self.authorized(headers) {
            return Err(unauthorized());
        }
        if request.method() == Method::POST && !is_json(headers) {
            return Err(ErrorBody::new(
                Code::UnsupportedMediaType,
                "the body of a POST is application/json",
            ));
        }
        Ok(())
    }

    fn authorized(&self, headers: &HeaderMap) -> bool {
        let internal = one(headers, &INTERNAL).zip(self.internal.as_ref());
        internal.is_some_and(|(found, token)| token.matches(found.as_bytes()))
            || self.bears(headers)
    }

    fn bears(&self, headers: &HeaderMap) -> bool {
        let Some(value) = one(headers, &AUTHORIZATION) else {
            return false;
        };
        let Some((scheme, token)) = value.split_once(' ') else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && self.token.matches(token.as_bytes())
    }
}

/// The one answer to whoever is not authorized, whatever the reason.
fn unauthorized() -> ErrorBody {
    ErrorBody::new(
        Code::Unauthorized,
        "present the token of the data directory: Authorization: Bearer <token>",
    )
}

/// The value of a header that stands there exactly once.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        None
    } else {
        value.to_str().ok()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    one(headers, &CONTENT_TYPE)
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case("application/json"))
}

/// Whether it is a host name or address with an optional port, and nothing else.
fn is_authority(text: &str) -> bool {
    let plain = text.bytes().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
    });
    plain
        && !text.is_empty()
        && text.len() <= 255
        && text.parse::<axum::http::uri::Authority>().is_ok()
}

#[cfg(test)]
mod tests;
