//! Words that need no queue (VIRTIO 1.4 §5.3.4, §5.3.5): for a kernel that has just started, or is about to end.
//!
//! ```
//! use core::fmt::Write;
//! use virtio_console::Emergency;
//! use virtio_core::Transport;
//!
//! /// Nothing is set up, there is no memory, or all is lost.
//! fn last_words(transport: &mut impl Transport) {
//!     let Ok(mut console) = Emergency::new(transport) else { return };
//!     let _ = writeln!(console, "panic at {}", "main.rs:7");
//! }
//! # let hal = virtio_testkit::TestHal::new();
//! # let said = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
//! # let ear = said.clone();
//! # let device = virtio_testkit::FakeDevice::builder(virtio_core::DeviceId::CONSOLE)
//! #     .features(virtio_core::Features::VERSION_1 | virtio_core::Features::bit(2))
//! #     .config([0; 12])
//! #     .on_config_write(move |_, offset, bytes| {
//! #         assert_eq!((offset, bytes.len()), (8, 4));
//! #         ear.lock().unwrap().push(bytes[0]);
//! #     })
//! #     .build(&hal);
//! # last_words(&mut device.transport());
//! # assert_eq!(*said.lock().unwrap(), b"panic at main.rs:7\n");
//! ```

use core::fmt;

use virtio_core::config::{ByteOrder, WritableValue};
use virtio_core::{DeviceId, Error, Features, Incompatible, Transport};

use crate::ConsoleError;
use crate::abi::{ConsoleConfig, F_EMERG_WRITE};

/// The configuration space of a console, to be written to. It may be in any state: one that was never reset, one that
/// a driver has given back, one that its driver has lost.
#[derive(Debug)]
pub struct Emergency<'t, T: ?Sized> {
    transport: &'t mut T,
}

impl<'t, T: Transport + ?Sized> Emergency<'t, T> {
    /// Looks whether the device can do it.
    ///
    /// # Errors
    /// [`ConsoleError::NoEmergencyWrite`] if the device does not offer it; [`Incompatible::WrongDevice`].
    pub fn new(transport: &'t mut T) -> Result<Self, ConsoleError> {
        let id = transport.device_id();
        if id != DeviceId::CONSOLE {
            return Err(Error::from(Incompatible::WrongDevice(id)).into());
        }
        let offered = Features::from_window(0, transport.device_features(0));
        if !offered.contains(F_EMERG_WRITE) {
            return Err(ConsoleError::NoEmergencyWrite);
        }
        Ok(Self { transport })
    }

    /// Writes text, one register access a byte.
    ///
    /// # Errors
    /// [`Incompatible::ConfigTooSmall`] if there is no such field.
    pub fn write(&mut self, text: &[u8]) -> Result<(), ConsoleError> {
        let order = if self.transport.is_legacy() { ByteOrder::Native } else { ByteOrder::Little };
        for byte in text {
            let wire = u32::from(*byte).to_wire(order);
            self.transport.write_config(ConsoleConfig::EMERG_WR.offset(), &wire)?;
        }
        Ok(())
    }
}

/// As [`Emergency::write`].
impl<T: Transport + ?Sized> fmt::Write for Emergency<'_, T> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes()).map_err(|_| fmt::Error)
    }
}
