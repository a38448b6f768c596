//! The sections and functions of a program in an ELF file.

use crate::elf::{u16_at, u32_at, u64_at};
use crate::failure::{Context, Result};

/// A section that has bytes in the file.
struct Section<'a> {
    name: u32,
    kind: u32,
    /// Of a symbol table, the section with its names.
    link: u32,
    bytes: &'a [u8],
}

/// `SHT_SYMTAB`: the table of symbols.
const SYMBOLS: u32 = 2;
/// `SHT_NOBITS`: a section without bytes.
const NO_BITS: u32 = 8;
/// `STT_FUNC`, in the lower half of a symbol's info.
const FUNCTION: u8 = 2;

/// The bytes of the section called `name`; empty if there is none.
pub fn section<'a>(elf: &'a [u8], name: &str) -> Result<&'a [u8]> {
    let sections = sections(elf).context("not a 64-bit little-endian ELF file with sections")?;
    let names = usize::from(u16_at(elf, 62).unwrap_or(0));
    let names = sections.get(names).context("the ELF file has no names of sections")?.bytes;
    let found = sections.iter().find(|section| text_at(names, section.name) == Some(name));
    Ok(found.map_or(&[], |section| section.bytes))
}

/// Every function of the symbol table: where it lies, and its name as the linker knows it.
pub fn functions(elf: &[u8]) -> Result<Vec<(u64, &str)>> {
    let sections = sections(elf).context("not a 64-bit little-endian ELF file with sections")?;
    let table = sections.iter().find(|section| section.kind == SYMBOLS).context("the program is stripped")?;
    let names = usize::try_from(table.link).ok().and_then(|names| sections.get(names));
    let names = names.context("the symbols have no names")?.bytes;
    let function = |symbol: &[u8]| {
        let is_function = symbol.get(4)? & 0xf == FUNCTION;
        let named = u64_at(symbol, 8)?;
        Some((named, text_at(names, u32_at(symbol, 0)?)?)).filter(|_| is_function)
    };
    Ok(table.bytes.chunks_exact(24).filter_map(function).collect())
}

/// All sections, in order; `None` if it is not such an ELF file.
fn sections(elf: &[u8]) -> Option<Vec<Section<'_>>> {
    if elf.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    let table = u64_at(elf, 40)?;
    let entry_size = u64::from(u16_at(elf, 58)?);
    let entries = u64::from(u16_at(elf, 60)?);
    let section = |index: u64| {
        let entry = usize::try_from(table.checked_add(index * entry_size)?).ok()?;
        let offset = usize::try_from(u64_at(elf, entry.checked_add(24)?)?).ok()?;
        let len = usize::try_from(u64_at(elf, entry.checked_add(32)?)?).ok()?;
        let kind = u32_at(elf, entry.checked_add(4)?)?;
        let bytes = if kind == NO_BITS { &[] } else { elf.get(offset..offset.checked_add(len)?)? };
        Some(Section { name: u32_at(elf, entry)?, kind, link: u32_at(elf, entry.checked_add(40)?)?, bytes })
    };
    (0..entries).map(section).collect()
}

/// The text that begins there and ends with a zero.
fn text_at(names: &[u8], at: u32) -> Option<&str> {
    let rest = names.get(usize::try_from(at).ok()?..)?;
    std::str::from_utf8(rest.split(|&byte| byte == 0).next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF file with a symbol table, its names and one more section.
    fn program(section: &[u8], symbols: &[(&str, u8, u64)]) -> Vec<u8> {
        let section_names = b"\0.symtab\0.strtab\0.extra\0";
        let (mut table, mut names) = (vec![0; 24], vec![0]);
        for &(name, info, address) in symbols {
            table.extend_from_slice(&u32::try_from(names.len()).unwrap().to_le_bytes());
            table.extend_from_slice(&[info, 0, 1, 0]);
            table.extend_from_slice(&address.to_le_bytes());
            table.extend_from_slice(&8_u64.to_le_bytes());
            names.extend_from_slice(name.as_bytes());
            names.push(0);
        }
        let contents: [(u32, u32, u32, &[u8]); 5] = [
            (0, 0, 0, b""),
            (1, SYMBOLS, 2, &table),
            (9, 3, 0, &names),
            (17, 1, 0, section),
            (0, 3, 0, section_names),
        ];
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[40..48].copy_from_slice(&64_u64.to_le_bytes());
        file[58..60].copy_from_slice(&64_u16.to_le_bytes());
        file[60..62].copy_from_slice(&5_u16.to_le_bytes());
        file[62..64].copy_from_slice(&4_u16.to_le_bytes());
        let mut offset = 64 + 5 * 64;
        for (name, kind, link, bytes) in contents {
            let mut header = [0; 64];
            header[..4].copy_from_slice(&name.to_le_bytes());
            header[4..8].copy_from_slice(&kind.to_le_bytes());
            header[24..32].copy_from_slice(&u64::try_from(offset).unwrap().to_le_bytes());
            header[32..40].copy_from_slice(&u64::try_from(bytes.len()).unwrap().to_le_bytes());
            header[40..44].copy_from_slice(&link.to_le_bytes());
            file.extend_from_slice(&header);
            offset += bytes.len();
        }
        for (.., bytes) in contents {
            file.extend_from_slice(bytes);
        }
        file
    }

    #[test]
    fn sections_and_functions_are_found_by_name() {
        let file =
            program(b"bytes", &[("main", 0x12, 0x1000), ("a variable", 0x11, 0x2000), ("f", 2, 0x3000)]);
        assert_eq!(section(&file, ".extra").unwrap(), b"bytes");
        assert_eq!(section(&file, ".missing").unwrap(), b"");
        assert_eq!(functions(&file).unwrap(), [(0x1000, "main"), (0x3000, "f")]);
    }

    #[test]
    fn cut_off_sections_are_refused() {
        let file = program(b"bytes", &[("main", 0x12, 0x1000)]);
        for cut in 0..file.len() {
            assert!(functions(&file[..cut]).is_err(), "{cut}");
        }
        assert!(section(b"MZ", ".extra").is_err());
        assert!(functions(&program(b"", &[])[..64]).is_err());
    }
}
