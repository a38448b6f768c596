//! The transport over a Hal: what is mapped, and for how long.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test fails by panicking")]

use core::cell::RefCell;
use core::num::NonZeroUsize;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};
use std::sync::Mutex;

use virtio_core::regs::NativeRegs;
use virtio_core::{DeviceId, Direction, DmaMemory, Hal, HalError, MmioKind, PhysAddr, Transport};
use virtio_pci::{AccessFns, ConfigAccess, Ecam, FunctionAddress, MsixMessage, PciError, PciTransport};

const BAR: u64 = 0x8000_0000;
const BAR_LEN: usize = 0x1000;

/// A machine whose registers at `BAR` are memory.
struct Machine {
    base: AtomicPtr<u8>,
    mapped: AtomicUsize,
    /// How many more mappings succeed.
    left: AtomicUsize,
    kinds: Mutex<Vec<MmioKind>>,
}

impl Machine {
    fn new(memory: &mut [u32; BAR_LEN / 4], left: usize) -> Self {
        Self {
            base: AtomicPtr::new(memory.as_mut_ptr().cast()),
            mapped: AtomicUsize::new(0),
            left: AtomicUsize::new(left),
            kinds: Mutex::default(),
        }
    }
}

// SAFETY: `map_mmio` stays inside the memory, which outlives the machine in each test; there is no DMA memory, so the
// promises about it are kept by never handing any out.
unsafe impl Hal for Machine {
    fn dma_alloc(&self, _: NonZeroUsize, _: Direction) -> Result<DmaMemory, HalError> {
        Err(HalError::OutOfMemory)
    }
    unsafe fn dma_dealloc(&self, _: DmaMemory, _: NonZeroUsize) {}
    fn map_mmio(&self, address: PhysAddr, len: usize, kind: MmioKind) -> Result<NativeRegs, HalError> {
        let left = self.left.load(Relaxed).checked_sub(1).ok_or(HalError::CannotMap)?;
        self.left.store(left, Relaxed);
        let start = usize::try_from(address.get() - BAR).map_err(|_| HalError::CannotMap)?;
        if start.checked_add(len).is_none_or(|end| end > BAR_LEN) {
            return Err(HalError::CannotMap);
        }
        self.mapped.fetch_add(1, Relaxed);
        self.kinds.lock().unwrap().push(kind);
        let base = NonNull::new(self.base.load(Relaxed)).ok_or(HalError::CannotMap)?;
        // SAFETY: `start <= BAR_LEN` was checked.
        let base = unsafe { base.add(start) };
        // SAFETY: the memory is aligned, inside, and touched through registers alone while the machine lives.
        Ok(unsafe { NativeRegs::new(base, len) })
    }
    unsafe fn unmap_mmio(&self, _: NativeRegs) {
        self.mapped.fetch_sub(1, Relaxed);
    }
}

/// Configuration space of one function: an entropy device with a 32-bit BAR 0 of one page.
fn entropy() -> RefCell<[u32; 64]> {
    let mut space = [0; 64];
    space[0] = 0x1044_1af4;
    space[1] = 0x0010_0000;
    space[4] = 0x8000_0000;
    space[0x34 / 4] = 0x40;
    for (at, head, offset, len) in
        [(0x40, 0x0110_5009, 0, 0x40), (0x50, 0x0310_6009, 0x40, 4), (0x60, 0x0214_0009, 0x80, 0x80)]
    {
        space[at / 4] = head;
        space[at / 4 + 2] = offset;
        space[at / 4 + 3] = len;
    }
    RefCell::new(space)
}

fn access(space: &RefCell<[u32; 64]>) -> impl ConfigAccess + '_ {
    let index = |offset: u16| usize::from(offset / 4);
    AccessFns::new(
        move |function, offset| match function.number() {
            0x0010 => space.borrow()[index(offset)],
            _ => u32::MAX,
        },
        move |_, offset, value| {
            let writable = match offset {
                0x04 => 6,
                0x10 => 0xffff_f000,
                0x70 => 0xc000_0000,
                _ => 0,
            };
            let register = &mut space.borrow_mut()[index(offset)];
            *register = *register & !writable | value & writable;
        },
    )
}

const FUNCTION: FunctionAddress = FunctionAddress::from_number(0x0010);

