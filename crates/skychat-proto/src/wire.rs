//! What happens to a protobuf message of a peer before prost sees it.
//!
//! prost allocates what it is told to: a repeated message of two bytes each becomes a struct of
//! two hundred. So every message is walked once, without allocating, against its [`Shape`]: how
//! often each field may stand there and how large it may be. A field of our own that stands there
//! twice is refused too (prost would take the last). Fields that are not known are skipped: they
//! belong to later versions.

use prost::Message;

use crate::error::DecodeError;

/// The code made from `proto/*.proto`; never leaves the crate.
#[allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "generated"
)]
pub(crate) mod generated {
    pub(crate) mod content {
        include!("gen/skychat.content.v1.rs");
    }
    pub(crate) mod link {
        include!("gen/skychat.link.v1.rs");
    }
    pub(crate) mod sync {
        include!("gen/skychat.sync.v1.rs");
    }
}

/// What a message may hold.
pub(crate) struct Shape {
    /// For errors.
    pub(crate) name: &'static str,
    /// At most [`MAX_FIELDS`], in any order.
    pub(crate) fields: &'static [Field],
}

/// What a field may hold.
pub(crate) struct Field {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
    /// How often it may stand there.
    pub(crate) times: usize,
    pub(crate) rule: Rule,
}

pub(crate) enum Rule {
    /// A varint, and its largest value.
    Number(u64),
    /// Eight bytes.
    Fixed64,
    /// Bytes or a string, and the largest length.
    Bytes(usize),
    /// Numbers, and the largest value of each; all in one field or one by one, as protobuf wants.
    /// Each counts as one time.
    Packed(u64),
    /// A message in the message.
    Message(&'static Shape),
}

/// Fields of one shape.
pub(crate) const MAX_FIELDS: usize = 8;

/// A field of `times` 1.
pub(crate) const fn one(number: u32, name: &'static str, rule: Rule) -> Field {
    many(number, name, 1, rule)
}

/// A field that may stand there `times` times.
pub(crate) const fn many(number: u32, name: &'static str, times: usize, rule: Rule) -> Field {
    Field {
        number,
        name,
        times,
        rule,
    }
}

/// Takes a frame apart: exactly one field, which is a message. Gives its number and its bytes.
pub(crate) fn single<'a>(
    name: &'static str,
    bytes: &'a [u8],
    limit: usize,
) -> Result<(u32, &'a [u8]), DecodeError> {
    if bytes.len() > limit {
        let found = bytes.len();
        return Err(DecodeError::TooLong { name, found, limit });
    }
    let mut walk = Walk(bytes);
    match (walk.next(name)?, walk.0.is_empty()) {
        (Some((number, Value::Bytes(message))), true) => Ok((number, message)),
        _ => Err(DecodeError::NotOne { name }),
    }
}

/// Checks a message against its shape, then decodes it.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8], shape: &Shape) -> Result<M, DecodeError> {
    check(bytes, shape)?;
    M::decode(bytes).map_err(|_| DecodeError::Protobuf { name: shape.name })
}

/// A field of fixed length.
pub(crate) fn fixed<const N: usize>(
    name: &'static str,
    field: &'static str,
    bytes: &[u8],
) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Length {
        name,
        field,
        found: bytes.len(),
        expected: N,
    })
}

/// Walks a message against its shape.
pub(crate) fn check(bytes: &[u8], shape: &Shape) -> Result<(), DecodeError> {
    let name = shape.name;
    let mut times = [0_usize; MAX_FIELDS];
    let mut walk = Walk(bytes);
    while let Some((number, value)) = walk.next(name)? {
        let known = shape.fields.iter().zip(&mut times);
        let Some((field, times)) = known.into_iter().find(|(field, _)| field.number == number)
        else {
            continue;
        };
        let count = match (&field.rule, &value) {
            (Rule::Packed(_), Value::Bytes(bytes)) => Walk(bytes).count(name)?,
            _ => 1,
        };
        *times = times.saturating_add(count);
        if *times > field.times {
            let limit = field.times;
            let field = field.name;
            return Err(DecodeError::TooMany { name, field, limit });
        }
        let too_large = |found: u64, limit: u64| {
            let field = field.name;
            match found <= limit {
                true => Ok(()),
                false => Err(DecodeError::TooLarge {
                    name,
                    field,
                    found,
                    limit,
                }),
            }
        };
        match (&field.rule, value) {
            (Rule::Number(limit) | Rule::Packed(limit), Value::Number(found)) => {
                too_large(found, *limit)?;
            }
            (Rule::Packed(limit), Value::Bytes(bytes)) => {
                let mut numbers = Walk(bytes);
                while let Some(found) = numbers.number(name)? {
                    too_large(found, *limit)?;
                }
            }
            (Rule::Fixed64, Value::Fixed64) => {}
            (Rule::Bytes(limit), Value::Bytes(bytes)) => {
                too_large(bytes.len() as u64, *limit as u64)?;
            }
            (Rule::Message(shape), Value::Bytes(bytes)) => check(bytes, shape)?,
            _ => return Err(DecodeError::Protobuf { name }),
        }
    }
    Ok(())
}

/// One field after the other.
pub(crate) struct Walk<'a>(pub(crate) &'a [u8]);

/// What stands behind a field's tag.
pub(crate) enum Value<'a> {
    Number(u64),
    Fixed64,
    Fixed32,
    Bytes(&'a [u8]),
}

impl<'a> Walk<'a> {
    /// The next field; `None` at the end.
    pub(crate) fn next(
        &mut self,
        name: &'static str,
    ) -> Result<Option<(u32, Value<'a>)>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        match self.field() {
            Some(field) => Ok(Some(field)),
            None => Err(DecodeError::Protobuf { name }),
        }
    }

    /// How many numbers stand there one after the other.
    fn count(mut self, name: &'static str) -> Result<usize, DecodeError> {
        let mut count = 0_usize;
        while self.number(name)?.is_some() {
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// The next of packed numbers; `None` at the end.
    fn number(&mut self, name: &'static str) -> Result<Option<u64>, DecodeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        match self.varint() {
            Some(number) => Ok(Some(number)),
            None => Err(DecodeError::Protobuf { name }),
        }
    }

    fn field(&mut self) -> Option<(u32, Value<'a>)> {
        let tag = u32::try_from(self.varint()?).ok()?;
        let number = tag >> 3;
        if number == 0 {
            return None;
        }
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.bytes(8).map(|_| Value::Fixed64)?,
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.bytes(len)?)
            }
            5 => self.bytes(4).map(|_| Value::Fixed32)?,
            // Groups, and what never was.
            _ => return None,
        };
        Some((number, value))
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// At most ten bytes, and no more than 64 bits.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
