//! Any bytes that pass for a flattened device tree: what is found has registers, and the walk through it ends.
#![no_main]

use dtoolkit::fdt::Fdt;
use libfuzzer_sys::fuzz_target;
use virtio_mmio::device_tree;

fuzz_target!(|bytes: &[u8]| {
    let Ok(fdt) = Fdt::new(bytes) else { return };
    let mut nodes = 0;
    for found in device_tree(fdt) {
        nodes += 1;
        // A node takes more than four bytes.
        assert!(nodes <= bytes.len() / 4, "more slots than nodes");
        match found {
            Ok(found) => {
                assert!(found.slot.len > 0 && found.slot.base.get().is_multiple_of(4));
                assert!(found.slot.base.get().checked_add(found.slot.len as u64).is_some());
                assert!(found.interrupt.is_none_or(|interrupt| !interrupt.cells().is_empty()));
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});
