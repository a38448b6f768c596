//! What QEMU refuses, what it answers oddly, and what we refuse of it.

use qemu_bench::{Device, Machine, QtestRegs, Space, Way};
use virtio::device::{Init, Wanted};
use virtio::dma::Writable;
use virtio::queue::{QueueSpec, Request};
use virtio::{
    BouncePool, DeviceId, Error, Features, Hal, Incompatible, Misuse, QueueIndex, Transport, Trust,
};

use crate::case::{bring_up, down, is_legacy, try_up, wanted};
use crate::rng::{looks_random, spec, take};

type Bytes = Writable<Vec<u8>>;

/// A device behind an IOMMU keeps FEATURES_OK only for a driver that knows of it.
// shows: reserved-features.3
pub(crate) fn behind_an_iommu<W: Way>(machine: &Machine, device: &Device) {
    let without = Wanted { refused: Features::ACCESS_PLATFORM, ..wanted() };
    match try_up::<W>(machine, device, &without, spec()).unwrap_err() {
        Error::Incompatible(Incompatible::FeaturesRefused(set)) => {
            assert!(!set.contains(Features::ACCESS_PLATFORM));
        }
        other => panic!("{other}"),
    }
    for hal in [machine.hal(), machine.hal().translating()] {
        let transport = W::open(machine, device);
        let mut live = bring_up(transport, hal, device, &wanted(), spec()).unwrap();
        assert!(live.features().contains(Features::ACCESS_PLATFORM));
        let mut port = live.port::<Bytes>(0).unwrap();
        port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
        assert!(looks_random(&take(&mut port)));
        down(live);
    }
}

/// A guest that does not trust its host: buffers go through a pool, rings stay shared, and a device that cannot say that it
/// keeps to what it is given is refused.
pub(crate) fn confidential<W: Way>(machine: &Machine, device: &Device) {
    let pool = BouncePool::confidential(machine.hal(), 128 << 10).unwrap();
    assert_eq!(pool.trust(), Trust::Confidential);
    if !W::LEGACY && device.id == "iommu" {
        let mut live = bring_up(W::open(machine, device), pool.clone(), device, &wanted(), spec()).unwrap();
        let mut port = live.port::<Bytes>(0).unwrap();
        let free = pool.free();
        for _ in 0..4 {
            for _ in 0..6 {
                port.submit(Request::new(Writable(vec![0; 5000]))).unwrap();
            }
            for _ in 0..6 {
                assert!(looks_random(&take(&mut port)));
            }
        }
        assert_eq!(pool.free(), free, "the pool is whole again");
        down(live);
    } else {
        let lacks =
            if W::LEGACY { Features::VERSION_1 } else { Features::empty() } | Features::ACCESS_PLATFORM;
        let answer = bring_up(W::open(machine, device), pool, device, &wanted(), spec());
        assert_eq!(answer.unwrap_err(), Error::Incompatible(Incompatible::UnfitForConfidential(lacks)));
    }
}

/// A platform that translates has no use for a device that takes no notice.
// shows: reserved-features.5
pub(crate) fn past_the_iommu<W: Way>(machine: &Machine, device: &Device) {
    let transport = W::open(machine, device);
    let answer = bring_up(transport, machine.hal().translating(), device, &wanted(), spec());
    assert_eq!(answer.unwrap_err(), Error::Incompatible(Incompatible::BypassesTranslation));
}

/// A front-end that looks for features beyond the 64th: QEMU's MMIO shows window 1 again in their place, and takes whatever is
/// written there for window 1.
pub(crate) fn wide_features<W: Way>(machine: &Machine, device: &Device) {
    let far = Features::bit(64) | Features::bit(96) | Features::bit(127);
    let wide = Wanted { optional: far, ..wanted() };
    let mut live = try_up::<W>(machine, device, &wide, spec()).unwrap();
    assert!(live.features().contains(Features::VERSION_1));
    assert!(!live.features().intersects(far));
    let mut port = live.port::<Bytes>(0).unwrap();
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    assert!(looks_random(&take(&mut port)));
    down(live);
}

