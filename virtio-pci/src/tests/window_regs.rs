//! A device driven through its window in configuration space, by one that minds the rules of it.

use alloc::vec::Vec;
use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::regs::{Registers, Reopen};
use virtio_core::transport::Rings;
use virtio_core::{DeviceId, QueueIndex, Transport};

use super::bench::{Read, Shared, Write, r, w};
use super::device::{DEVICE, Device, ISR, NOTIFY};
use super::machine::Machine;
use super::queues::{QUEUE, RINGS};
use crate::caps::{Structure, capabilities};
use crate::{ConfigAccess, ConfigWindow, FunctionAddress, PciError, PciTransport};

/// Where the capability is.
const AT: u16 = 0xb0;

/// Configuration space in which the window works.
pub(super) struct Windowed<'a> {
    machine: &'a Machine,
    device: &'a Device,
    /// Accesses of any kind to the registers of the window.
    pub(super) accesses: Shared<u32>,
    /// The writes to the window, but for those of data.
    settings: Shared<Vec<(u16, u32)>>,
}

impl<'a> Windowed<'a> {
    /// A GPU whose list begins with the window, and whose BARs have no address.
    pub(super) fn new(machine: &'a Machine, device: &'a Device) -> (Self, FunctionAddress) {
        let gpu = machine.add_gpu(0, 1);
        machine.set_register(gpu, 0x20, 0xc, 0xffff_c000);
        machine.set(gpu, 0x34, AT.into());
        machine.set(gpu, AT, 0x0514_4009);
        machine.set_register(gpu, AT + 4, 0xaabb_cc00, u32::MAX);
        machine.set_register(gpu, AT + 8, 0, u32::MAX);
        machine.set_register(gpu, AT + 12, 0, u32::MAX);
        machine.set_register(gpu, AT + 16, 0, u32::MAX);
        (Self { machine, device, accesses: Shared::new(0), settings: Shared::default() }, gpu)
    }

    /// Where in BAR 4 the window is, and how wide (VIRTIO 1.4 §4.1.4.9.2).
    fn place(&self, function: FunctionAddress) -> (usize, u32) {
        let get = |register| self.machine.get(function, AT + register);
        let (bar, offset, len) = (get(4), get(8), get(12));
        assert_eq!(bar, 0xaabb_cc04, "the BAR, and nothing beside it");
        assert!([1, 2, 4].contains(&len) && offset % len == 0, "{offset:#x}+{len}");
        let inside = |region: crate::caps::Region| {
            region.offset <= offset.into() && u64::from(offset + len) <= region.offset + region.len
        };
        let read = |offset| self.machine.read32(function, offset);
        assert!(capabilities(read).any(|found| found.region.is_some_and(inside)), "{offset:#x}+{len}");
        (offset.try_into().unwrap(), len)
    }
}

impl ConfigAccess for Windowed<'_> {
    fn read32(&self, function: FunctionAddress, offset: u16) -> u32 {
        if offset == AT + 16 {
            let device = self.device.whole();
            // Beside the data there is rubbish.
            let value = match self.place(function) {
                (at, 1) => u32::from(device.read8(at)) | 0x5566_7700,
                (at, 2) => u32::from(device.read16(at)) | 0x5566_0000,
                (at, _) => device.read32(at),
            };
            *self.accesses.borrow_mut() += 1;
            return value;
        }
        self.machine.read32(function, offset)
    }

    fn write32(&self, function: FunctionAddress, offset: u16, value: u32) {
        if offset < AT {
            return self.machine.write32(function, offset, value);
        }
        assert!((AT + 4..=AT + 16).contains(&offset), "a field that is not the driver's");
        *self.accesses.borrow_mut() += 1;
        self.machine.write32(function, offset, value);
        if offset != AT + 16 {
            self.settings.borrow_mut().push((offset - AT, value));
            return;
        }
        let device = self.device.whole();
        let [a, b, ..] = value.to_le_bytes();
        match self.place(function) {
            (at, 1) => device.write8(at, a),
            (at, 2) => device.write16(at, u16::from_le_bytes([a, b])),
            (at, _) => device.write32(at, value),
        }
    }
}

