//! Between the checked types and the frames.

use bytes::Bytes;
use prost::Message;
use skychat_identity::Signature;

use super::{Goodbye, Hello, LinkMessage};
use crate::error::DecodeError;
use crate::ids::{Incarnation, ServiceId};
use crate::limits::{
    MAX_AGENT, MAX_HELLO_LINE, MAX_HELLO_STATEMENTS, MAX_LINE, MAX_LINK_MESSAGE, MAX_SERVICES,
    MAX_STATEMENT, SIGNATURE_LEN,
};
use crate::open::WriterKind;
use crate::wire::generated::link as wire;
use crate::wire::generated::link::goodbye::Reason;
use crate::wire::generated::link::link_message::Message as Kind;
use crate::wire::{self as shapes, Rule, Shape, many, one};

const NAME: &str = "link message";

const HELLO: Shape = Shape {
    name: "hello",
    fields: &[
        one(1, "incarnation", Rule::Bytes(Incarnation::LEN)),
        one(2, "line", Rule::Bytes(MAX_HELLO_LINE * Incarnation::LEN)),
        one(3, "line_complete", Rule::Number(1)),
        one(4, "writer", Rule::Number(u8::MAX as u64)),
        many(5, "services", MAX_SERVICES, Rule::Packed(u16::MAX as u64)),
        one(6, "agent", Rule::Bytes(MAX_AGENT)),
        many(
            7,
            "statements",
            MAX_HELLO_STATEMENTS,
            Rule::Bytes(MAX_STATEMENT),
        ),
    ],
};
const PING: Shape = Shape {
    name: "ping",
    fields: &[one(1, "number", Rule::Fixed64)],
};
const GOODBYE: Shape = Shape {
    name: "goodbye",
    fields: &[one(1, "reason", Rule::Number(i32::MAX as u64))],
};
const LINE_REQUEST: Shape = Shape {
    name: "line request",
    fields: &[one(1, "incarnation", Rule::Bytes(Incarnation::LEN))],
};
const LINE: Shape = Shape {
    name: "line",
    fields: &[
        one(1, "incarnation", Rule::Bytes(Incarnation::LEN)),
        one(2, "ancestors", Rule::Bytes(MAX_LINE * Incarnation::LEN)),
        one(3, "complete", Rule::Number(1)),
    ],
};
const PROOF: Shape = Shape {
    name: "proof",
    fields: &[one(1, "signature", Rule::Bytes(SIGNATURE_LEN))],
};

