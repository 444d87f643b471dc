//! How far catching up is: a bar for each peer on standard error, if that is a terminal.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use skychat_api::SyncProgress;
use skychat_identity::PublicKey;
use skychat_proto::ids::SpaceId;

/// Bars that are shown at once; what more there is goes on without.
const MOST: usize = 8;

/// The bars there are.
pub(super) struct CatchUp {
    bars: Option<MultiProgress>,
    shown: BTreeMap<(PublicKey, SpaceId), ProgressBar>,
}

impl CatchUp {
    /// None for programs.
    pub(super) fn new(json: bool) -> Self {
        let is_shown = !json && std::io::stderr().is_terminal();
        CatchUp {
            bars: is_shown.then(MultiProgress::new),
            shown: BTreeMap::new(),
        }
    }

    /// Whether progress is shown at all.
    pub(super) const fn is_shown(&self) -> bool {
        self.bars.is_some()
    }

    /// Moves the bar of this peer; a whole one goes.
    pub(super) fn show(&mut self, progress: &SyncProgress) {
        let Some(bars) = &self.bars else {
            return;
        };
        let of = (progress.peer, progress.space);
        if progress.held >= progress.offered {
            if let Some(bar) = self.shown.remove(&of) {
                bar.finish_and_clear();
            }
            return;
        }
        if !self.shown.contains_key(&of) && self.shown.len() >= MOST {
            return;
        }
        let bar = self.shown.entry(of).or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(progress.offered));
            if let Ok(style) = ProgressStyle::with_template(
                "catching up with {prefix} [{bar:30}] {human_pos} of {human_len}, {eta} left",
            ) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_prefix(progress.peer.short().to_string())
        });
        bar.set_length(progress.offered);
        bar.set_position(progress.held);
    }

    /// Prints something while the bars are out of the way.
    pub(super) fn beside<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bars {
            Some(bars) if !self.shown.is_empty() => bars.suspend(print),
            _ => print(),
        }
    }
}
