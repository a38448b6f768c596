//! One port, as it is kept while nobody uses it.

use core::time::Duration;

use virtio_core::device::Ports;
use virtio_core::{Error, Hal, Transport};

use crate::abi::{receiveq, transmitq};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::state::State;
use crate::writer::Buffer;
use crate::{PortId, Reader, Writer};

/// What belongs to a port besides its queues.
#[derive(Debug)]
pub(crate) struct Line<H: Hal> {
    pub(crate) inbox: Inbox<H>,
    pub(crate) outbox: Outbox,
}

impl<H: Hal + 'static> Line<H> {
    /// Both halves of the port, on the queues of a device that are left.
    #[expect(clippy::type_complexity, reason = "two halves, each with its own parameters")]
    pub(crate) fn lend<'d, T: Transport, B: Buffer>(
        &'d mut self,
        number: u16,
        ports: &mut Ports<'d, T, H>,
        state: &'d State,
        (hal, limit): (&'d H, Duration),
    ) -> Result<(Reader<'d, T, H>, Writer<'d, T, H, B>), Error> {
        let Self { inbox, outbox } = self;
        let id = PortId::new(number.into());
        let reader = Reader { id, queue: ports.take(receiveq(number))?, inbox, state, hal, limit };
        let writer = Writer { id, queue: ports.take(transmitq(number))?, outbox, state, hal, limit };
        Ok((reader, writer))
    }
}
