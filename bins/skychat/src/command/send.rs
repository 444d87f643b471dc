//! `skychat send`: a message by way of the daemon.

use std::io::Read;

use skychat_api::{Code, Delivery, Kept, SendRequest, SendResponse, Status, WaitReason};
use skychat_client::{Client, ClientError};
use skychat_identity::PublicKey;

use crate::failure::Failure;
use crate::flags::Send;
use crate::screen::{GREEN, Screen, time};
use crate::target::Target;

/// The longest text that is read from stdin: a little more than a message may hold.
const MAX_TEXT: u64 = 64 * 1024;

pub(super) async fn run(client: &Client, send: Send, screen: &mut Screen) -> Result<(), Failure> {
    let [to, text] = send.words.as_slice() else {
        return Err(Failure::new(
            Code::BadRequest,
            "say the recipient and the text",
        ));
    };
    let to: Target = to.parse()?;
    let request = SendRequest {
        to: to.key,
        text: read_text(text)?,
        message_id: send.message_id,
        wait: send.wait,
        timeout_ms: send
            .timeout
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
    };
    match client.send(&request).await {
        Ok(sent) if screen.is_json() => screen.document(&sent),
        Ok(sent) => screen.line(sentence(&sent)),
        Err(ClientError::Answer(mut body)) if body.code == Code::TimedOut => {
            // Why it waits is a question of its own; without an answer the timeout stands alone.
            if let Ok(status) = client.status().await
                && let Some(why) = why(&status, to.key)
            {
                body.message = format!("{}; {why}", body.message);
            }
            Err(Failure::Said(body))
        }
        Err(error) => Err(error.into()),
    }
}

/// The text of a message: as given, or from stdin.
pub(super) fn read_text(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_TEXT.saturating_add(2))
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(Code::Internal, format!("reading stdin: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::new(
            Code::BadText,
            format!("stdin is not UTF-8: byte {at} is not text"),
        )
    })?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |rest| {
        rest.strip_suffix('\r').unwrap_or(rest)
    });
    if text.len() as u64 > MAX_TEXT {
        return Err(Failure::new(
            Code::TooLarge,
            format!("stdin has more than {MAX_TEXT} bytes, the most a message holds"),
        ));
    }
    Ok(text.to_owned())
}

/// What became of it, for people.
pub(super) fn sentence(sent: &SendResponse) -> String {
    match (&sent.delivery, sent.by) {
        (Delivery::Stored { kept }, Some(by)) => {
            let elapsed = sent.elapsed_us.unwrap_or_default();
            let via = sent.via.as_deref().unwrap_or("tcp");
            let memory = if *kept == Kept::Memory {
                ", kept in memory only"
            } else {
                ""
            };
            format!(
                "{} by {by} in {}.{:03} ms (via {via}){memory}",
                GREEN.of("Acked"),
                elapsed / 1_000,
                elapsed % 1_000,
            )
        }
        (delivery, _) => format!("{} {}", GREEN.of(capital(delivery.word())), sent.message_id),
    }
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + letters.as_str()
    })
}

/// Why what is owed to a peer waits, for people.
fn why(status: &Status, to: PublicKey) -> Option<String> {
    let peer = status.peers.iter().find(|peer| peer.peer == to)?;
    peer.waits.as_ref().map(explain)
}

/// A reason to wait, for people.
pub(super) fn explain(reason: &WaitReason) -> String {
    match reason {
        WaitReason::InFlight => "it is on its way".into(),
        WaitReason::NoAddress => {
            "no address of the peer is known (name it with skychatd --tcp-peer)".into()
        }
        WaitReason::Offline { since: Some(since) } => {
            format!("the peer is offline since {}", time(*since))
        }
        WaitReason::Offline { since: None } => "the peer was not reached yet".into(),
        WaitReason::NotAdmitted => "the peer does not admit this node".into(),
        WaitReason::Limited { cause } => format!("the peer is limiting us ({cause})"),
        WaitReason::NoKey => "no key of the peer is known yet".into(),
        _ => "it waits for a reason this version does not know".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skychat_api::V1;
    use skychat_identity::SecretKey;
    use skychat_proto::ids::MessageId;

    #[test]
    fn the_sentence_of_an_acknowledgement() {
        let by = SecretKey::from_seed([7; 32]).public();
        let mut sent = SendResponse {
            v: V1,
            message_id: MessageId::from_bytes([1; 16]),
            delivery: Delivery::Stored { kept: Kept::Disk },
            place: None,
            by: Some(by),
            elapsed_us: Some(3_014),
            via: Some("tcp".into()),
        };
        let plain = |sent: &SendResponse| anstream::adapter::strip_str(&sentence(sent)).to_string();
        assert_eq!(plain(&sent), format!("Acked by {by} in 3.014 ms (via tcp)"));
        sent.delivery = Delivery::Accepted;
        sent.by = None;
        assert_eq!(plain(&sent), format!("Accepted {}", "01".repeat(16)));
    }
}
