//! Command lines, good and bad.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use virtio_core::PhysAddr;

use crate::{ParameterError, ParameterFault, Placed, Slot, command_line};

fn at(base: u64, len: usize, interrupt: u32, id: Option<i32>) -> Placed {
    Placed { slot: Slot { base: PhysAddr::new(base), len }, interrupt, id }
}

fn all(line: &str) -> Vec<Result<Placed, ParameterError>> {
    command_line(line).collect()
}

/// The one slot that a value names.
fn one(value: &str) -> Result<Placed, ParameterFault> {
    let mut line = String::from("virtio_mmio.device=");
    line.push_str(value);
    let [found] = all(&line)[..] else { panic!("{value}: not one parameter") };
    found.map_err(|error| {
        assert_eq!(error.at, 0);
        error.fault
    })
}

#[test]
fn numbers_are_written_as_linux_reads_them() {
    for (value, expected) in [
        ("4K@0xd0000000:5", at(0xd000_0000, 4096, 5, None)),
        ("512@0xfeb00e00:12", at(0xfeb0_0e00, 512, 12, None)),
        ("0x200@0XFEB00E00:12", at(0xfeb0_0e00, 512, 12, None)),
        ("01000@4096:7", at(4096, 512, 7, None)),
        ("1k@010000:007", at(4096, 1024, 7, None)),
        ("1M@0:1", at(0, 1 << 20, 1, None)),
        ("4K@0x1000:5:0", at(0x1000, 4096, 5, Some(0))),
        ("4K@0x1000:5:31", at(0x1000, 4096, 5, Some(31))),
        ("4K@0x1000:5:-1", at(0x1000, 4096, 5, Some(-1))),
        ("4K@0x1000:4294967295:2147483647", at(0x1000, 4096, u32::MAX, Some(i32::MAX))),
        ("4@0xfffffffffffffff8:1", at(u64::MAX - 7, 4, 1, None)),
    ] {
        assert_eq!(one(value), Ok(expected), "{value}");
    }
    for (value, shift) in [("1g", 30), ("1G", 30), ("1t", 40), ("1P", 50), ("1E", 60), ("1e", 60)] {
        let found = one(&[value, "@0:1"].concat()).map(|placed| Some(placed.slot.len));
        let expected = usize::try_from(1_u64 << shift).map(Some).map_err(|_| ParameterFault::Range);
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn each_fault_has_its_name() {
    use ParameterFault::{Base, Id, Interrupt, NoBase, NoInterrupt, Range, Size};
    for (value, fault) in [
        ("", Size),
        ("@0x1000:5", Size),
        ("K@0x1000:5", Size),
        ("4X@0x1000:5", Size),
        ("4KB@0x1000:5", Size),
        ("0x@0x1000:5", Size),
        ("08@0x1000:5", Size),
        ("-4@0x1000:5", Size),
        ("+4@0x1000:5", Size),
        ("16E@0x1000:5", Size),
        ("18446744073709551616@0:5", Size),
        ("4Ké@0x1000:5", Size),
        ("4K", NoBase),
        ("4K:5", Size),
        ("4K@", Base),
        ("4K@:5", Base),
        ("4K@0x:5", Base),
        ("4K@d0000000:5", Base),
        ("4K@-4096:5", Base),
        ("4K@0x10000000000000000:5", Base),
        ("4K@0x1000K:5", Base),
        ("4K@0x1000", NoInterrupt),
        ("4K@0x1000:", Interrupt),
        ("4K@0x1000:0", Interrupt),
        ("4K@0x1000:0x5", Interrupt),
        ("4K@0x1000:-5", Interrupt),
        ("4K@0x1000:+5", Interrupt),
        ("4K@0x1000:5x", Interrupt),
        ("4K@0x1000:4294967296", Interrupt),
        ("4K@0x1000:5:", Id),
        ("4K@0x1000:5:x", Id),
        ("4K@0x1000:5:+1", Id),
        ("4K@0x1000:5:--1", Id),
        ("4K@0x1000:5:-", Id),
        ("4K@0x1000:5:2147483648", Id),
        ("4K@0x1000:5:1:1", Id),
        ("0@0x1000:5", Range),
        ("4K@0x1002:5", Range),
        ("8@0xfffffffffffffff8:1", Range),
        ("4K@0xfffffffffffff004:1", Range),
    ] {
        assert_eq!(one(value), Err(fault), "{value}");
        assert!(!fault.to_string().is_empty());
    }
}

#[test]
fn other_words_are_passed_over_and_faults_stop_nothing() {
    let line = " console=hvc0 virtio_mmio.device=1 xvirtio_mmio.device=4K@0:1\tvirtio_mmio.devices=4K@0:1\n\
                virtio_mmio.device virtio_mmio.device=4K@0x2000:6 quiet ";
    let fault = ParameterError { at: 14, fault: ParameterFault::NoBase };
    assert_eq!(all(line), [Err(fault), Ok(at(0x2000, 4096, 6, None))]);
    assert!(fault.to_string().contains("byte 14"));
    assert_eq!(all(""), []);
    assert_eq!(all("   "), []);
    assert_eq!(all("=4K@0:1 = =="), []);
}

#[test]
fn quotes_and_dashes_are_as_linux_has_them() {
    let found = at(0x1000, 4096, 5, None);
    for line in [
        "virtio-mmio.device=4K@0x1000:5",
        "\"virtio_mmio.device=4K@0x1000:5\"",
        "virtio_mmio.device=\"4K@0x1000:5\"",
        "root=\"a virtio_mmio.device=4K@0x3000:7 b\" virtio_mmio.device=4K@0x1000:5",
        "virtio_mmio.device=4K@0x1000:5 -- virtio_mmio.device=4K@0x2000:6",
        "virtio_mmio.device=4K@0x1000:5 \"a quote that does not end virtio_mmio.device=4K@0x2000:6",
    ] {
        assert_eq!(all(line), [Ok(found)], "{line}");
    }
    // The end is the end.
    let mut line = command_line("-- virtio_mmio.device=4K@0x1000:5");
    assert_eq!((line.next(), line.next()), (None, None));
}

#[test]
fn no_line_is_too_odd() {
    // Every line that one changed letter makes, a letter of two bytes among them.
    let good = "a \"b c\" virtio_mmio.device=4K@0x1000:5:-1 d";
    let letters = ['"', ' ', '@', ':', '=', '-', '0', '9', 'x', 'K', 'é'];
    let mut found = 0;
    for (place, _) in good.char_indices() {
        for letter in letters {
            let mut line = String::from(good);
            line.replace_range(place..=place, letter.encode_utf8(&mut [0; 4]));
            for answer in command_line(&line) {
                found += usize::from(answer.is_ok_and(|placed| placed.slot.len != 0));
            }
        }
    }
    assert!(found > 50, "{found}");
}
