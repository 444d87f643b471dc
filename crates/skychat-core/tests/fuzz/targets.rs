//! Fuzz target of archives as a plain function: it takes arbitrary bytes, and panics if a rule is broken. `fuzz/` runs
//! it with a fuzzer, `tests/fuzz_corpus.rs` with the corpus.

#[path = "../archives/mod.rs"]
pub(crate) mod archives;

use std::io::{self, Read};

use archives::{ann, end, joined};
use skychat_core::upkeep::{ArchiveRead, UpkeepError, read_archive};

/// A file that comes in pieces.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        let read = self.0.read(buffer.get_mut(..length).unwrap_or_default())?;
        Ok(read)
    }
}

/// Reads a file in pieces of this size; what it holds, or why not, and how many records were handed over.
fn read(file: &[u8], piece: usize) -> (Result<ArchiveRead, String>, u64) {
    let mut records = 0;
    let found = read_archive(&mut Pieces(file, piece), ann().public(), &mut |group| {
        records += group.records.len() as u64;
        Ok(())
    });
    (
        found.map_err(|error: UpkeepError| format!("{error:?}")),
        records,
    )
}

/// A file is an archive or is refused, in whatever pieces it comes. As it is first, and then its lines with a last one
/// that fits them: so what stands behind hash and signature is reached.
pub(crate) fn import_archive(data: &[u8]) {
    let (found, records) = read(data, usize::MAX);
    assert_eq!(read(data, 7), (found.clone(), records));
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines
        .last()
        .is_some_and(|line| line.starts_with(r#"{"type":"end""#))
    {
        lines.pop();
    }
    lines.push(end(&lines, &ann()));
    let (mended, records) = read(joined(&lines).as_bytes(), usize::MAX);
    if let Ok(mended) = mended {
        assert_eq!(mended.public_key, ann().public());
        assert_eq!(
            mended.records, records,
            "all that is counted is handed over"
        );
    }
    if found.is_ok() {
        // Nobody but its owner makes another file that is taken.
        assert!(data.ends_with(b"\n") && joined(&lines).as_bytes() == data);
    }
}
