//! What is of no use any more: sealed bodies that are on the disk of whom they are for (JRN-3).

use skychat_proto::ids::{FeedId, Position, Seq};
use skychat_proto::record::{Parts, Record};
use skychat_proto::sync::Refusal;

use crate::engine::Engine;

/// Bytes of a drop in the journal, about.
const DROP_BYTES: usize = 128;

impl Engine {
    /// Gives away the sealed bodies of entries of ours that a `Disk` acknowledgement newly covers, in the batch that
    /// stores the acknowledged position. What was refused is left as it is: its message may be issued again.
    pub(crate) fn drop_acknowledged(
        &mut self,
        feed: FeedId,
        from: Position,
        head: Position,
        refused: &[(Seq, Refusal)],
    ) {
        for (from, to) in spans_without(from, head, refused.iter().map(|(seq, _)| *seq)) {
            self.batches.push(
                Record::Drop {
                    feed,
                    from,
                    to,
                    parts: Parts::Bodies,
                },
                DROP_BYTES,
            );
        }
    }
}

/// What is left of a span without these entries, which are in order.
fn spans_without(
    from: Position,
    to: Position,
    without: impl Iterator<Item = Seq>,
) -> Vec<(Position, Position)> {
    let (mut spans, mut at) = (Vec::new(), from);
    for seq in without {
        if seq.position() > at {
            spans.push((at, seq.position().min(to)));
        }
        at = at.max(seq.after());
    }
    if to > at {
        spans.push((at, to));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(from: u64, to: u64, without: &[u64]) -> Vec<(u64, u64)> {
        let without = without.iter().map(|seq| Seq::new(*seq));
        let spans = spans_without(Position::new(from), Position::new(to), without);
        spans
            .into_iter()
            .map(|(from, to)| (from.get(), to.get()))
            .collect()
    }

    #[test]
    fn what_was_refused_is_left_out() {
        assert_eq!(spans(2, 9, &[]), [(2, 9)]);
        assert_eq!(spans(2, 9, &[2, 3, 6, 8]), [(4, 6), (7, 8)]);
        assert_eq!(spans(2, 9, &[4]), [(2, 4), (5, 9)]);
        assert_eq!(spans(2, 3, &[2]), []);
        assert_eq!(spans(2, 2, &[]), []);
    }
}
