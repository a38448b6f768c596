//! Random bytes from an entropy device (VIRTIO 1.4 §5.4), which is one queue and nothing else: it is driven here by hand,
//! waiting for the device, or awaited.

use core::fmt;
use core::time::Duration;
use virtio::device::{Device, Init, Wanted};
use virtio::queue::{AsyncPort, Bell, QueueSpec, Request};
use virtio::{DeviceId, Error, Hal, Transport};

/// Bytes that are asked for at a time.
pub const LEN: usize = 16;

const QUEUE: u16 = 0;
const PATIENCE: Duration = Duration::from_secs(10);

/// An entropy device.
#[derive(Debug)]
pub struct Random<T: Transport, H: Hal + Clone>(Device<T, H>);

/// What it answered; the device may give less than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; LEN],
    len: usize,
}

impl<T: Transport, H: Hal + Clone> Random<T, H> {
    /// Brings the device up.
    ///
    /// # Errors
    ///
    /// It cannot be driven.
    pub fn new(transport: T, hal: H) -> Result<Self, Error> {
        let init = Init::start(transport, hal, DeviceId::ENTROPY)?.negotiate(&Wanted::default())?;
        Ok(Self(init.queues(&[QueueSpec::new::<()>(QUEUE, 8).response(LEN)])?.live()?))
    }

    /// The device.
    pub fn device(&self) -> &Device<T, H> {
        &self.0
    }

    /// Asks for bytes and waits for them, looking at the queue again and again.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn read(&mut self) -> Result<Bytes, Error> {
        let mut bytes = [0; LEN];
        let len = self.0.exchange(QUEUE, &[], &mut bytes, PATIENCE)?;
        Ok(Bytes { bytes, len })
    }

    /// Asks for bytes; the task is woken when they are there, by the handler of the device's interrupt, which rings `bell`.
    ///
    /// # Errors
    ///
    /// The device is lost, or the bell serves another queue ([`Error::Down`]).
    pub async fn awaited(&mut self, bell: &Bell) -> Result<Bytes, Error> {
        let port = AsyncPort::new(self.0.port::<()>(QUEUE)?, bell).map_err(|_| Error::Down)?;
        let mut bytes = [0; LEN];
        let request = port.start(Request::new(()).response(LEN), &mut bytes).map_err(Error::from)?;
        let len = request.await?.response;
        Ok(Bytes { bytes, len })
    }
}

/// In hexadecimal.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for byte in self.bytes.iter().take(self.len) {
            write!(f, "{gap}{byte:02x}")?;
            gap = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::Woken;
    use alloc::string::ToString;
    use virtio_testkit::{FakeDevice, Reply, TestHal};

    fn device(hal: &TestHal, legacy: bool) -> FakeDevice {
        let builder = FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Hold);
        if legacy { builder.legacy() } else { builder }.build(hal)
    }

    #[test]
    fn bytes_are_awaited() {
        static WOKEN: Woken = Woken::new();
        for legacy in [false, true] {
            let (hal, bell) = (TestHal::new(), Bell::new());
            let device = device(&hal, legacy);
            let mut random = Random::new(device.transport(), hal.clone()).unwrap();
            for round in 0..20 {
                let got = WOKEN.block_on(random.awaited(&bell), |_| {
                    device.complete(0, 0, &[0xab, 0, round]);
                    bell.ring();
                });
                assert_eq!(got.unwrap().to_string(), alloc::format!("ab 00 {round:02x}"));
            }
        }
    }

    #[test]
    fn bytes_are_waited_for() {
        let hal = TestHal::new();
        let device =
            FakeDevice::builder(DeviceId::ENTROPY).queue(0, 8, |_| Reply::Write([7; 16].into())).build(&hal);
        let mut random = Random::new(device.transport(), hal.clone()).unwrap();
        assert_eq!(random.read().unwrap(), Bytes { bytes: [7; 16], len: 16 });
    }
}
