//! Random bytes from an entropy device, as many as fit a line of the terminal: waited for, or awaited.

use core::fmt;
use virtio::device::Device;
use virtio::queue::Bell;
use virtio::rng::{Rng, RngError};
use virtio::{Hal, Transport};

/// Bytes that are asked for at a time.
pub const LEN: usize = 16;

/// An entropy device.
#[derive(Debug)]
pub struct Random<T: Transport, H: Hal + Clone>(Rng<T, H>);

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
    pub fn new(transport: T, hal: H) -> Result<Self, RngError> {
        Rng::new(transport, hal).map(Self)
    }

    /// The device.
    pub fn device(&self) -> &Device<T, H> {
        self.0.device()
    }

    /// Asks for bytes and waits for them, looking at the queue again and again.
    ///
    /// # Errors
    ///
    /// The device is lost.
    pub fn read(&mut self) -> Result<Bytes, RngError> {
        let mut bytes = [0; LEN];
        let len = self.0.read(&mut bytes)?;
        Ok(Bytes { bytes, len })
    }

    /// Asks for bytes; the task is woken when they are there, by the handler of the device's interrupt, which rings `bell`.
    ///
    /// # Errors
    ///
    /// The device is lost, or the bell serves another queue.
    pub async fn awaited(&mut self, bell: &Bell) -> Result<Bytes, RngError> {
        let mut bytes = [0; LEN];
        let len = self.0.source(bell)?.read(&mut bytes).await?;
        Ok(Bytes { bytes, len })
    }
}

impl Bytes {
    /// Some of them as a number.
    pub fn number(&self) -> u64 {
        let bytes = self.bytes.iter().take(self.len).take(8);
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
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
    use virtio::DeviceId;
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
        assert_eq!(Bytes { bytes: [7; 16], len: 3 }.number(), 0x070707);
    }
}
