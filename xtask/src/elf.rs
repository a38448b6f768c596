//! Flattens a kernel's ELF file into the raw image that the arm64 boot protocol wants.

use crate::failure::{Context, Result, fail};

/// `PT_LOAD`: a segment that has its place in memory.
const PT_LOAD: u32 = 1;
/// More than any of our kernels has, and a bound for damaged files.
const LARGEST: u64 = 64 << 20;

struct Segment {
    offset: u64,
    address: u64,
    len: u64,
}

/// The bytes of all loaded segments, from the lowest physical address of one with bytes in the file.
///
/// What lies between segments is zero. Memory behind the last one (`.bss`) is the kernel's own affair.
pub fn flatten(elf: &[u8]) -> Result<Vec<u8>> {
    let segments = segments(elf).context("not a 64-bit little-endian ELF file")?;
    let Some(base) = segments.iter().map(|segment| segment.address).min() else {
        fail!("the ELF file has nothing to load");
    };
    let mut image = Vec::new();
    for segment in &segments {
        let bytes = usize::try_from(segment.offset)
            .ok()
            .zip(usize::try_from(segment.len).ok())
            .and_then(|(offset, len)| elf.get(offset..offset.checked_add(len)?))
            .context("a segment lies outside the ELF file")?;
        let start = segment.address - base;
        if start > LARGEST {
            fail!("segments {start:#x} bytes apart do not make a raw image");
        }
        let start = usize::try_from(start).context("image size")?;
        let end = start + bytes.len();
        if image.len() < end {
            image.resize(end, 0);
        }
        image.get_mut(start..end).context("image size")?.copy_from_slice(bytes);
    }
    Ok(image)
}

/// The segments to load that have bytes in the file; `None` if it is not such an ELF file.
fn segments(elf: &[u8]) -> Option<Vec<Segment>> {
    // Magic, 64-bit, little-endian.
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64_at(elf, 32)?;
    let entry_size = u64::from(u16_at(elf, 54)?);
    let entries = u64::from(u16_at(elf, 56)?);
    let mut segments = Vec::new();
    for index in 0..entries {
        let entry = usize::try_from(table.checked_add(index * entry_size)?).ok()?;
        let segment = Segment {
            offset: u64_at(elf, entry.checked_add(8)?)?,
            address: u64_at(elf, entry.checked_add(24)?)?,
            len: u64_at(elf, entry.checked_add(32)?)?,
        };
        if u32_at(elf, entry)? == PT_LOAD && segment.len > 0 {
            segments.push(segment);
        }
    }
    Some(segments)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// A little-endian number of the file; `None` beyond its end.
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

/// A little-endian number of the file; `None` beyond its end.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

/// A little-endian number of the file; `None` beyond its end.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with the given segments: (type, physical address, bytes).
    fn elf(segments: &[(u32, u64, &[u8])]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[54..56].copy_from_slice(&56_u16.to_le_bytes());
        file[56..58].copy_from_slice(&u16::try_from(segments.len()).unwrap().to_le_bytes());
        let mut offset = 64 + 56 * segments.len();
        for &(kind, address, bytes) in segments {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            header[8..16].copy_from_slice(&u64::try_from(offset).unwrap().to_le_bytes());
            header[16..24].copy_from_slice(&0xffff_0000_0000_0000_u64.to_le_bytes());
            header[24..32].copy_from_slice(&address.to_le_bytes());
            header[32..40].copy_from_slice(&u64::try_from(bytes.len()).unwrap().to_le_bytes());
            header[40..48].copy_from_slice(&4096_u64.to_le_bytes());
            file.extend_from_slice(&header);
            offset += bytes.len();
        }
        for (_, _, bytes) in segments {
            file.extend_from_slice(bytes);
        }
        file
    }

    #[test]
    fn segments_land_where_they_are_loaded() {
        let file = elf(&[
            (4, 0x10, b"a note, not loaded"),
            (PT_LOAD, 0x4008_0008, b"data"),
            (PT_LOAD, 0x4008_0000, b"code"),
            (PT_LOAD, 0x4000_0000, b""),
        ]);
        assert_eq!(flatten(&file).unwrap(), b"code\0\0\0\0data");
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(flatten(b"MZ").is_err());
        assert!(flatten(&elf(&[])).is_err());
        assert!(flatten(&elf(&[(PT_LOAD, 0, b"a"), (PT_LOAD, 1 << 40, b"b")])).is_err());
        let whole = elf(&[(PT_LOAD, 0, b"abcd")]);
        for cut in 0..whole.len() {
            assert!(flatten(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
