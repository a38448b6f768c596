//! Any text as a kernel's command line: what is found has registers, an interrupt, and reads the same when it is written plainly;
//! what is refused is named where it stands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use virtio_mmio::{Placed, command_line};

fuzz_target!(|line: &str| {
    let mut words = 0;
    for found in command_line(line) {
        words += 1;
        assert!(words <= line.len());
        match found {
            Ok(placed) => check(placed),
            Err(error) => {
                let word = line.get(error.at..).expect("a word begins there");
                assert!(word.starts_with(|letter: char| !letter.is_ascii_whitespace()));
                assert!(word.contains('=') && !error.to_string().is_empty());
            }
        }
    }
    // Behind the mark it is somebody else's.
    assert_eq!(command_line(&format!("-- {line}")).count(), 0);
    // A word in front changes nothing but where the others stand.
    let longer = format!("quiet virtio_mmio.device=4K@0x1000:7 {line}");
    let found = command_line(&longer).skip(1).map(Result::ok);
    assert!(found.eq(command_line(line).map(Result::ok)));
});

fn check(placed: Placed) {
    let Placed { slot, interrupt, id } = placed;
    assert!(interrupt != 0 && slot.len > 0 && slot.base.get().is_multiple_of(4));
    assert!(slot.base.get().checked_add(slot.len as u64).is_some());
    let id = id.map_or(String::new(), |id| format!(":{id}"));
    let plain = format!("virtio_mmio.device={}@{:#x}:{interrupt}{id}", slot.len, slot.base.get());
    assert!(command_line(&plain).eq([Ok(placed)]), "{plain}");
}
