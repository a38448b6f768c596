//! The checksum of IP, TCP and UDP: the ones' complement of the ones' complement sum of 16-bit words.

/// The sum, not complemented, of bytes in pairs; an odd last one counts as if a zero followed.
pub(crate) fn sum(bytes: &[u8], from: u32) -> u32 {
    let mut pairs = bytes.chunks_exact(2);
    let mut sum = from;
    for pair in pairs.by_ref() {
        if let [high, low] = *pair {
            sum = add(sum, u16::from_be_bytes([high, low]));
        }
    }
    match *pairs.remainder() {
        [last] => add(sum, u16::from_be_bytes([last, 0])),
        _ => sum,
    }
}

/// Adds a word. 2^16 of them and more do not overflow: what is carried is folded back in.
fn add(sum: u32, word: u16) -> u32 {
    let sum = sum.wrapping_add(u32::from(word));
    if sum > 0x7fff_0000 { (sum & 0xffff).wrapping_add(sum >> 16) } else { sum }
}

/// Folds a sum to 16 bits.
pub(crate) fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff).wrapping_add(sum >> 16);
    }
    // Below 2^16 now.
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The checksum of `bytes`, whose checksum field counts as it is.
pub(crate) fn of(bytes: &[u8]) -> u16 {
    !fold(sum(bytes, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_fold_and_odd_bytes_count() {
        assert_eq!(of(&[]), 0xffff);
        assert_eq!(of(&[0xff, 0xff]), 0);
        assert_eq!(of(&[0x12]), !0x1200);
        assert_eq!(fold(sum(&[0xff, 0xff, 0x00, 0x02], 0)), 2);
        // A header of IPv4 whose checksum is right sums up to nothing.
        let header =
            [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        assert_eq!(of(&header), 0);
    }

    #[test]
    fn the_longest_frame_does_not_overflow() {
        assert_eq!(fold(sum(&[0xff; 65_600], u32::from(u16::MAX))), 0xffff);
    }
}