/// Queues that are not there, are declared twice, or are too small; another type of device.
pub(crate) fn wrong_declarations<W: Way>(machine: &Machine, device: &Device) {
    let up = |specs: &[QueueSpec]| {
        let init = Init::start(W::open(machine, device), machine.hal(), device.kind.id())?;
        init.negotiate(&wanted())?.queues(specs).map(drop)
    };
    let queue = |index| QueueSpec::new::<Bytes>(index, 8);
    assert_eq!(up(&[queue(1)]), Err(Incompatible::NoQueue(QueueIndex::new(1)).into()));
    // QEMU has 1024 at the most. What is beyond, its MMIO takes for the queue that was selected before.
    assert_eq!(up(&[queue(1023)]), Err(Incompatible::NoQueue(QueueIndex::new(1023)).into()));
    assert_eq!(up(&[queue(0), queue(0)]), Err(Misuse::BadQueueDeclaration.into()));
    let long = QueueSpec::new::<Bytes>(0, 4096).at_least(2048);
    let answer = up(&[long]);
    assert!(matches!(answer, Err(Error::Incompatible(Incompatible::QueueTooSmall { .. }))), "{answer:?}");
    let other = Init::start(W::open(machine, device), machine.hal(), DeviceId::NET).unwrap_err();
    assert_eq!(other, Error::Incompatible(Incompatible::WrongDevice(device.kind.id())));
    // After all that, it works.
    let live = try_up::<W>(machine, device, &wanted(), spec()).unwrap();
    down(live);
}

/// A driver that is dropped half-way, at every step, leaves the device as good as new.
pub(crate) fn given_up_half_way<W: Way>(machine: &Machine, device: &Device) {
    let start = || Init::start(W::open(machine, device), machine.hal(), device.kind.id()).unwrap();
    drop(start());
    drop(start().negotiate(&wanted()).unwrap());
    drop(start().negotiate(&wanted()).unwrap().queues(&[spec()]).unwrap());
    let mut filled = start().negotiate(&wanted()).unwrap().queues(&[spec()]).unwrap();
    filled.prefill(0, Request::new(Writable(vec![0; 64]))).unwrap();
    drop(filled);
    // Live, with requests under way.
    let mut live = try_up::<W>(machine, device, &wanted(), spec()).unwrap();
    let mut port = live.port::<Bytes>(0).unwrap();
    for _ in 0..3 {
        port.submit(Request::new(Writable(vec![0; 5000]))).unwrap();
    }
    drop(live);
    let mut live = try_up::<W>(machine, device, &wanted(), spec()).unwrap();
    let mut port = live.port::<Bytes>(0).unwrap();
    port.submit(Request::new(Writable(vec![0; 64]))).unwrap();
    assert!(looks_random(&take(&mut port)));
    down(live);
}

/// A device that offers all ring features, with each of them declined by the driver instead.
pub(crate) fn declined<W: Way>(machine: &Machine, device: &Device) {
    let offered = device.rings.features();
    for number in offered.numbers() {
        let feature = Features::bit(number);
        let without = Wanted { refused: feature, ..wanted() };
        let mut live = try_up::<W>(machine, device, &without, spec()).unwrap();
        assert_eq!(qemu_bench::Rings::of(live.features()), offered - feature);
        let mut port = live.port::<Bytes>(0).unwrap();
        for _ in 0..3 {
            port.submit(Request::new(Writable(vec![0; 5000]))).unwrap();
        }
        for _ in 0..3 {
            assert!(looks_random(&take(&mut port)));
        }
        down(live);
    }
}

/// Slots without a device are no error, and no device.
// shows: mmio.regs.10, mmio.regs.11
pub(crate) fn empty_slots(machine: &Machine, device: &Device) {
    let slots = machine.options().board.slots.unwrap();
    let mut found = 0;
    for slot in 0..slots.count {
        let base = slots.base + (slot * slots.stride) as u64;
        let regs = QtestRegs::new(machine.qtest().clone(), Space::Memory, base, slots.stride);
        found += usize::from(virtio::mmio::probe(regs).unwrap().is_some());
    }
    assert_eq!(found, machine.options().devices.len());
    assert!(machine.options().devices.iter().any(|known| known.id == device.id));
}

/// The whole bus: every function is found where it was put, as what it is.
pub(crate) fn all_functions(machine: &Machine, device: &Device) {
    let found: Vec<_> = virtio::pci::walk(machine.config(), 0)
        .filter_map(|function| function.virtio_id().map(|id| (function.address, id)))
        .collect();
    let mut there: Vec<_> =
        machine.options().devices.iter().map(|known| (known.place.function(), known.kind.id())).collect();
    there.sort_by_key(|(address, _)| address.number());
    assert_eq!(found, there);
    assert!(there.contains(&(device.place.function(), device.kind.id())));
}

/// The legacy interface has 32 feature bits, none of them VERSION_1.
pub(crate) fn legacy_features<W: Way>(machine: &Machine, device: &Device) {
    let mut transport = W::open(machine, device);
    assert!(transport.is_legacy());
    assert_eq!(transport.device_features(1), 0);
    let live = bring_up(transport, machine.hal(), device, &wanted(), spec()).unwrap();
    assert!(is_legacy(live.features()));
    let required = Wanted { required: Features::VERSION_1, ..wanted() };
    down(live);
    let answer = try_up::<W>(machine, device, &required, spec());
    assert_eq!(answer.unwrap_err(), Error::Incompatible(Incompatible::MissingFeatures(Features::VERSION_1)));
}
