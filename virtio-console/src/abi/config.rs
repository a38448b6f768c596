//! The configuration space (VIRTIO 1.4 §5.3.4).

virtio_core::config_space! {
    /// `virtio_console_config`. On a legacy transport in the guest's byte order (VIRTIO 1.4 §5.3.4.1).
    pub(crate) struct ConsoleConfig {
        /// Characters in a line of port 0; with `SIZE`.
        COLS: u16 = 0,
        /// Lines of port 0; with `SIZE`.
        ROWS: u16 = 2,
        /// Ports that the device may have; with `MULTIPORT`.
        MAX_NR_PORTS: u32 = 4,
        /// A character to be written; with `EMERG_WRITE`.
        EMERG_WR: u32 = 8,
    }
}

const _: () = assert!(ConsoleConfig::LEN == 12);
