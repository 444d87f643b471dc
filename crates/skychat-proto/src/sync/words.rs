//! The closed vocabularies of synchronisation, with their numbers.

/// Defines a vocabulary: the enum and its numbers on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)+
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$word,)+];

            /// Its number on wire and disk; never changes.
            pub const fn number(self) -> u8 {
                match self {
                    $($name::$word => $number,)+
                }
            }

            /// The one with this number.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some($name::$word),)+
                    _ => None,
                }
            }

            /// Its name in logs and on the control surface.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($name::$word => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// Where acknowledged entries are kept (ACK-5).
    Kept {
        /// On disk, synced.
        Disk = 1, "disk";
        /// In memory: until that node stops.
        Memory = 2, "memory";
    }
}

words! {
    /// Why a receiver does not keep the body of an entry (ACK-2).
    Refusal {
        /// Larger than the receiver takes.
        TooLarge = 1, "too_large";
        /// The receiver blocked the author.
        Blocked = 2, "blocked";
        /// The receiver declined what was offered.
        Declined = 3, "declined";
        /// The author is not a member of the space.
        NotAMember = 4, "not_a_member";
        /// The author is muted in the space.
        Muted = 5, "muted";
        /// Its time to live was over.
        Expired = 6, "expired";
        /// It came without its body. Not final: it may be issued again.
        Absent = 7, "absent";
        /// It could not be opened. Not final: it may be sealed again, to another key.
        Unopenable = 8, "unopenable";
        /// Its suite, or one of its flags, is not known.
        Unsupported = 9, "unsupported";
        /// It lies past the last common entry of a forked feed.
        Forked = 10, "forked";
    }
}

words! {
    /// Why a receiver takes no more for now (SYNC-4).
    HoldCause {
        /// Too much in a short time.
        Rate = 1, "rate";
        /// What it keeps for the author is full.
        Quota = 2, "quota";
        /// Its disk is full.
        Disk = 3, "disk";
        /// Nobody there consented to hear from the author yet.
        Consent = 4, "consent";
        /// Its memory is full.
        Memory = 5, "memory";
    }
}
