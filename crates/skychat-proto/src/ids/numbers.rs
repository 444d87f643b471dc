//! Numbers with a meaning. Arithmetic is checked or saturates; none of it wraps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Defines one number: the type, its value, decimal text and a plain number in serde.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// From its value.
            pub const fn new(value: $inner) -> Self {
                Self(value)
            }

            /// Its value.
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        /// Decimal digits.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number! {
    /// Which of an author's feeds in a space. Spec: ID-1.
    Stream, u8
}

impl Stream {
    /// Roster operations. A direct space has none.
    pub const CONTROL: Stream = Stream(0);
    /// Content, and the entries that state its contexts.
    pub const MESSAGES: Stream = Stream(1);
}

number! {
    /// The index of an entry in its feed. The first entry is 0, the last possible one
    /// [`Seq::MAX`].
    Seq, u64
}

impl Seq {
    /// The first entry.
    pub const FIRST: Seq = Seq(0);
    /// The last one that decoders accept: [`MAX_SEQ`](crate::limits::MAX_SEQ).
    pub const MAX: Seq = Seq(crate::limits::MAX_SEQ);

    /// The entry after it; `None` after [`Seq::MAX`].
    pub const fn next(self) -> Option<Seq> {
        if self.0 < crate::limits::MAX_SEQ {
            Some(Seq(self.0 + 1))
        } else {
            None
        }
    }

    /// The entry before it; `None` before the first.
    pub const fn previous(self) -> Option<Seq> {
        match self.0.checked_sub(1) {
            Some(n) => Some(Seq(n)),
            None => None,
        }
    }

    /// The entry `n` later; `None` past [`Seq::MAX`].
    pub const fn checked_add(self, n: u64) -> Option<Seq> {
        match self.0.checked_add(n) {
            Some(sum) if sum <= crate::limits::MAX_SEQ => Some(Seq(sum)),
            _ => None,
        }
    }

    /// The position before this entry: how many entries come before it.
    pub const fn position(self) -> Position {
        Position(self.0)
    }

    /// The position after this entry: how many entries there are up to and with it.
    pub const fn after(self) -> Position {
        Position(self.0.saturating_add(1))
    }
}

number! {
    /// A place between entries, as a *count*: `n` means entries 0 to `n - 1`, and 0 means nothing.
    /// Heads, tips and the bounds of spans are positions.
    Position, u64
}

impl Position {
    /// Before the first entry.
    pub const START: Position = Position(0);

    /// Whether nothing comes before it.
    pub const fn is_start(self) -> bool {
        self.0 == 0
    }

    /// The entry just before it, the last of the counted ones; `None` at the start.
    pub const fn last(self) -> Option<Seq> {
        match self.0.checked_sub(1) {
            Some(n) => Some(Seq(n)),
            None => None,
        }
    }

    /// The entry that begins here.
    pub const fn next(self) -> Seq {
        Seq(self.0)
    }

    /// `n` entries further on; `None` if that is past every entry there can be.
    pub const fn checked_add(self, n: u64) -> Option<Position> {
        match self.0.checked_add(n) {
            Some(sum) if sum <= crate::limits::MAX_POSITION => Some(Position(sum)),
            _ => None,
        }
    }

    /// `n` entries further on, at most [`MAX_POSITION`](crate::limits::MAX_POSITION).
    pub const fn saturating_add(self, n: u64) -> Position {
        match self.checked_add(n) {
            Some(position) => position,
            None => Position(crate::limits::MAX_POSITION),
        }
    }

    /// `n` entries back, at least the start.
    pub const fn saturating_sub(self, n: u64) -> Position {
        Position(self.0.saturating_sub(n))
    }

    /// How many entries lie between `earlier` and this; 0 if that is later.
    pub const fn entries_since(self, earlier: Position) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether this entry is one of those counted.
    pub const fn covers(self, seq: Seq) -> bool {
        seq.0 < self.0
    }
}

number! {
    /// A service of the link: who gets the frame. Spec: LINK-2.
    ServiceId, u16
}

impl ServiceId {
    /// The link itself: hello, ping, goodbye ([`crate::link`]).
    pub const LINK: ServiceId = ServiceId(0);
    /// Control of synchronisation ([`crate::sync`]).
    pub const SYNC: ServiceId = ServiceId(1);
    /// Ranges of feeds ([`crate::range`]).
    pub const RANGE: ServiceId = ServiceId(2);
    /// The live lane; reserved.
    pub const LIVE: ServiceId = ServiceId(3);
    /// Wrapped keys; reserved.
    pub const WRAP: ServiceId = ServiceId(4);
}

number! {
    /// A driver's name of a link, never used twice in a process.
    LinkId, u64
}

number! {
    /// A batch of records that the engine handed to the store.
    BatchId, u64
}

impl BatchId {
    /// The one after it; stays at the last one there is.
    #[must_use]
    pub const fn next(self) -> BatchId {
        BatchId(self.0.saturating_add(1))
    }
}

number! {
    /// The number of a durable event. Dense, in the order of the journal; the first is 1, and 0
    /// is "before the first". Spec: EVENT-1.
    EventSeq, u64
}

impl EventSeq {
    /// Before the first event.
    pub const ZERO: EventSeq = EventSeq(0);

    /// The one after it; stays at the last one there is.
    #[must_use]
    pub const fn next(self) -> EventSeq {
        EventSeq(self.0.saturating_add(1))
    }

    /// `n` events later; stays at the last one there is.
    #[must_use]
    pub const fn saturating_add(self, n: u64) -> EventSeq {
        EventSeq(self.0.saturating_add(n))
    }

    /// `n` events earlier, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, n: u64) -> EventSeq {
        EventSeq(self.0.saturating_sub(n))
    }
}

number! {
    /// A table of machine state in the journal ([`crate::record::tables`]). Spec: JRN-2.
    TableId, u8
}
