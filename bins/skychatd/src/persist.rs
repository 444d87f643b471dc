//! What is kept, as it is written.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::time::Duration;

use skychat_core::Retention;
use skychat_proto::limits::MAX_CONTENT;

use crate::failure::Failure;
use crate::settings::Layer;
use crate::whitelist;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MB: u64 = 1024 * 1024;

/// Reads the settings of what is kept.
pub(crate) fn resolve(layer: &Layer) -> Result<Retention, Failure> {
    if layer
        .persist_db
        .as_ref()
        .is_some_and(|path| !path.is_empty())
    {
        return Err(Failure::config(
            "--persist-db: the store is no single file; say with --data-dir where it is kept",
        ));
    }
    let usual = Retention::default();
    Ok(Retention {
        largest: match layer.persist_max_size {
            None => usual.largest,
            Some(bytes) => largest(bytes)?,
        },
        per_peer_rate: layer.persist_per_peer_rate.and_then(NonZeroU32::new),
        per_peer_cap: layer.persist_per_peer_cap.and_then(NonZeroU64::new),
        total: match layer.persist_total_cap {
            None => usual.total,
            Some(megabytes) => total(megabytes)?,
        },
        ttl: layer
            .persist_ttl
            .filter(|days| *days > 0)
            .map(|days| DAY.saturating_mul(days)),
        only: match layer.persist_whitelist.as_deref() {
            None => None,
            Some("") => {
                return Err(Failure::config(
                    "--persist-whitelist is empty: name a file (an empty file keeps nobody's \
                     messages), or leave it out to keep everybody's",
                ));
            }
            Some(name) => Some(whitelist::file(Path::new(name), "--persist-whitelist")?),
        },
        ..usual
    })
}

fn largest(bytes: u64) -> Result<usize, Failure> {
    let found = usize::try_from(bytes).ok();
    found
        .filter(|bytes| (1..=MAX_CONTENT).contains(bytes))
        .ok_or_else(|| {
            Failure::config(format!(
                "--persist-max-size: found {bytes}, expected 1 to {MAX_CONTENT} bytes"
            ))
        })
}

fn total(megabytes: u64) -> Result<u64, Failure> {
    let least = Retention::MIN_TOTAL / MB;
    let bytes = megabytes.checked_mul(MB);
    bytes
        .filter(|bytes| *bytes >= Retention::MIN_TOTAL)
        .ok_or_else(|| {
            Failure::config(format!(
                "--persist-total-cap: found {megabytes}, expected at least {least} (MB)"
            ))
        })
}