/// Opens the GPU of a machine through the window.
pub(super) fn through<'a>(
    access: &'a Windowed<'a>,
    gpu: FunctionAddress,
) -> PciTransport<ConfigWindow<&'a Windowed<'a>>, &'a Windowed<'a>> {
    PciTransport::through_window(access, gpu).unwrap()
}

// shows: pci.layout.pci-cfg-cap.1, pci.layout.pci-cfg-cap.2, pci.layout.pci-cfg-cap.3
#[test]
fn a_device_without_addresses_comes_up() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
    device.bench.put(0x18, &256_u16.to_le_bytes());
    device.bench.put(DEVICE, &[1, 2, 3, 4, 5, 6]);
    let (access, gpu) = Windowed::new(&machine, &device);
    let mut transport = through(&access, gpu);
    assert_eq!((transport.device_id(), transport.msix_vectors()), (DeviceId::GPU, 0));
    // Nothing is mapped, and the function must not answer at address 0.
    assert_eq!((device.maps.take(), machine.get(gpu, 4) & 7), ([].into(), 0));
    assert_eq!(transport.queue_max_size(QUEUE), 256);
    device.take();
    let bell = transport.enable_queue(QUEUE, &RINGS).unwrap();
    assert_eq!(
        device.take(),
        [
            Read(0x12, 2),
            Write(0x16, 2, 1),
            Read(0x1c, 2),
            Read(0x1e, 2),
            Write(0x18, 2, 64),
            Write(0x1a, 2, 0xffff),
            w(0x20, 0x2345_6000),
            w(0x24, 1),
            w(0x28, 0x2345_7008),
            w(0x2c, 2),
            w(0x30, 0x2345_8004),
            w(0x34, 3),
            Write(0x1c, 2, 1),
            Read(0x1c, 2),
        ]
    );
    assert_eq!(machine.get(gpu, 4) & 7, 4);
    transport.notify(bell);
    assert_eq!(device.take(), [Write(NOTIFY + 20, 2, 1)]);
    let mut four = [0; 4];
    transport.read_config(0, &mut four).unwrap();
    transport.write_config(4, &[0xee]).unwrap();
    assert_eq!((four, device.take()), ([1, 2, 3, 4], [r(DEVICE), Write(DEVICE + 4, 1, 0xee)].into()));
    // A region that nobody can map is none.
    machine.add_shared_memory(gpu, 0xd0, 1, 4, [0, 0x1000]);
    assert_eq!(transport.shared_memory(1), None);
}

#[test]
fn each_access_sets_the_whole_window() {
    let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
    let (access, gpu) = Windowed::new(&machine, &device);
    let transport = through(&access, gpu);
    access.settings.take();
    // Another has used it in between: nothing is taken from before.
    machine.set(gpu, AT + 4, 0xaabb_cc02);
    machine.set(gpu, AT + 8, 0x123);
    machine.set(gpu, AT + 12, 9);
    device.bench.put(0x14, &[0x4f]);
    assert_eq!(transport.status().bits(), 0x4f);
    assert_eq!(access.settings.take(), [(4, 0xaabb_cc04), (8, 0x14), (12, 1)]);
}

#[test]
fn an_interrupt_is_acknowledged_apart_from_the_driver() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let (access, gpu) = Windowed::new(&machine, &device);
    let transport = through(&access, gpu);
    let endpoint = transport.endpoint(0).unwrap();
    drop(transport);
    device.take();
    device.bench.put(ISR, &[2]);
    assert_eq!(endpoint.ack().bits(), 2);
    assert_eq!(device.take(), [Read(ISR, 1)]);
    assert!(endpoint.serves(QueueIndex::new(0)));
}

