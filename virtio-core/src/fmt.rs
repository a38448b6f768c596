//! Logging, defined once: `log`, `defmt`, both, or nothing. Nothing on a request path logs.
//!
//! `defmt` is only called on bare-metal targets: on a host its linker section and global logger do not exist, and
//! `cargo test --all-features` has to link. With every back-end off the arguments are still type-checked.

/// Something worth knowing, once per device: what was negotiated.
#[doc(hidden)]
#[macro_export]
macro_rules! log_info { ($($arg:tt)+) => { $crate::__log!(info, $($arg)+) } }

/// Something is wrong but handled: a leak on purpose, a clamped length.
#[doc(hidden)]
#[macro_export]
macro_rules! log_warn { ($($arg:tt)+) => { $crate::__log!(warn, $($arg)+) } }

#[doc(hidden)]
#[macro_export]
macro_rules! __log {
    ($level:ident, $fmt:literal $(, $arg:expr)* $(,)?) => {{
        $crate::__log_facade!($level, $fmt $(, $arg)*);
        $crate::__log_defmt!($level, $fmt $(, $arg)*);
        let _ = ($(&$arg,)*);
    }};
}

#[doc(hidden)]
#[macro_export]
#[cfg(feature = "log")]
macro_rules! __log_facade { ($level:ident, $($arg:tt)+) => { $crate::__private::log::$level!($($arg)+) } }
#[doc(hidden)]
#[macro_export]
#[cfg(not(feature = "log"))]
macro_rules! __log_facade {
    ($($arg:tt)+) => {};
}

#[doc(hidden)]
#[macro_export]
#[cfg(all(feature = "defmt", target_os = "none"))]
macro_rules! __log_defmt { ($level:ident, $($arg:tt)+) => { $crate::__private::defmt::$level!($($arg)+) } }
#[doc(hidden)]
#[macro_export]
#[cfg(not(all(feature = "defmt", target_os = "none")))]
macro_rules! __log_defmt {
    ($($arg:tt)+) => {};
}

/// Implements `defmt::Format` for a bitflags type by its raw bits (the derive does not support them).
#[doc(hidden)]
#[macro_export]
macro_rules! defmt_bits {
    ($name:ident) => {
        #[cfg(feature = "defmt")]
        impl defmt::Format for $name {
            fn format(&self, f: defmt::Formatter<'_>) {
                defmt::write!(f, "{=str}({=u128:#x})", stringify!($name), u128::from(self.bits()));
            }
        }
    };
}
