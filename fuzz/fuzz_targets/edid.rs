//! Any bytes as an EDID, with a header and a checksum that are right or not: what is read of it can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtio_gpu::{Edid, EdidError};

fuzz_target!(|input: &[u8]| {
    let [how, bytes @ ..] = input else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 == 0 && bytes.len() >= 128 {
        bytes[..8].copy_from_slice(&[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
        bytes[127] = bytes[..127].iter().fold(0, |sum, byte| sum.wrapping_sub(*byte));
    }
    let sum = bytes.iter().take(128).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    match Edid::parse(&bytes) {
        Ok(edid) => {
            assert!(bytes.len() >= 128 && sum == 0);
            let shown = format!("{} {:?} {:?}", edid.manufacturer, edid.name, edid.preferred);
            assert!(shown.chars().all(|c| !c.is_control()), "{shown:?}");
            if let Some(mode) = edid.preferred {
                assert!(!mode.to_string().is_empty());
            }
            assert!((1990..=1990 + 255).contains(&edid.year));
        }
        Err(EdidError::TooShort { len }) => assert!(len == bytes.len() && len < 128),
        Err(EdidError::NoHeader) => assert!(how & 1 != 0),
        Err(EdidError::BadChecksum { sum: said }) => assert!(said == sum && sum != 0),
        Err(error) => panic!("{error}"),
    }
});
