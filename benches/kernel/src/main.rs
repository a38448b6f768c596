//! A kernel that measures drivers: one of ours or of `virtio-drivers`, in the same surroundings, on one CPU without interrupts.
//!
//! It is started with words ([`host::words`]) that say what is driven, by whom, over what, and what is measured:
//! `disk|net WHO mmio|pci instructions|time COUNT [ROW]`; it prints a line for each row, and leaves.

#![no_std]
#![no_main]

extern crate alloc;

mod board;
// The example kernel's first instructions and memory map are these, too.
#[path = "../../../examples/aarch64/src/boot.rs"]
mod boot;
#[path = "../../../examples/aarch64/src/critical.rs"]
mod critical;
mod disk;
mod executor;
mod fault;
mod flow;
mod host;
mod memory;
mod meter;
mod net;
mod ours;
#[path = "../../../examples/aarch64/src/paging.rs"]
mod paging;
mod ring;
mod theirs;

use core::fmt;

use board::Bus;
use host::say;
use virtio_core::DeviceId;
use virtio_drivers::transport::DeviceType;

/// What is to be measured.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// Requests of each row, or so.
    pub count: usize,
    /// The only row, if not empty.
    pub only: &'a str,
}

/// A name that something else may have.
pub struct Name<'a>(pub &'a str);

impl Name<'_> {
    /// Whether it is this.
    pub fn is(mut self, other: fmt::Arguments<'_>) -> bool {
        fmt::write(&mut self, other).is_ok() && self.0.is_empty()
    }
}

impl fmt::Write for Name<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(part).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// Where `boot` goes: MMU on, memory zeroed, a stack.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(_device_tree: usize) -> ! {
    let mut bytes = [0; 256];
    let words = host::words(&mut bytes);
    let mut word = words.split(' ').skip_while(|word| *word != "bench").skip(1);
    let mut next = || word.next().unwrap_or_default();
    let (what, who, bus, measure) = (next(), next(), next(), next());
    let bus = match bus {
        "mmio" => Bus::Mmio,
        "pci" => Bus::Pci,
        other => panic!("no bus is {other:?}"),
    };
    let counting = match measure {
        "instructions" => true,
        "time" => false,
        other => panic!("{other:?} cannot be measured"),
    };
    let count = next().parse().expect("how many requests");
    let work = Work { count, only: next() };
    meter::init(counting);
    say!("hertz {}", meter::hertz());
    match (what, who) {
        ("disk", "virtio-drivers") => theirs::visit(bus, DeviceType::Block, disk::theirs::Run(work)),
        ("disk", "virtio-core") => ours::visit(bus, DeviceId::BLOCK, disk::bare::Run(work)),
        ("disk", "virtio-blk") => ours::visit(bus, DeviceId::BLOCK, disk::ours::Run(work)),
        ("net", "virtio-net") => ours::visit(bus, DeviceId::NET, net::ours::Run { work, mergeable: false }),
        ("net", "virtio-net-mergeable") => {
            ours::visit(bus, DeviceId::NET, net::ours::Run { work, mergeable: true });
        }
        ("net", "virtio-drivers") => theirs::visit(bus, DeviceType::Network, net::theirs::Run(work)),
        other => panic!("nobody here is {other:?}"),
    }
    say!("done");
    host::leave(0)
}
