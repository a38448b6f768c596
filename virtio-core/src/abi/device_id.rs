//! Device types (VIRTIO 1.4 §5).

use core::fmt;

/// The virtio device id (VIRTIO 1.4 §5): which kind of device this is. An open set: unknown ids are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeviceId(u32);

impl DeviceId {
    /// Wraps a number read from a device.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Network device (id 1).
    pub const NET: Self = Self(1);
    /// Block device (id 2).
    pub const BLOCK: Self = Self(2);
    /// Console (id 3).
    pub const CONSOLE: Self = Self(3);
    /// Entropy source (id 4).
    pub const ENTROPY: Self = Self(4);
    /// Memory ballooning, traditional (id 5).
    pub const BALLOON: Self = Self(5);
    /// ioMemory (id 6).
    pub const IO_MEMORY: Self = Self(6);
    /// Remote processor messaging (id 7).
    pub const RPMSG: Self = Self(7);
    /// SCSI host (id 8).
    pub const SCSI: Self = Self(8);
    /// 9P transport (id 9).
    pub const NINE_P: Self = Self(9);
    /// mac80211 wireless (id 10).
    pub const WLAN: Self = Self(10);
    /// Remote processor serial (id 11).
    pub const RPROC_SERIAL: Self = Self(11);
    /// CAIF (id 12).
    pub const CAIF: Self = Self(12);
    /// Memory balloon (id 13).
    pub const MEMORY_BALLOON: Self = Self(13);
    /// GPU device (id 16).
    pub const GPU: Self = Self(16);
    /// Real time clock (id 17).
    pub const RTC: Self = Self(17);
    /// Input device (id 18).
    pub const INPUT: Self = Self(18);
    /// Socket device (id 19).
    pub const SOCKET: Self = Self(19);
    /// Crypto device (id 20).
    pub const CRYPTO: Self = Self(20);
    /// Signal distribution module (id 21).
    pub const SIGNAL_DISTRIBUTION: Self = Self(21);
    /// pstore device (id 22).
    pub const PSTORE: Self = Self(22);
    /// IOMMU (id 23).
    pub const IOMMU: Self = Self(23);
    /// Memory device (id 24).
    pub const MEMORY: Self = Self(24);
    /// Sound device (id 25).
    pub const SOUND: Self = Self(25);
    /// File system device (id 26).
    pub const FILE_SYSTEM: Self = Self(26);
    /// Persistent memory (id 27).
    pub const PMEM: Self = Self(27);
    /// Replay protected memory block (id 28).
    pub const RPMB: Self = Self(28);
    /// mac80211 simulated wireless (id 29).
    pub const HWSIM: Self = Self(29);
    /// Video encoder (id 30).
    pub const VIDEO_ENCODER: Self = Self(30);
    /// Video decoder (id 31).
    pub const VIDEO_DECODER: Self = Self(31);
    /// System control and management interface (id 32).
    pub const SCMI: Self = Self(32);
    /// Nitro secure module (id 33).
    pub const NITRO_SECURE: Self = Self(33);
    /// I2C adapter (id 34).
    pub const I2C: Self = Self(34);
    /// Watchdog (id 35).
    pub const WATCHDOG: Self = Self(35);
    /// CAN device (id 36).
    pub const CAN: Self = Self(36);
    /// Parameter server (id 38).
    pub const PARAMETER_SERVER: Self = Self(38);
    /// Audio policy device (id 39).
    pub const AUDIO_POLICY: Self = Self(39);
    /// Bluetooth device (id 40).
    pub const BLUETOOTH: Self = Self(40);
    /// GPIO device (id 41).
    pub const GPIO: Self = Self(41);
    /// RDMA device (id 42).
    pub const RDMA: Self = Self(42);
    /// Camera (id 43).
    pub const CAMERA: Self = Self(43);
    /// Internal shared memory device (id 44).
    pub const ISM: Self = Self(44);
    /// SPI controller (id 45).
    pub const SPI: Self = Self(45);
    /// Trusted execution environment (id 46).
    pub const TEE: Self = Self(46);
    /// CPU balloon (id 47).
    pub const CPU_BALLOON: Self = Self(47);
    /// Media device (id 48).
    pub const MEDIA: Self = Self(48);
    /// USB controller (id 49).
    pub const USB: Self = Self(49);

    /// A lower-case English name, or `None` for an id the specification does not list.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "network",
            2 => "block",
            3 => "console",
            4 => "entropy",
            5 => "balloon",
            6 => "io memory",
            7 => "rpmsg",
            8 => "scsi",
            9 => "nine p",
            10 => "wlan",
            11 => "rproc serial",
            12 => "caif",
            13 => "memory balloon",
            16 => "gpu",
            17 => "rtc",
            18 => "input",
            19 => "socket",
            20 => "crypto",
            21 => "signal distribution",
            22 => "pstore",
            23 => "iommu",
            24 => "memory",
            25 => "sound",
            26 => "file system",
            27 => "pmem",
            28 => "rpmb",
            29 => "hwsim",
            30 => "video encoder",
            31 => "video decoder",
            32 => "scmi",
            33 => "nitro secure",
            34 => "i2c",
            35 => "watchdog",
            36 => "can",
            38 => "parameter server",
            39 => "audio policy",
            40 => "bluetooth",
            41 => "gpio",
            42 => "rdma",
            43 => "camera",
            44 => "ism",
            45 => "spi",
            46 => "tee",
            47 => "cpu balloon",
            48 => "media",
            49 => "usb",
            _ => return None,
        })
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({}: {})", self.0, self.name().unwrap_or("unknown"))
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "device type {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn unknown_ids_are_kept() {
        assert_eq!(DeviceId::new(999).get(), 999);
        assert_eq!(DeviceId::new(999).to_string(), "device type 999");
        assert_eq!(DeviceId::GPU.to_string(), "gpu");
    }

    #[test]
    fn every_listed_id_has_a_name() {
        // The specification's table leaves out 0, 14, 15 and 37.
        let unnamed = (0..=49).filter(|&id| DeviceId::new(id).name().is_none());
        assert!(unnamed.eq([0, 14, 15, 37]));
    }
}
