//! Numbers of commands and responses (VIRTIO 1.4 §5.7.6.7). Open sets: what a device says is kept, known or not.

use core::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $code:ident = $value:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(u32);

        impl $name {
            $($(#[$item])* pub const $code: Self = Self($value);)+

            /// Wraps a number.
            #[must_use]
            pub const fn new(code: u32) -> Self {
                Self(code)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The specification's name, without its prefix, if it has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($code)),)+
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{:#06x}", self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#06x}: {})"), self.0, self.name().unwrap_or("unknown"))
            }
        }
    };
}

codes! {
    /// What a command asks for (VIRTIO 1.4 §5.7.6.7).
    CommandType {
        /// Which displays are there, and how large.
        GET_DISPLAY_INFO = 0x0100;
        /// Make a 2D resource on the host.
        RESOURCE_CREATE_2D = 0x0101;
        /// Destroy a resource.
        RESOURCE_UNREF = 0x0102;
        /// Show a resource on a display, or nothing.
        SET_SCANOUT = 0x0103;
        /// Show what was transferred.
        RESOURCE_FLUSH = 0x0104;
        /// Copy from the backing into the resource.
        TRANSFER_TO_HOST_2D = 0x0105;
        /// Name the memory behind a resource.
        RESOURCE_ATTACH_BACKING = 0x0106;
        /// Let go of that memory.
        RESOURCE_DETACH_BACKING = 0x0107;
        /// Read a display's EDID.
        GET_EDID = 0x010a;
        /// Set the cursor's image and position.
        UPDATE_CURSOR = 0x0300;
        /// Set the cursor's position.
        MOVE_CURSOR = 0x0301;
    }
}

codes! {
    /// What a device answers (VIRTIO 1.4 §5.7.6.7).
    ResponseType {
        /// Done.
        OK_NODATA = 0x1100;
        /// Display information follows.
        OK_DISPLAY_INFO = 0x1101;
        /// Information on a capability set follows.
        OK_CAPSET_INFO = 0x1102;
        /// A capability set follows.
        OK_CAPSET = 0x1103;
        /// An EDID follows.
        OK_EDID = 0x1104;
        /// The UUID of a resource follows.
        OK_RESOURCE_UUID = 0x1105;
        /// Mapping information follows.
        OK_MAP_INFO = 0x1106;
        /// An error without a name.
        ERR_UNSPEC = 0x1200;
        /// The host has no memory for it.
        ERR_OUT_OF_MEMORY = 0x1201;
        /// There is no such display.
        ERR_INVALID_SCANOUT_ID = 0x1202;
        /// There is no such resource, or there is one already.
        ERR_INVALID_RESOURCE_ID = 0x1203;
        /// There is no such context.
        ERR_INVALID_CONTEXT_ID = 0x1204;
        /// A parameter is wrong.
        ERR_INVALID_PARAMETER = 0x1205;
    }
}

impl ResponseType {
    /// Whether the number lies in the range of errors, known or not.
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 & !0xff == 0x1200
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn names_are_shown_and_unknown_numbers_kept() {
        assert_eq!(CommandType::GET_EDID.to_string(), "GET_EDID");
        assert_eq!(ResponseType::new(0x1299).to_string(), "0x1299");
        assert_eq!(ResponseType::new(0x1299).get(), 0x1299);
    }

    #[test]
    fn errors_are_a_range() {
        for code in 0..0x2000 {
            assert_eq!(ResponseType::new(code).is_error(), (0x1200..0x1300).contains(&code), "{code:#x}");
        }
    }
}
