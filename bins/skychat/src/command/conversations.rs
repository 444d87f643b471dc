//! `skychat conversations`: with whom there is one.

use skychat_client::Client;

use crate::failure::Failure;
use crate::screen::{BOLD, DIM, Screen, body, time};

pub(super) async fn run(client: &Client, screen: &mut Screen) -> Result<(), Failure> {
    let all = client.conversations().await?;
    if screen.is_json() {
        return screen.document(&all);
    }
    for conversation in &all.conversations {
        let who = conversation
            .peer
            .map_or_else(|| conversation.space.to_string(), |peer| peer.to_string());
        let last = conversation.last.as_ref().map_or_else(String::new, |last| {
            let text = body(&last.body);
            let first = text.lines().next().unwrap_or_default().to_owned();
            format!("  {} {first}", DIM.of(time(last.time)))
        });
        screen.line(format_args!(
            "{}  {:>6}{last}",
            BOLD.of(who),
            conversation.messages
        ))?;
    }
    Ok(())
}
