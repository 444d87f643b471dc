//! What a file says of others is verified before it is written (D7).

use skychat_feed::{VerifiedFork, VerifiedRange, Violation};
use skychat_identity::KeyCache;
use skychat_proto::ids::FeedId;
use skychat_proto::record::{Record, tables};
use skychat_proto::sync::SyncMessage;
use skychat_store::KeptGroup;

use super::UpkeepError;

/// Every range of a group is its author's: bodies, chain and signature, as for one that comes over
/// a link. Proofs that a feed was written twice prove it. That a range goes on where its feed ends
/// is seen when it is written.
pub(super) fn verify(group: &KeptGroup, keys: &mut KeyCache) -> Result<(), UpkeepError> {
    for kept in &group.records {
        match &kept.record {
            Record::Range { range } => {
                let (feed, from, to) = (range.feed(), range.first(), range.last());
                VerifiedRange::verify(range.clone()).map_err(|source| UpkeepError::Forged {
                    what: format!("entries {} to {} of feed {feed}", from.get(), to.get()),
                    source,
                })?;
            }
            Record::Put {
                table: tables::FORK,
                key,
                value,
                ..
            } => fork(key, value, keys).map_err(|source| UpkeepError::Forged {
                what: "a proof that a feed was written twice".to_owned(),
                source,
            })?,
            _ => {}
        }
    }
    Ok(())
}

fn fork(key: &[u8], value: &[u8], keys: &mut KeyCache) -> Result<(), Violation> {
    let bad = |what: &dyn std::fmt::Display| Violation::new("RANGE-5", what.to_string());
    let message = SyncMessage::decode(value, keys).map_err(|error| bad(&error))?;
    let SyncMessage::ForkProof(proof) = message else {
        return Err(bad(&"another message than a proof"));
    };
    let named = key.try_into().ok().map(|key| FeedId::from_bytes(key, keys));
    if !matches!(named, Some(Ok(feed)) if feed == proof.feed) {
        return Err(bad(&"a proof about another feed than it is kept for"));
    }
    VerifiedFork::verify(*proof).map(drop)
}
