//! Copying what is long.

/// The longest piece that is copied at once. Above about this, `memcpy` of glibc leaves the work to `rep movsb`.
const PIECE: usize = 2048;

/// Appends `bytes`, as [`Vec::extend_from_slice`] does, at a speed that does not depend on where the two happen to lie.
///
/// On processors of AMD that name it fast (`fsrm`, from Zen 3 on) `rep movsb` takes about twenty times as long where the
/// target begins one to sixteen bytes further into its page than the source does: two gigabytes a second, measured in
/// `docs/benchmarks/tried.md`. Copied in pieces it is not used.
#[inline]
pub fn append(to: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.len() <= PIECE {
        to.extend_from_slice(bytes);
    } else {
        append_long(to, bytes);
    }
}

fn append_long(to: &mut Vec<u8>, bytes: &[u8]) {
    to.reserve(bytes.len());
    for piece in bytes.chunks(PIECE) {
        to.extend_from_slice(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECE, append};

    #[test]
    fn all_of_it_is_there_whatever_its_length() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 5 * PIECE + 7] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut to = vec![9; 3];
            append(&mut to, &bytes);
            assert_eq!((&to[..3], &to[3..]), (&[9; 3][..], &bytes[..]));
        }
    }
}
