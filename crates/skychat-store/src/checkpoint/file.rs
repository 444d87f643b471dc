//! The file of a checkpoint: a header, then sealed chunks.

use std::io;

use chacha20::ChaCha20Rng;
use sha2::{Digest, Sha256};
use skychat_seal::{STORE_OVERHEAD, StoreKey};
use zeroize::Zeroizing;

use super::{FileHash, State};
use crate::disk::Disk;
use crate::layout::{CHECKPOINT_MAGIC, CRC_LEN, SegmentMark, checked, checkpoint_path, put_sum};

/// Length of the header.
const HEAD_LEN: usize = 146;
/// Bytes of items in one chunk.
const CHUNK: usize = 1024 * 1024;
/// Bytes of a length.
const LENGTH: usize = 4;

/// The bytes before the checksum of a header: part of the place that chunks are sealed for.
type Front = [u8; HEAD_LEN - CRC_LEN];

fn encode_head(mark: &SegmentMark, chunks: u64) -> Vec<u8> {
    // The generation is that of the segment, not of the state.
    let mark = SegmentMark {
        generation: 0,
        ..*mark
    };
    let mut head = Vec::with_capacity(HEAD_LEN);
    mark.put_fields(CHECKPOINT_MAGIC, &mut head);
    head.extend_from_slice(&chunks.to_be_bytes());
    put_sum(&mut head, 0, &[]);
    head
}

/// The state that it is of, and how many chunks follow.
fn decode_head(head: &[u8]) -> Option<(SegmentMark, u64)> {
    let mut fields = checked(head, HEAD_LEN, CHECKPOINT_MAGIC, &[]).ok()?;
    let mark = SegmentMark::read_fields(&mut fields)?;
    let chunks = fields.u64()?;
    Some((mark, chunks))
}

fn place<'a>(front: &'a Front, number: &'a [u8; 8]) -> [&'a [u8]; 3] {
    [b"skychat/v1/journal-checkpoint", front, number]
}

/// Writes the checkpoint of a state and syncs it, with its name; gives what it is journalled as.
pub(super) fn write(
    disk: &dyn Disk,
    key: &StoreKey,
    rng: &mut ChaCha20Rng,
    state: &State,
) -> io::Result<FileHash> {
    let path = checkpoint_path(state.mark.segment);
    let items = state.to_items();
    let chunks = items.len().div_ceil(CHUNK) as u64;
    let head = encode_head(&state.mark, chunks);
    let Some(front) = head.first_chunk() else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    disk.create(&path)?;
    disk.write_at(&path, 0, &head)?;
    let mut hash = Sha256::new_with_prefix(&head);
    let mut at = head.len() as u64;
    let mut out = Vec::with_capacity(
        items
            .len()
            .min(CHUNK)
            .saturating_add(LENGTH + STORE_OVERHEAD),
    );
    for (number, chunk) in (0_u64..).zip(items.chunks(CHUNK)) {
        // At most 1 MiB and 40.
        let length = u32::try_from(chunk.len().saturating_add(STORE_OVERHEAD)).unwrap_or(u32::MAX);
        out.clear();
        out.extend_from_slice(&length.to_be_bytes());
        key.seal(rng, &place(front, &number.to_be_bytes()), chunk, &mut out)
            .map_err(io::Error::other)?;
        disk.write_at(&path, at, &out)?;
        hash.update(&out);
        at = at.saturating_add(out.len() as u64);
    }
    disk.sync(&path)?;
    disk.sync_dir("")?;
    Ok(hash.finalize().into())
}

/// Reads the checkpoint of a segment with this header, and what it has to be journalled as;
/// `None`: there is none that is valid.
pub(crate) fn read(
    disk: &dyn Disk,
    key: &StoreKey,
    header: &SegmentMark,
) -> Option<(State, FileHash)> {
    let path = checkpoint_path(header.segment);
    let length = disk.len(&path).ok()?;
    let mut head = [0; HEAD_LEN];
    disk.read_at(&path, 0, &mut head).ok()?;
    let (mark, chunks) = decode_head(&head)?;
    let expected = SegmentMark {
        generation: 0,
        ..*header
    };
    let front = head.first_chunk()?;
    if mark != expected {
        return None;
    }
    let mut hash = Sha256::new_with_prefix(head);
    let mut at = HEAD_LEN as u64;
    // No longer than the file.
    let mut items = Zeroizing::new(Vec::with_capacity(usize::try_from(length).ok()?));
    for number in 0..chunks {
        let mut sealed = [0; LENGTH];
        disk.read_at(&path, at, &mut sealed).ok()?;
        hash.update(sealed);
        let sealed = u32::from_be_bytes(sealed);
        at = at.checked_add(LENGTH as u64)?;
        let end = at.checked_add(sealed.into())?;
        let sealed = usize::try_from(sealed).ok()?;
        if sealed > CHUNK.saturating_add(STORE_OVERHEAD) || end > length {
            return None;
        }
        let mut chunk = vec![0; sealed];
        disk.read_at(&path, at, &mut chunk).ok()?;
        hash.update(&chunk);
        let opened = key
            .open(&place(front, &number.to_be_bytes()), &chunk)
            .ok()?;
        items.extend_from_slice(&opened);
        at = end;
    }
    if at != length {
        return None;
    }
    let state = State::from_items(*header, &items)?;
    Some((state, hash.finalize().into()))
}

#[cfg(test)]
mod tests;
