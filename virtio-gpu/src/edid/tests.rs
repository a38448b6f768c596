use super::*;
use alloc::string::ToString;

/// Sets the last byte so that the sum is right.
fn seal(mut block: [u8; BLOCK_LEN]) -> [u8; BLOCK_LEN] {
    block[127] = 0;
    block[127] = block.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    block
}

/// A monitor of our own: 1920x1080 at 60 Hz (CEA mode 16's timing), "Test 24".
fn sample() -> [u8; BLOCK_LEN] {
    let mut block = [0; BLOCK_LEN];
    block[..8].copy_from_slice(&HEADER);
    // V=22, I=9, O=15.
    block[8..10].copy_from_slice(&(22 << 10 | 9 << 5 | 15_u16).to_be_bytes());
    block[10..12].copy_from_slice(&0x1234_u16.to_le_bytes());
    block[12..16].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
    block[16..20].copy_from_slice(&[1, 35, 1, 4]);
    block[21..23].copy_from_slice(&[52, 29]);
    block[54..72].copy_from_slice(&[
        0x02, 0x3a, 0x80, 0x18, 0x71, 0x38, 0x2d, 0x40, 0x58, 0x2c, 0x45, 0, 0, 0, 0, 0, 0, 0x1e,
    ]);
    block[72..77].copy_from_slice(&[0, 0, 0, 0xfd, 0]);
    block[90..108].copy_from_slice(b"\0\0\0\xfc\0Test 24\n     ");
    block[126] = 2;
    seal(block)
}

fn with(change: impl FnOnce(&mut [u8; BLOCK_LEN])) -> Edid {
    let mut block = sample();
    change(&mut block);
    Edid::parse(&seal(block)).unwrap()
}

#[test]
fn everything_is_read() {
    let edid = Edid::parse(&sample()).unwrap();
    assert_eq!(edid.manufacturer.as_str(), "VIO");
    assert_eq!((edid.product, edid.serial), (0x1234, 0xdead_beef));
    assert_eq!((edid.year, edid.version, edid.extensions), (2025, (1, 4), 2));
    assert_eq!(edid.size_cm, Some((52, 29)));
    assert_eq!(edid.name.unwrap().as_str(), "Test 24");
    let mode = edid.preferred.unwrap();
    assert_eq!((mode.width, mode.height, mode.interlaced), (1920, 1080, false));
    assert_eq!((mode.pixel_clock_khz, mode.refresh_millihertz), (148_500, 60_000));
    assert_eq!(mode.to_string(), "1920x1080 at 60.00 Hz");
}

#[test]
fn what_is_no_edid_is_refused_by_name() {
    let sample = sample();
    for len in 0..BLOCK_LEN {
        assert_eq!(Edid::parse(&sample[..len]), Err(EdidError::TooShort { len }));
    }
    for index in 0..BLOCK_LEN {
        let mut block = sample;
        block[index] = block[index].wrapping_add(5);
        let expected = if index < 8 { EdidError::NoHeader } else { EdidError::BadChecksum { sum: 5 } };
        assert_eq!(Edid::parse(&block), Err(expected), "byte {index}");
    }
}

#[test]
fn more_than_a_block_may_follow() {
    let mut long = [0xa5; 1024];
    long[..BLOCK_LEN].copy_from_slice(&sample());
    assert_eq!(Edid::parse(&long), Edid::parse(&sample()));
}

#[test]
fn modes_with_every_bit_and_with_none() {
    for (change, expected) in [
        // (bytes 0-7 of the timing, flags) → (width, height, interlaced), millihertz
        ([0, 0, 0x80, 0x18, 0x71, 0x38, 0x2d, 0x40, 0x1e], None),
        ([1, 0, 0, 0xff, 0x0f, 0x38, 0x2d, 0x40, 0], None),
        ([1, 0, 0x80, 0x18, 0x71, 0, 0xff, 0x0f, 0], None),
        ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Some((4095, 8190, true, 9_770))),
        ([0xff, 0xff, 1, 0, 0, 1, 0, 0, 0], Some((1, 1, false, u32::MAX))),
        ([0x64, 0x19, 0, 0x40, 0x41, 0, 0x26, 0x30, 0x18], Some((1024, 768, false, 60_003))),
    ] {
        let edid = with(|block| {
            block[54..62].copy_from_slice(&change[..8]);
            block[71] = change[8];
        });
        let mode =
            edid.preferred.map(|mode| (mode.width, mode.height, mode.interlaced, mode.refresh_millihertz));
        assert_eq!(mode, expected, "{change:x?}");
    }
}

#[test]
fn names_end_at_the_line_feed_and_stay_printable() {
    for (text, name) in [
        (b"Test 24\n     ", "Test 24"),
        (b"ThirteenChars", "ThirteenChars"),
        (b"\n            ", ""),
        (b"             ", ""),
        (b"a\0b\x7f\xff\x1bz      ", "a?b???z"),
        (b"  in front   ", "  in front"),
    ] {
        let edid = with(|block| block[95..108].copy_from_slice(text));
        assert_eq!(edid.name.unwrap().as_str(), name);
    }
    assert_eq!(with(|block| block[93] = 0xfe).name, None, "another kind of text");
    assert_eq!(with(|block| block[90] = 1).name, None, "a timing");
}

#[test]
fn a_preferred_mode_comes_first_or_not_at_all() {
    let edid = with(|block| block.copy_within(54..72, 72));
    assert!(edid.preferred.is_some());
    let edid = with(|block| {
        block.copy_within(54..72, 108);
        block.copy_within(72..90, 54);
    });
    assert_eq!(edid.preferred, None);
}

#[test]
fn letters_beyond_the_alphabet() {
    for (packed, letters) in
        [(0_u16, "???"), (1 << 10 | 26 << 5 | 27, "AZ?"), (0xffff, "???"), (0x4a14, "RPT")]
    {
        let edid = with(|block| block[8..10].copy_from_slice(&packed.to_be_bytes()));
        assert_eq!(edid.manufacturer.as_str(), letters, "{packed:#x}");
    }
}

#[test]
fn sizes_without_a_dimension_are_none() {
    for size in [[0, 0], [52, 0], [0, 29]] {
        assert_eq!(with(|block| block[21..23].copy_from_slice(&size)).size_cm, None);
    }
}

#[test]
fn any_bytes_are_read_without_a_panic() {
    // A small generator; every block gets a valid header and sum, so that the fields are really looked at.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..2_000 {
        let mut block = [0; BLOCK_LEN];
        for byte in &mut block[8..] {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[3];
        }
        block[..8].copy_from_slice(&HEADER);
        let edid = Edid::parse(&seal(block)).unwrap();
        let shown = alloc::format!("{edid:?} {:?}", edid.preferred.map(|mode| mode.to_string()));
        assert!(shown.is_ascii());
    }
}
