use super::*;
use crate::executor::Woken;
use crate::machine::MmioSlot;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use virtio::pci::{AccessFns, FunctionAddress};
use virtio::{AnyTransport, Interrupts, PhysAddr, mmio};
use virtio_testkit::{FakeRegisters, TestHal};

type NoPci = AccessFns<fn(FunctionAddress, u16) -> u32, fn(FunctionAddress, u16, u32)>;
type Any = AnyTransport<Mapped<TestHal>, NoPci>;

/// Registers of virtio-mmio: why the device interrupts.
const STATUS: usize = 0x60;

/// An input device in a slot, and the way for its interrupt handler.
fn device(hal: &TestHal, slot: u64) -> (FakeRegisters, AnyEndpoint<Mapped<TestHal>>) {
    let slot = MmioSlot { base: PhysAddr::new(0x0a00_0000 + 0x200 * slot), len: 0x200, interrupt: None };
    let registers = hal.add_registers(slot.base, slot.len);
    for (offset, value) in [(0, 0x7472_6976), (4, 2), (8, 18)] {
        registers.write32(offset, value);
    }
    let slot = mmio::Slot { base: slot.base, len: slot.len };
    let (_, found) = mmio::probe_all(hal.clone(), [slot]).next().unwrap();
    let transport = Any::from(found.unwrap().unwrap());
    let endpoint = transport.endpoint(0).unwrap();
    (registers, endpoint)
}

fn counts(handlers: &Handlers<TestHal>) -> Vec<u32> {
    (0..).map_while(|index| handlers.row(index)).map(|row| row.count).collect()
}

#[test]
fn a_shared_line_asks_everybody_and_counts_who_it_was() {
    let hal = TestHal::new();
    let handlers = Handlers::new();
    let (gpu, gpu_end) = device(&hal, 0);
    let (keyboard, keyboard_end) = device(&hal, 1);
    assert!(handlers.watch(40, Kind::Line, Source::Gpu, 2, Some(gpu_end)));
    assert!(handlers.watch(40, Kind::Line, Source::Keyboard, 2, Some(keyboard_end)));
    assert!(handlers.watch(33, Kind::Line, Source::Serial, 0, None));
    // What was before anybody watched is looked at once.
    for source in [Source::Gpu, Source::Keyboard, Source::Serial] {
        assert!(handlers.take_attention(source));
        assert!(!handlers.take_attention(source));
    }
    handlers.handle(40);
    assert_eq!((counts(&handlers), handlers.stray()), ([0, 0, 0].into(), 1), "it was neither");
    keyboard.write32(STATUS, 1);
    handlers.handle(40);
    assert_eq!(counts(&handlers), [0, 1, 0]);
    assert!(!handlers.take_attention(Source::Keyboard), "a queue is the bell's");
    keyboard.write32(STATUS, 0);
    gpu.write32(STATUS, 2);
    handlers.handle(40);
    assert_eq!(counts(&handlers), [1, 1, 0]);
    assert!(handlers.take_attention(Source::Gpu));
    gpu.write32(STATUS, 0);
    handlers.handle(33);
    handlers.handle(34);
    assert_eq!((counts(&handlers), handlers.stray()), ([1, 1, 1].into(), 2));
    let row = handlers.row(0).unwrap();
    assert_eq!((row.number, row.config, row.queues), (40, true, 0b11));
    let row = handlers.row(2).unwrap();
    assert_eq!((row.config, row.queues), (false, 0));
    handlers.clear();
    assert_eq!(handlers.row(0), None);
}

#[test]
fn who_waits_for_anything_besides_a_queue_is_woken() {
    let woken: &'static Woken = Box::leak(Box::new(Woken::new()));
    let handlers: &Handlers<TestHal> = Box::leak(Box::new(Handlers::new()));
    assert!(handlers.watch(33, Kind::Line, Source::Serial, 0, None));
    assert!(handlers.take_attention(Source::Serial));
    let byte = core::future::poll_fn(|context: &mut Context<'_>| {
        handlers.other().register(context.waker());
        if handlers.take_attention(Source::Serial) { Poll::Ready(()) } else { Poll::Pending }
    });
    let mut naps = 0;
    woken.block_on(byte, |awake| {
        naps += 1;
        // Somebody else's first.
        handlers.handle(if naps < 3 { 50 } else { 33 });
        assert_eq!(awake(), naps == 3);
    });
    assert_eq!(naps, 3);
}

#[test]
fn no_more_than_fit() {
    let handlers = Handlers::<TestHal>::new();
    for number in 0..MAX_WATCHES {
        assert!(handlers.watch(number.try_into().unwrap(), Kind::Line, Source::Serial, 0, None));
    }
    assert!(!handlers.watch(99, Kind::Line, Source::Serial, 0, None));
}
