//! Direction as a type: what a device may do with a region is decided when it is declared.

use crate::hal::Direction;

mod sealed {
    pub trait Sealed {}
}

/// A direction of data flow. Sealed: [`ToDevice`], [`FromDevice`], [`Both`].
pub trait DmaDirection: sealed::Sealed + 'static {
    /// The same as a value.
    const DIRECTION: Direction;
}

/// The device may read.
pub trait DeviceReads: DmaDirection {}

/// The device may write.
pub trait DeviceWrites: DmaDirection {}

macro_rules! direction {
    ($(#[$doc:meta])* $name:ident: $($can:ident),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}
        impl sealed::Sealed for $name {}
        impl DmaDirection for $name {
            const DIRECTION: Direction = Direction::$name;
        }
        $(impl $can for $name {})+
    };
}
direction!(
    /// The driver writes, the device reads.
    ToDevice: DeviceReads
);
direction!(
    /// The device writes, the driver reads.
    FromDevice: DeviceWrites
);
direction!(
    /// Both read and write.
    Both: DeviceReads, DeviceWrites
);
