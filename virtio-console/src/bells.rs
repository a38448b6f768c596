//! What the interrupt handler rings, for a whole console.

use virtio_core::QueueIndex;
use virtio_core::queue::Bell;

use crate::abi::{CONTROL_RECEIVEQ, CONTROL_TRANSMITQ, receiveq, transmitq};

/// The bells of a console with up to `PORTS` ports: one for each queue that somebody may wait for. They belong to the kernel, in
/// a static usually, and the handler of the device's interrupt rings them, after the [`Endpoint`](virtio_core::Endpoint) has
/// acknowledged.
///
/// ```
/// use virtio_console::Bells;
/// use virtio_core::Endpoint;
///
/// static CONSOLE: Bells = Bells::new();
///
/// fn handler(endpoint: &impl Endpoint) {
///     endpoint.ack();
///     CONSOLE.ring();
/// }
/// ```
#[derive(Debug)]
pub struct Bells<const PORTS: usize = 8> {
    pub(crate) control: Bell,
    pub(crate) ports: [PortBells; PORTS],
}

/// The bells of one port.
#[derive(Debug)]
pub(crate) struct PortBells {
    pub(crate) receive: Bell,
    pub(crate) transmit: Bell,
}

impl PortBells {
    const fn new() -> Self {
        Self { receive: Bell::new(), transmit: Bell::new() }
    }

    pub(crate) fn ring(&self) {
        self.receive.ring();
        self.transmit.ring();
    }
}

impl<const PORTS: usize> Bells<PORTS> {
    /// Bells that nobody listens to.
    #[must_use]
    pub const fn new() -> Self {
        Self { control: Bell::new(), ports: [const { PortBells::new() }; PORTS] }
    }

    /// Wakes all who wait: where one interrupt stands for all queues, and after one for the configuration.
    pub fn ring(&self) {
        self.control.ring();
        self.ports.iter().for_each(PortBells::ring);
    }

    /// Wakes who waits for one queue: where it has an interrupt of its own.
    pub fn ring_queue(&self, queue: QueueIndex) {
        if matches!(queue.get(), CONTROL_RECEIVEQ | CONTROL_TRANSMITQ) {
            self.control.ring();
        }
        for (number, port) in (0..).zip(&self.ports) {
            if queue.get() == receiveq(number) {
                port.receive.ring();
            } else if queue.get() == transmitq(number) {
                port.transmit.ring();
            }
        }
    }
}

impl<const PORTS: usize> Default for Bells<PORTS> {
    fn default() -> Self {
        Self::new()
    }
}
