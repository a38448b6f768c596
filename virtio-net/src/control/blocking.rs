//! Commands that are waited for.

use core::fmt;

use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::queue::{Bell, Port, Request};
use virtio_core::{Error, Features, Hal, Transport};

use super::asynchronous::AsyncControl;
use super::command::{Coalescing, Command, NetQueue, RxMode, Switch};
use super::encode::{ANSWER, Encoded, Terms};
use crate::MacAddress;
use crate::error::NetError;

/// The control queue. Each call sends a command and waits for its answer, no longer than [`DEFAULT_TIMEOUT`]. Made by
/// [`Net::control`](crate::Net::control) and [`Split::control`](crate::Split::control).
pub struct Control<'d, T: ?Sized, H: Hal> {
    port: Port<'d, (), T, H>,
    terms: Terms,
}

impl<T: ?Sized, H: Hal> fmt::Debug for Control<'_, T, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({:?})", self.port)
    }
}

impl<'d, T: Transport + ?Sized, H: Hal> Control<'d, T, H> {
    pub(crate) fn new(port: Port<'d, (), T, H>, terms: Terms) -> Self {
        Self { port, terms }
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Errors
    /// [`NetError::NotNegotiated`] if it needs features that the device does not have; [`NetError::Refused`] if the device will not
    /// do it; [`NetError::UnknownAnswer`], [`NetError::ShortAnswer`]; [`NetError::Core`] if it does not answer in time or broke the
    /// queue's rules. The device is not taken down by that: frames may go on. Others name what is wrong with the command.
    pub fn command(&mut self, command: Command<'_>) -> Result<(), NetError> {
        let encoded = self.terms.encode(&command)?;
        self.run(&encoded).map(drop)
    }

    pub(crate) fn run(&mut self, encoded: &Encoded) -> Result<[u8; ANSWER], NetError> {
        // Answers to what took too long, for which nobody waits any more.
        while self.port.poll()?.is_some() {}
        let request = Request::new(()).header(encoded.bytes()).response(encoded.answer);
        let token = self.port.submit(request).map_err(Error::from)?;
        let mut answer = [0; ANSWER];
        let written = self.port.wait(token, DEFAULT_TIMEOUT)?.copy_response(&mut answer);
        encoded.judge(answer.get(..written).unwrap_or_default())?;
        Ok(answer)
    }

    /// [`Command::Mode`].
    ///
    /// # Errors
    /// As for [`Control::command`].
    pub fn set_mode(&mut self, mode: RxMode, switch: Switch) -> Result<(), NetError> {
        self.command(Command::Mode(mode, switch))
    }

    /// [`Command::MacTable`].
    ///
    /// # Errors
    /// As for [`Control::command`]; [`NetError::TooManyAddresses`], [`NetError::WrongAddress`].
    pub fn set_mac_table(
        &mut self,
        unicast: &[MacAddress],
        multicast: &[MacAddress],
    ) -> Result<(), NetError> {
        self.command(Command::MacTable { unicast, multicast })
    }

    /// [`Command::SetMac`].
    ///
    /// # Errors
    /// As for [`Control::command`]; [`NetError::WrongAddress`].
    pub fn set_mac(&mut self, mac: MacAddress) -> Result<(), NetError> {
        self.command(Command::SetMac(mac))
    }

    /// [`Command::AddVlan`].
    ///
    /// # Errors
    /// As for [`Control::command`]; [`NetError::BadVlan`].
    pub fn add_vlan(&mut self, vlan: u16) -> Result<(), NetError> {
        self.command(Command::AddVlan(vlan))
    }

    /// [`Command::RemoveVlan`].
    ///
    /// # Errors
    /// As for [`Control::add_vlan`].
    pub fn remove_vlan(&mut self, vlan: u16) -> Result<(), NetError> {
        self.command(Command::RemoveVlan(vlan))
    }

    /// [`Command::AcknowledgeAnnounce`]. [`Net::attend`](crate::Net::attend) does it by itself.
    ///
    /// # Errors
    /// As for [`Control::command`].
    pub fn acknowledge_announce(&mut self) -> Result<(), NetError> {
        self.command(Command::AcknowledgeAnnounce)
    }

    /// [`Command::GuestOffloads`].
    ///
    /// # Errors
    /// As for [`Control::command`].
    pub fn set_guest_offloads(&mut self, offloads: Features) -> Result<(), NetError> {
        self.command(Command::GuestOffloads(offloads))
    }

    /// When a queue interrupts (VIRTIO 1.4 §5.1.9.5.10). Needs [`F_VQ_NOTF_COAL`](crate::abi::F_VQ_NOTF_COAL).
    ///
    /// # Errors
    /// As for [`Control::command`]; [`NetError::NoSuchPair`].
    pub fn coalescing(&mut self, queue: NetQueue) -> Result<Coalescing, NetError> {
        let encoded = self.terms.encode_query(queue)?;
        let answer = self.run(&encoded)?;
        Ok(self.terms.decode_query(&answer))
    }

    /// Makes commands awaited. The handler of the queue's interrupt rings `bell`.
    ///
    /// # Errors
    /// The queue comes back if the bell serves another.
    pub fn into_async(self, bell: &'d Bell) -> Result<AsyncControl<'d, T, H>, Self> {
        let Self { port, terms } = self;
        AsyncControl::new(port, terms, bell).map_err(|port| Self { port, terms })
    }
}
