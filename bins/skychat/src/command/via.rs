//! `skychat send --via`: a message without a daemon.

use std::path::{Path, PathBuf};
use std::time::Duration;

use skychat_api::{Code, Delivery, SendResponse, V1};
use skychat_core::datadir::{
    self, CONFIG_LIMIT, IDENTITY_KEY, IDENTITY_VARIABLE, IdentitySources, PrivateFileError,
};
use skychat_core::one_shot;
use skychat_identity::{Address, SecretKey};
use skychat_proto::content::{Content, ContentError};
use skychat_proto::ids::MessageId;

use super::send::{read_text, sentence};
use crate::failure::Failure;
use crate::flags::{Common, Identity, Send};
use crate::screen::Screen;
use crate::target::Target;

/// How long the whole may take when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a key file that are read; a right one is far shorter.
const KEY_FILE_LIMIT: usize = 4_096;

pub(super) async fn run(common: &Common, send: Send, screen: &mut Screen) -> Result<(), Failure> {
    let via = send.via.as_deref().unwrap_or_default();
    let address: Address = via
        .parse()
        .map_err(|error: skychat_identity::AddressError| {
            Failure::caused(Code::MalformedAddress, &error)
        })?;
    if address.hints().is_empty() {
        return Err(Failure::new(
            Code::MalformedAddress,
            format!("--via {address} names no host and port to connect to"),
        ));
    }
    let text = match send.words.as_slice() {
        [text] => text,
        [to, text] => {
            let to: Target = to.parse()?;
            if to.key != address.key() {
                return Err(Failure::new(
                    Code::BadRequest,
                    format!("the recipient {} is not the key of --via", to.key.short()),
                ));
            }
            text
        }
        _ => return Err(Failure::new(Code::BadRequest, "say the text")),
    };
    if send
        .wait
        .is_some_and(|wait| wait == skychat_api::WaitFor::Accepted)
    {
        return Err(Failure::new(
            Code::BadRequest,
            "--via keeps nothing here, so a message is never just accepted: it is stored or not",
        ));
    }
    let text = read_text(text)?;
    let content = Content::text(text).map_err(|error| {
        let code = match error {
            ContentError::TooLong { .. } => Code::TooLarge,
            _ => Code::BadText,
        };
        Failure::caused(code, &error)
    })?;
    let identity = identity(common, &send.identity)?;
    let timeout = send.timeout.unwrap_or(TIMEOUT);
    let sent = one_shot::send(&identity, &address, content, send.message_id, timeout)
        .await
        .map_err(|error| failed(&error, send.message_id))?;
    let response = SendResponse {
        v: V1,
        message_id: sent.message,
        delivery: Delivery::Stored { kept: sent.kept },
        place: None,
        by: Some(sent.by),
        elapsed_us: Some(u64::try_from(sent.elapsed.as_micros()).unwrap_or(u64::MAX)),
        via: Some(sent.via.unwrap_or("tcp").to_owned()),
    };
    if screen.is_json() {
        screen.document(&response)
    } else {
        screen.line(sentence(&response))
    }
}

fn failed(error: &one_shot::OneShotError, message: Option<MessageId>) -> Failure {
    match (Failure::caused(error.code(), error), message) {
        (Failure::Said(body), Some(message)) => Failure::Said(Box::new(body.about(message, None))),
        (failure, _) => failure,
    }
}

/// The identity to send with. Nothing is written, and the directory is not locked: a daemon may be
/// running on it.
fn identity(common: &Common, given: &Identity) -> Result<SecretKey, Failure> {
    let environment = std::env::var_os(IDENTITY_VARIABLE);
    let config = match &given.config {
        Some(path) => Some((path.clone(), read(path, CONFIG_LIMIT)?)),
        None => None,
    };
    let path = super::data_dir(common)?.join(IDENTITY_KEY);
    let key_file = match datadir::read_private(&path, KEY_FILE_LIMIT) {
        Ok(content) => Some((path.clone(), content)),
        Err(PrivateFileError::Missing { .. }) => None,
        // One that cannot be used matters only when nothing else was given.
        Err(_) if given.ephemeral || given.sk.is_some() || config.is_some() => None,
        Err(error) => return Err(Failure::caused(error.code(), &error)),
    };
    let ephemeral = if given.ephemeral {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Failure::new(Code::Internal, format!("drawing a key: {error}")))?;
        Some(seed.into())
    } else {
        None
    };
    let sources = IdentitySources {
        flag: given.sk.as_deref(),
        environment: environment.as_deref(),
        config: config
            .as_ref()
            .map(|(path, content)| (PathBuf::as_path(path), content.as_slice())),
        key_file: key_file
            .as_ref()
            .map(|(path, content)| (path.as_path(), content.as_slice())),
        ephemeral,
    };
    let (secret, _) = datadir::resolve_identity(&sources)
        .map_err(|error| Failure::caused(error.code(), &error))?;
    Ok(secret)
}

fn read(path: &Path, limit: usize) -> Result<impl std::ops::Deref<Target = Vec<u8>>, Failure> {
    datadir::read_private(path, limit).map_err(|error| Failure::caused(error.code(), &error))
}
