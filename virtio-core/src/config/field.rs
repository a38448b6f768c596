//! Fields of a configuration space, declared once: where each is, and what it holds.

use core::marker::PhantomData;

use super::{ByteOrder, Config};
use crate::transport::Transport;
use crate::{Error, Incompatible};

/// A field of a device's configuration space: an offset with a type. Made by [`config_space!`](crate::config_space).
#[derive(Debug)]
pub struct Field<V> {
    offset: usize,
    value: PhantomData<fn() -> V>,
}

impl<V> Clone for Field<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Field<V> {}

impl<V: FieldValue> Field<V> {
    /// A field at `offset`, in bytes, which is a multiple of its width.
    ///
    /// # Panics
    /// If it is not: at compile time, in a constant.
    #[must_use]
    pub const fn at(offset: usize) -> Self {
        assert!(offset & (V::ACCESS - 1) == 0, "a field lies on a multiple of its width");
        Self { offset, value: PhantomData }
    }

    /// Where it is, in bytes.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.offset
    }
}

mod sealed {
    pub trait Sealed {}
}

/// What a field can hold: an integer, or bytes (a MAC address).
pub trait FieldValue: sealed::Sealed + Sized {
    /// Bytes of the field.
    const LEN: usize;
    /// Width of the accesses to it.
    const ACCESS: usize;

    /// Reads a field.
    ///
    /// # Errors
    /// As for [`Config::get`].
    fn read<T: Transport + ?Sized>(config: &Config<'_, T>, field: Field<Self>) -> Result<Self, Error>;
}

/// What a driver may write: what one access carries.
pub trait WritableValue: FieldValue {
    /// Its bytes in the device's memory, at the start; the rest is zero.
    fn to_wire(self, order: ByteOrder) -> [u8; 4];
}

macro_rules! integers {
    ($($type:ident by $access:literal)+) => { $(
        impl sealed::Sealed for $type {}
        impl FieldValue for $type {
            const LEN: usize = size_of::<Self>();
            const ACCESS: usize = $access;

            fn read<T: Transport + ?Sized>(config: &Config<'_, T>, field: Field<Self>) -> Result<Self, Error> {
                config.$type(field.offset)
            }
        }
    )+ };
}

integers! { u8 by 1 u16 by 2 u32 by 4 u64 by 4 }

macro_rules! writable {
    ($($type:ident: $($byte:ident)+, $($zero:literal)*;)+) => { $(
        impl WritableValue for $type {
            fn to_wire(self, order: ByteOrder) -> [u8; 4] {
                let [$($byte),+] = match order {
                    ByteOrder::Little => self.to_le_bytes(),
                    ByteOrder::Native => self.to_ne_bytes(),
                };
                [$($byte,)+ $($zero),*]
            }
        }
    )+ };
}

writable! {
    u8: a, 0 0 0;
    u16: a b, 0 0;
    u32: a b c d,;
}

impl<const N: usize> sealed::Sealed for [u8; N] {}
impl<const N: usize> FieldValue for [u8; N] {
    const LEN: usize = N;
    const ACCESS: usize = 1;

    /// Byte by byte, and all of them of one state of the device.
    fn read<T: Transport + ?Sized>(config: &Config<'_, T>, field: Field<Self>) -> Result<Self, Error> {
        config.consistent(|config| {
            let mut bytes = [0; N];
            for (at, byte) in bytes.iter_mut().enumerate() {
                let offset = field.offset.checked_add(at);
                *byte = config.u8(offset.ok_or(Incompatible::ConfigTooSmall { offset: at, len: 1 })?)?;
            }
            Ok(bytes)
        })
    }
}

impl<T: Transport + ?Sized> Config<'_, T> {
    /// Reads a field. One of several accesses is read until they belong together, as [`Config::consistent`] does it.
    ///
    /// # Errors
    /// [`Incompatible::ConfigTooSmall`] if the space ends before it; [`Misbehaved::ConfigUnstable`](crate::Misbehaved).
    pub fn get<V: FieldValue>(&self, field: Field<V>) -> Result<V, Error> {
        V::read(self, field)
    }
}

/// Declares a device's configuration space: its fields, in order and without a gap, each with its type and the offset that it
/// has in the specification. An offset that does not follow from the fields before it does not compile. Reserved bytes are
/// fields, too.
///
/// ```
/// use virtio_core::{Error, Hal, Transport};
/// use virtio_core::config::ByteOrder;
/// use virtio_core::device::Device;
///
/// virtio_core::config_space! {
///     /// `virtio_dice_config`.
///     struct DiceConfig {
///         /// Sides of a die.
///         SIDES: u32 = 0,
///         RESERVED: [u8; 4] = 4,
///         /// How often it was thrown.
///         THROWS: u64 = 8,
///     }
/// }
///
/// fn sides<T: Transport, H: Hal + Clone>(device: &Device<T, H>) -> Result<u32, Error> {
///     device.config(ByteOrder::Little)?.get(DiceConfig::SIDES)
/// }
/// assert_eq!(DiceConfig::LEN, 16);
/// ```
/// ```compile_fail,E0080
/// virtio_core::config_space! {
///     struct Wrong {
///         ONE: u16 = 0,
///         TWO: u16 = 4, // 2 follows from ONE
///     }
/// }
/// ```
#[macro_export]
macro_rules! config_space {
    ($(#[$attribute:meta])* $visible:vis struct $space:ident {
        $($(#[$about:meta])* $field:ident: $value:ty = $offset:expr),+ $(,)?
    }) => {
        $(#[$attribute])*
        #[derive(Debug)]
        $visible struct $space;

        #[allow(dead_code, reason = "the table is the specification's, whole; not every field is used")]
        impl $space {
            $(
                $(#[$about])*
                $visible const $field: $crate::config::Field<$value> = $crate::config::Field::at($offset);
            )+
            /// Bytes of the space, as far as it is known.
            $visible const LEN: usize = {
                let mut end = 0;
                $(
                    assert!(end == $offset, concat!(stringify!($field), " does not follow what is before it"));
                    end += <$value as $crate::config::FieldValue>::LEN;
                )+
                end
            };
        }
        const _: usize = $space::LEN;
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_go_out_in_device_order() {
        assert_eq!(0x12_u8.to_wire(ByteOrder::Little), [0x12, 0, 0, 0]);
        assert_eq!(0x1234_u16.to_wire(ByteOrder::Little), [0x34, 0x12, 0, 0]);
        assert_eq!(0x1234_5678_u32.to_wire(ByteOrder::Little), [0x78, 0x56, 0x34, 0x12]);
        let [a, b] = 0x1234_u16.to_ne_bytes();
        assert_eq!(0x1234_u16.to_wire(ByteOrder::Native), [a, b, 0, 0]);
    }

    #[test]
    fn fields_are_where_they_were_declared() {
        crate::config_space! {
            struct Space {
                MAC: [u8; 6] = 0,
                STATUS: u16 = 6,
                CAPACITY: u64 = 8,
            }
        }
        assert_eq!((Space::MAC.offset(), Space::STATUS.offset(), Space::CAPACITY.offset()), (0, 6, 8));
        assert_eq!(Space::LEN, 16);
    }
}
