//! A PCI function with whatever capabilities, BARs and registers libFuzzer thinks of: nothing is mapped outside its BARs, no
//! register is accessed outside what was mapped, nothing panics, and everything ends.
#![no_main]

mod hardware;

use core::time::Duration;

use hardware::{Bytes, Hardware};
use libfuzzer_sys::fuzz_target;
use virtio_core::config::ByteOrder;
use virtio_core::device::{Init, Wanted};
use virtio_core::queue::QueueSpec;
use virtio_core::{DeviceId, Endpoint, Error, Features, Interrupts, Transport};
use virtio_pci::{
    BarAllocator, FunctionAddress, LegacyTransport, MsixMessage, PciTransport, Window, Windows, caps,
    number_buses, walk,
};
use virtio_testkit::TestHal;

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let how = input.u8();
    let hardware = Hardware::new(&mut input);
    let function = FunctionAddress::from_number(0);

    let read = |offset| virtio_pci::ConfigAccess::read32(&hardware, function, offset);
    let listed: Vec<_> = caps::capabilities(read).collect();
    assert!(listed.len() <= 48);
    for region in listed.iter().filter_map(|found| found.region) {
        assert!(region.bar < 6 && region.offset.checked_add(region.len).is_some());
    }
    assert!(walk(&hardware, 0).count() <= 256);

    let windows = Windows {
        io: Some(Window::identity(0x1000, 0xf000)),
        mem32: Some(Window::identity(0x8000_0000, 0x4000_0000)),
        mem64: Some(Window::identity(0x80_0000_0000, 0x80_0000_0000)),
    };
    if how & 1 != 0 {
        let _ = number_buses(&hardware, 0, 255);
        let _ = BarAllocator::new(windows).assign_all(&hardware, 0);
    }
    let windows = Some(&windows).filter(|_| how & 2 != 0);
    match how >> 2 & 3 {
        0 | 1 => {
            let opened =
                PciTransport::with_mapper(&hardware, function, windows, |at, len| hardware.map(at, len));
            let Ok(mut transport) = opened else { return };
            for id in 0..=255 {
                if let Some(region) = transport.shared_memory(id) {
                    assert!(region.len > 0 && hardware.covers(region.address.get(), region.len));
                }
            }
            if how & 16 != 0 {
                let messages = [MsixMessage { address: 0xfee0_0000, data: 1 }; 3];
                let _ = transport.enable_msix_with(&messages, |at, len| hardware.map(at, len));
            }
            live(transport, how);
        }
        2 => {
            let opened = PciTransport::through_window(&hardware, function);
            let Ok(mut transport) = opened else { return };
            assert!((0..=255).all(|id| transport.shared_memory(id).is_none_or(|region| region.len > 0)));
            live(transport, how);
        }
        _ => {
            let opened = LegacyTransport::with_mapper(&hardware, function, windows, |range| {
                Ok(hardware.ports(range.port, range.len))
            });
            let Ok(transport) = opened else { return };
            live(transport, how);
        }
    }
});

/// Everything a driver does with a transport, until it fails.
fn live<T: Transport + Interrupts>(transport: T, how: u8) {
    let hal = TestHal::new();
    hal.without_clock(Some(8));
    // A device may well never confirm its reset.
    hal.allow_outstanding();
    // Registers are memory: what is true of one queue is true of all.
    let queues = if how & 32 == 0 { 1 } else { 2 };
    let _ = go(transport, &hal, queues);
}

fn go<T: Transport + Interrupts>(mut transport: T, hal: &TestHal, queues: usize) -> Result<(), Error> {
    let id = transport.device_id();
    let _: DeviceId = id;
    for (offset, len) in
        [(0, 1), (0, 2), (0, 4), (4, 4), (usize::MAX, 1), (transport.config_len(), 1), (1, 2)]
    {
        let mut bytes = vec![0; len];
        let inside = offset.is_multiple_of(len)
            && offset.checked_add(len).is_some_and(|end| end <= transport.config_len());
        assert_eq!(transport.read_config(offset, &mut bytes).is_ok(), inside);
        assert_eq!(transport.write_config(offset, &bytes).is_ok(), inside);
    }
    let wanted = Wanted { optional: Features::bit(0), refused: Features::RING_PACKED, ..Wanted::default() };
    let init = Init::start(transport, hal.clone(), id)?.negotiate(&wanted)?;
    let _ = init.config(ByteOrder::Little)?.u64(0);
    let specs = [QueueSpec::new::<()>(0, 8).header(8).response(8), QueueSpec::new::<()>(1, 4).header(8)];
    let mut device = init.queues(&specs[..queues])?.live()?;
    for vector in 0..device.vectors()?.min(8) {
        let endpoint = device.endpoint(vector)?;
        let status = endpoint.ack();
        let _ = endpoint.serves(virtio_core::QueueIndex::new(1));
        let _ = device.attend(status);
    }
    let _ = device.exchange(0, &[1; 8], &mut [0; 8], Duration::from_secs(1));
    let mut device = device.rebuild(|transport, hal| Init::start(transport, hal, id))?;
    let _ = &mut device;
    Ok(())
}
