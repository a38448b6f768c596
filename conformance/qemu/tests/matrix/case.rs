//! What a case is, and what cases have in common.

use std::time::Duration;

use qemu_bench::{BenchHal, Device, Machine, Options, Way};
use virtio::device::{Device as Live, Init, Wanted};
use virtio::queue::QueueSpec;
use virtio::{Error, Features, Hal, Transport};

/// For what takes microseconds, on a loaded host.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A device that is up, reached in a way.
pub(crate) type Up<W> = Live<<W as Way>::Transport, BenchHal>;

/// One check of one device.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn(&Machine) + Send>,
}

/// Cases that share a machine.
pub(crate) struct Group {
    /// The transport, for the table.
    pub(crate) way: &'static str,
    pub(crate) options: Options,
    pub(crate) cases: Vec<Case>,
}

impl Group {
    /// Adds a case over a device of the machine.
    pub(crate) fn case(&mut self, what: &str, id: &str, run: impl Fn(&Machine, &Device) + Send + 'static) {
        let device =
            self.options.devices.iter().find(|device| device.id == id).expect("a device of this id").clone();
        let name = format!("{}/{}/{}/{what}", self.options.board.name, self.way, device.rings.name());
        self.cases.push(Case { name, run: Box::new(move |machine| run(machine, &device)) });
    }
}

/// Nothing but what the device was told to offer of rings, nor of its own features.
pub(crate) fn wanted() -> Wanted<'static> {
    Wanted::default()
}

/// Brings a device up, with one queue.
pub(crate) fn up<W: Way>(machine: &Machine, device: &Device, spec: QueueSpec) -> Up<W> {
    let live = try_up::<W>(machine, device, &wanted(), spec).expect("a device that comes up");
    let expected = device.rings.features();
    assert_eq!(qemu_bench::Rings::of(live.features()), expected, "rings of {}", device.id);
    let info = live.transport_info().unwrap();
    assert_eq!((info.name, info.version), W::INFO);
    live
}

/// As `up`, for a device that may have reasons not to.
pub(crate) fn try_up<W: Way>(
    machine: &Machine,
    device: &Device,
    wanted: &Wanted<'_>,
    spec: QueueSpec,
) -> Result<Up<W>, Error> {
    bring_up(W::open(machine, device), machine.hal(), device, wanted, spec)
}

/// As `try_up`, on a transport that is there already.
pub(crate) fn bring_up<T: Transport, H: Hal + Clone>(
    transport: T,
    hal: H,
    device: &Device,
    wanted: &Wanted<'_>,
    spec: QueueSpec,
) -> Result<Live<T, H>, Error> {
    Init::start(transport, hal, device.kind.id())?.negotiate(wanted)?.queues(&[spec])?.live()
}

/// Takes a device down; it has to read as reset then.
pub(crate) fn down<T: Transport, H: Hal + Clone>(live: Live<T, H>) -> T {
    let transport = live.dismantle().expect("a reset that is confirmed");
    assert!(transport.status().is_empty(), "status after the reset: {:?}", transport.status());
    transport
}

/// Whether the interface is the legacy one: it has no VERSION_1.
pub(crate) fn is_legacy(features: Features) -> bool {
    !features.contains(Features::VERSION_1)
}