pub(super) fn encode(message: &LinkMessage) -> Vec<u8> {
    let bytes = |id: &Incarnation| Bytes::copy_from_slice(id.as_bytes());
    let message = match message {
        LinkMessage::Hello(hello) => Some(Kind::Hello(wire::Hello {
            incarnation: bytes(&hello.incarnation),
            line: join(&hello.line),
            line_complete: hello.line_complete,
            writer: hello.writer.number().into(),
            services: hello.services.iter().map(|id| id.get().into()).collect(),
            agent: hello.agent.clone(),
            statements: hello.statements.clone(),
        })),
        LinkMessage::Ping(number) => Some(Kind::Ping(wire::Ping { number: *number })),
        LinkMessage::Pong(number) => Some(Kind::Pong(wire::Pong { number: *number })),
        LinkMessage::Goodbye(reason) => Some(Kind::Goodbye(wire::Goodbye {
            reason: match reason {
                Goodbye::Stopping => Reason::Stopping,
                Goodbye::Replaced => Reason::Replaced,
                Goodbye::Stalled => Reason::Stalled,
                Goodbye::Violation => Reason::Violation,
                Goodbye::NotAdmitted => Reason::NotAdmitted,
                Goodbye::Busy => Reason::Busy,
                Goodbye::Done => Reason::Done,
                Goodbye::Other => Reason::Unspecified,
            }
            .into(),
        })),
        LinkMessage::LineRequest { incarnation } => Some(Kind::LineRequest(wire::LineRequest {
            incarnation: bytes(incarnation),
        })),
        LinkMessage::Line {
            incarnation,
            ancestors,
            complete,
        } => Some(Kind::Line(wire::Line {
            incarnation: bytes(incarnation),
            ancestors: join(ancestors),
            complete: *complete,
        })),
        LinkMessage::Proof(signature) => Some(Kind::Proof(wire::Proof {
            signature: Bytes::copy_from_slice(signature.as_bytes()),
        })),
        LinkMessage::Unknown { .. } => None,
    };
    let bytes = wire::LinkMessage { message }.encode_to_vec();
    debug_assert!(bytes.is_empty() || decode(&bytes).is_ok(), "beyond a limit");
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<LinkMessage, DecodeError> {
    let (kind, bytes) = shapes::single(NAME, bytes, MAX_LINK_MESSAGE)?;
    Ok(match kind {
        1 => LinkMessage::Hello(hello(bytes)?),
        2 => LinkMessage::Ping(shapes::decode::<wire::Ping>(bytes, &PING)?.number),
        3 => LinkMessage::Pong(shapes::decode::<wire::Pong>(bytes, &PING)?.number),
        4 => {
            let goodbye: wire::Goodbye = shapes::decode(bytes, &GOODBYE)?;
            LinkMessage::Goodbye(match Reason::try_from(goodbye.reason) {
                Ok(Reason::Stopping) => Goodbye::Stopping,
                Ok(Reason::Replaced) => Goodbye::Replaced,
                Ok(Reason::Stalled) => Goodbye::Stalled,
                Ok(Reason::Violation) => Goodbye::Violation,
                Ok(Reason::NotAdmitted) => Goodbye::NotAdmitted,
                Ok(Reason::Busy) => Goodbye::Busy,
                Ok(Reason::Done) => Goodbye::Done,
                Ok(Reason::Unspecified) | Err(_) => Goodbye::Other,
            })
        }
        5 => {
            let request: wire::LineRequest = shapes::decode(bytes, &LINE_REQUEST)?;
            let incarnation = incarnation(LINE_REQUEST.name, &request.incarnation)?;
            LinkMessage::LineRequest { incarnation }
        }
        6 => {
            let line: wire::Line = shapes::decode(bytes, &LINE)?;
            LinkMessage::Line {
                incarnation: incarnation(LINE.name, &line.incarnation)?,
                ancestors: split(LINE.name, "ancestors", &line.ancestors)?,
                complete: line.complete,
            }
        }
        7 => {
            let proof: wire::Proof = shapes::decode(bytes, &PROOF)?;
            let signature = shapes::fixed(PROOF.name, "signature", &proof.signature)?;
            LinkMessage::Proof(Signature::from_bytes(signature))
        }
        kind => LinkMessage::Unknown { kind },
    })
}

fn hello(bytes: &[u8]) -> Result<Hello, DecodeError> {
    let name = HELLO.name;
    let hello: wire::Hello = shapes::decode(bytes, &HELLO)?;
    let writer = u8::try_from(hello.writer)
        .ok()
        .and_then(WriterKind::from_number)
        .ok_or(DecodeError::Value {
            name,
            field: "writer",
            problem: "that is none of the three",
        })?;
    let services: Vec<ServiceId> = hello
        .services
        .iter()
        .map(|id| u16::try_from(*id).map(ServiceId::new))
        .collect::<Result<_, _>>()
        .map_err(|_| DecodeError::Value {
            name,
            field: "services",
            problem: "above 65,535",
        })?;
    if !services.is_sorted_by(|one, next| one < next) {
        return Err(DecodeError::Value {
            name,
            field: "services",
            problem: "that do not ascend",
        });
    }
    Ok(Hello {
        incarnation: incarnation(name, &hello.incarnation)?,
        line: split(name, "line", &hello.line)?,
        line_complete: hello.line_complete,
        writer,
        services,
        agent: hello.agent,
        statements: hello.statements,
    })
}

fn incarnation(name: &'static str, bytes: &[u8]) -> Result<Incarnation, DecodeError> {
    shapes::fixed(name, "incarnation", bytes).map(Incarnation::from_bytes)
}

fn join(line: &[Incarnation]) -> Bytes {
    line.iter().flat_map(|id| id.to_bytes()).collect()
}

fn split(
    name: &'static str,
    field: &'static str,
    bytes: &[u8],
) -> Result<Vec<Incarnation>, DecodeError> {
    match bytes.as_chunks() {
        (ids, []) => Ok(ids.iter().copied().map(Incarnation::from_bytes).collect()),
        _ => Err(DecodeError::Length {
            name,
            field,
            found: bytes.len(),
            expected: Incarnation::LEN,
        }),
    }
}