// shows: pci.layout.pci-cfg-cap.1, pci.layout.pci-cfg-cap.2
#[test]
fn a_structure_at_an_odd_place_is_reached_by_aligned_accesses() {
    // The window's device asserts it: ISR status on an odd address, doorbells on an even one.
    let (machine, device) = (Machine::new(), Device::new(&[0, 5]));
    let (access, gpu) = Windowed::new(&machine, &device);
    machine.set(gpu, 0x58, 0x1003);
    machine.set(gpu, 0x78, 0x3002);
    let mut transport = through(&access, gpu);
    let bell = transport.enable_queue(QUEUE, &RINGS).unwrap();
    device.take();
    transport.notify(bell);
    transport.ack_interrupt();
    assert_eq!(device.take(), [Write(NOTIFY + 22, 2, 1), Read(0x1003, 1)]);
    let wide = Rings { notification_data: true, ..RINGS };
    assert!(transport.enable_queue(QUEUE, &wide).is_err());
}

#[test]
fn decoding_is_switched_on_where_every_bar_has_an_address() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let (access, gpu) = Windowed::new(&machine, &device);
    machine.set(gpu, 0x20, 0x4000_000c);
    through(&access, gpu);
    assert_eq!(machine.get(gpu, 4) & 7, 2);
    // One that does not decode may still have a window that works.
    machine.set_register(gpu, 4, 0x0010_0000, 0);
    through(&access, gpu);
}

#[test]
fn a_device_without_a_window_is_named() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let (access, gpu) = Windowed::new(&machine, &device);
    let open = || PciTransport::through_window(&access, gpu).map(drop);
    let missing = Err(PciError::MissingStructure(Structure::PciConfig));
    for head in [0x0513_4009, 0x0614_4009, 0x0514_4005] {
        machine.set(gpu, AT, head); // too short, of an unknown type, not a vendor's
        assert_eq!(open(), missing);
    }
    let nowhere = FunctionAddress::new(0, 9, 0).unwrap();
    assert_eq!(PciTransport::through_window(&access, nowhere).map(drop), Err(PciError::NotPresent(nowhere)));
    // What is wrong with a structure is seen here, too.
    machine.set(gpu, AT, 0x0514_4009);
    machine.set(gpu, 0x48, 0x4000);
    let outside = PciError::RegionOutsideBar { structure: Structure::Common, bar: 4, offset: 0x4000 };
    assert_eq!(open(), Err(outside));
    assert_eq!(*access.accesses.borrow(), 0);
}

// shows: pci.layout.pci-cfg-cap.3
#[test]
fn outside_the_block_nothing_happens() {
    let (machine, device) = (Machine::new(), Device::new(&[0]));
    let (access, gpu) = Windowed::new(&machine, &device);
    let regs = ConfigWindow::find(&access, gpu).unwrap().onto(4, 0x2000, 6).unwrap();
    for regs in [&regs, &regs.reopen().unwrap()] {
        device.bench.put(DEVICE, &[1, 2, 3, 4, 5, 6]);
        assert_eq!((regs.len(), regs.read8(5), regs.read16(4), regs.read32(0)), (6, 6, 0x0605, 0x0403_0201));
        device.take();
        access.accesses.set(0);
        assert_eq!((regs.read8(6), regs.read16(6), regs.read16(1)), (0xff, 0xffff, 0xffff));
        assert_eq!((regs.read32(4), regs.read32(2), regs.read8(usize::MAX)), (u32::MAX, u32::MAX, 0xff));
        regs.write8(6, 0);
        regs.write16(5, 0);
        regs.write32(4, 0);
        regs.write32(usize::MAX - 3, 0);
        assert_eq!((device.take(), *access.accesses.borrow()), ([].into(), 0));
    }
    // Its registers have 32 bits, and it starts where any width is aligned.
    let window = ConfigWindow::find(&access, gpu).unwrap();
    assert!(window.onto(4, 0xffff_fffc, 4).is_some());
    for (start, len) in [(0xffff_fffc, 5), (1 << 32, 1), (u64::MAX, 1), (2, 1), (4, usize::MAX)] {
        assert!(window.onto(4, start, len).is_none(), "{start:#x}+{len:#x}");
    }
}
