//! From the protocol's words to those of the control surface.

use skychat_api as api;
use skychat_proto::open::WriterKind;
use skychat_proto::sync::{HoldCause, Kept, Refusal};

pub(crate) fn fail_cause(refusal: Refusal) -> api::FailCause {
    match refusal {
        Refusal::TooLarge => api::FailCause::TooLarge,
        Refusal::Blocked => api::FailCause::Blocked,
        Refusal::Declined => api::FailCause::Declined,
        Refusal::NotAMember => api::FailCause::NotAMember,
        Refusal::Muted => api::FailCause::Muted,
        Refusal::Expired => api::FailCause::Expired,
        Refusal::Absent => api::FailCause::Absent,
        Refusal::Unopenable => api::FailCause::Unopenable,
        Refusal::Unsupported => api::FailCause::Unsupported,
        Refusal::Forked => api::FailCause::Forked,
    }
}

pub(crate) fn kept(kept: Kept) -> api::Kept {
    match kept {
        Kept::Disk => api::Kept::Disk,
        Kept::Memory => api::Kept::Memory,
    }
}

pub(crate) fn limit_cause(cause: HoldCause) -> api::LimitCause {
    match cause {
        HoldCause::Rate => api::LimitCause::Rate,
        HoldCause::Quota => api::LimitCause::Quota,
        HoldCause::Disk => api::LimitCause::Disk,
        HoldCause::Consent => api::LimitCause::Consent,
        HoldCause::Memory => api::LimitCause::Memory,
    }
}

pub(crate) fn writer_kind(kind: WriterKind) -> api::WriterKind {
    match kind {
        WriterKind::Node => api::WriterKind::Node,
        WriterKind::Memory => api::WriterKind::Memory,
        WriterKind::OneShot => api::WriterKind::OneShot,
    }
}