#[test]
fn mappings_live_as_long_as_the_transport() {
    let mut memory = [0; BAR_LEN / 4];
    memory[0x12 / 4] = u32::to_le(1 << 16); // num_queues: 1
    let machine = Machine::new(&mut memory, usize::MAX);
    let space = entropy();
    let transport = PciTransport::new(&machine, access(&space), FUNCTION).unwrap();
    assert_eq!(transport.device_id(), DeviceId::ENTROPY);
    assert_eq!(machine.mapped.load(Relaxed), 3);
    assert_eq!(*machine.kinds.lock().unwrap(), [MmioKind::Registers; 3]);
    drop(transport);
    assert_eq!(machine.mapped.load(Relaxed), 0);
}

/// The same device with MSI-X: two vectors, whose table is at 0x800 of its BAR.
fn entropy_with_msix() -> RefCell<[u32; 64]> {
    let space = entropy();
    {
        let mut space = space.borrow_mut();
        space[0x34 / 4] = 0x70;
        space[0x70 / 4] = 0x0001_4011;
        space[0x74 / 4] = 0x800;
        space[0x78 / 4] = 0x900;
    }
    space
}

#[test]
fn the_table_is_mapped_only_to_be_written() {
    let mut memory = [0; BAR_LEN / 4];
    let machine = Machine::new(&mut memory, usize::MAX);
    let space = entropy_with_msix();
    let mut transport = PciTransport::new(&machine, access(&space), FUNCTION).unwrap();
    let messages = [
        MsixMessage { address: 0x1_0000_0040, data: 7 },
        MsixMessage { address: 0x2_0000_0040, data: 8 },
        MsixMessage { address: 0x3_0000_0040, data: 9 },
    ];
    assert_eq!((transport.msix_vectors(), transport.enable_msix(&machine, &messages)), (2, Ok(2)));
    // The mappings of the transport, and no more.
    assert_eq!(machine.mapped.load(Relaxed), 3);
    assert_eq!(space.borrow()[0x70 / 4] >> 30, 3);
    drop(transport);
    assert_eq!((machine.mapped.load(Relaxed), space.borrow()[0x70 / 4] >> 30), (0, 0));
    let table = 0x800 / 4;
    let expected = [0x40, 1, 7, 0, 0x40, 2, 8, 0, 0, 0, 0, 0];
    assert_eq!(
        memory[table..table + 12].iter().map(|&word| u32::from_le(word)).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_table_that_cannot_be_mapped_leaves_the_line() {
    let mut memory = [0; BAR_LEN / 4];
    let machine = Machine::new(&mut memory, 3);
    let space = entropy_with_msix();
    let mut transport = PciTransport::new(&machine, access(&space), FUNCTION).unwrap();
    let answer = transport.enable_msix(&machine, &[MsixMessage::default()]);
    assert_eq!(answer, Err(PciError::Platform(HalError::CannotMap)));
    assert_eq!((machine.mapped.load(Relaxed), space.borrow()[0x70 / 4] >> 30), (3, 0));
}

#[test]
fn whichever_mapping_fails_none_is_left() {
    for left in 0..3 {
        let mut memory = [0; BAR_LEN / 4];
        let machine = Machine::new(&mut memory, left);
        let space = entropy();
        let answer = PciTransport::new(&machine, access(&space), FUNCTION).map(drop);
        assert_eq!(answer, Err(PciError::Platform(HalError::CannotMap)));
        assert_eq!(machine.mapped.load(Relaxed), 0);
    }
}

#[test]
fn an_ecam_window_is_mapped_as_configuration_space() {
    let mut memory = [0; BAR_LEN / 4];
    memory[0] = u32::to_le(0x1050_1af4);
    let machine = Machine::new(&mut memory, usize::MAX);
    let ecam = Ecam::map(&machine, PhysAddr::new(BAR), BAR_LEN).unwrap();
    assert_eq!(*machine.kinds.lock().unwrap(), [MmioKind::PciConfig]);
    let found: Vec<_> = virtio_pci::walk(&ecam, 0).map(|function| function.virtio_id()).collect();
    assert_eq!(found, [Some(DeviceId::GPU)]);
    drop(ecam);
    assert_eq!(machine.mapped.load(Relaxed), 0);
}
