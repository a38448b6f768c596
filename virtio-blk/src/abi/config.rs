//! The configuration space (VIRTIO 1.4 §5.2.4).

virtio_core::config_space! {
    /// `virtio_blk_config`. A field means something only if its feature is offered.
    pub(crate) struct BlkConfig {
        /// Sectors of 512 bytes.
        CAPACITY: u64 = 0,
        /// The most bytes of a segment (`SIZE_MAX`).
        SIZE_MAX: u32 = 8,
        /// The most segments of a request (`SEG_MAX`).
        SEG_MAX: u32 = 12,
        /// (`GEOMETRY`)
        CYLINDERS: u16 = 16,
        HEADS: u8 = 18,
        SECTORS: u8 = 19,
        /// Bytes of a block (`BLK_SIZE`).
        BLK_SIZE: u32 = 20,
        /// Blocks of a physical block, as a power of two (`TOPOLOGY`).
        PHYSICAL_BLOCK_EXP: u8 = 24,
        /// Where the first aligned block is.
        ALIGNMENT_OFFSET: u8 = 25,
        /// The least that is not wasteful, in blocks.
        MIN_IO_SIZE: u16 = 26,
        /// The best length, in blocks.
        OPT_IO_SIZE: u32 = 28,
        /// 0 is writethrough, 1 writeback (`CONFIG_WCE`).
        WRITEBACK: u8 = 32,
        UNUSED0: u8 = 33,
        /// (`MQ`)
        NUM_QUEUES: u16 = 34,
        /// (`DISCARD`)
        MAX_DISCARD_SECTORS: u32 = 36,
        MAX_DISCARD_SEG: u32 = 40,
        DISCARD_SECTOR_ALIGNMENT: u32 = 44,
        /// (`WRITE_ZEROES`)
        MAX_WRITE_ZEROES_SECTORS: u32 = 48,
        MAX_WRITE_ZEROES_SEG: u32 = 52,
        WRITE_ZEROES_MAY_UNMAP: u8 = 56,
        UNUSED1: [u8; 3] = 57,
        /// (`SECURE_ERASE`)
        MAX_SECURE_ERASE_SECTORS: u32 = 60,
        MAX_SECURE_ERASE_SEG: u32 = 64,
        SECURE_ERASE_SECTOR_ALIGNMENT: u32 = 68,
        /// (`ZONED`)
        ZONE_SECTORS: u32 = 72,
        MAX_OPEN_ZONES: u32 = 76,
        MAX_ACTIVE_ZONES: u32 = 80,
        MAX_APPEND_SECTORS: u32 = 84,
        WRITE_GRANULARITY: u32 = 88,
        ZONE_MODEL: u8 = 92,
        UNUSED2: [u8; 3] = 93,
    }
}

const _: () = assert!(BlkConfig::LEN == 96);
