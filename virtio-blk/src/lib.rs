//! The virtio block device (VIRTIO 1.4 §5.2): disks of a virtual machine, for any kernel: no `std`, no heap.
//!
//! * [`Disk::new`] brings a disk up on any [`Transport`](virtio_core::Transport); [`Disk::open`] takes [`DiskOptions`].
//! * [`Disk::read`] and [`Disk::write`] wait, over slices of any length; [`Disk::flush`], [`Disk::discard`],
//!   [`Disk::write_zeroes`], [`Disk::secure_erase`], [`Disk::id`] and [`Disk::lifetime`] are the other commands.
//! * [`Disk::queue`] lends a [`Queue`], for buffers that are given away and come back: as many requests in flight as the queue
//!   holds, ended in any order. [`Disk::queues`] lends one for each CPU.
//!   Such a disk is opened for them: `let mut disk: Disk<_, _, Owned<&'static mut [u8]>> = Disk::open(transport, hal, DiskOptions::new())?`
//!   ([`Owned`]; [`Disk::new`] makes one for slices only).
//! * [`Disk::awaited`] lends an [`AsyncQueue`], whose requests are futures, woken by the interrupt handler.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit`. A kernel has its own [`Hal`](virtio_core::Hal), and a transport from
//! `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use virtio_blk::{BlkError, BlkStatus, Disk, Sector};
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let mut store = vec![0; 64 * 512];
//! # let device = FakeDevice::builder(DeviceId::BLOCK)
//! #     .config([&64_u64.to_le_bytes()[..], &[0; 88]].concat())
//! #     .queue(0, 128, move |request| {
//! #         let at = 512 * usize::from(request.readable[8]);
//! #         match request.readable[0] {
//! #             0 => Reply::Write([&store[at..at + request.writable - 1], &[0]].concat()),
//! #             1 => {
//! #                 let data = &request.readable[16..];
//! #                 store[at..at + data.len()].copy_from_slice(data);
//! #                 Reply::Write(vec![0])
//! #             }
//! #             _ => Reply::Write([vec![0; request.writable - 1], vec![2]].concat()),
//! #         }
//! #     })
//! #     .build(&hal);
//! # let transport = device.transport();
//!
//! let mut disk = Disk::new(transport, hal.clone())?;
//! assert_eq!(disk.capacity(), 64); // sectors of 512 bytes
//!
//! disk.write(Sector(8), &[7; 4096])?;
//! let mut block = [0; 4096];
//! disk.read(Sector(8), &mut block)?;
//! assert_eq!(block, [7; 4096]);
//!
//! // Beyond its end: nothing is sent.
//! let beyond = disk.read(Sector(63), &mut block).unwrap_err();
//! assert!(matches!(beyond.error, BlkError::BeyondCapacity { capacity: 64, .. }));
//! // This one has no name.
//! assert_eq!(disk.id(), Err(BlkError::Status(BlkStatus::UNSUPP)));
//! # Ok::<(), BlkError>(())
//! ```
//!
//! # What it does
//!
//! | VIRTIO 1.4 §5.2 | here |
//! |---|---|
//! | IN, OUT | [`Disk::read`], [`Disk::read_scattered`], [`Disk::write`], [`Disk::write_gathered`], [`Queue`], [`AsyncQueue`] |
//! | FLUSH, CONFIG_WCE | [`Disk::flush`], [`Disk::cache_mode`], [`Disk::set_cache_mode`] |
//! | GET_ID, LIFETIME | [`Disk::id`], [`Disk::lifetime`] |
//! | DISCARD, WRITE_ZEROES, SECURE_ERASE | [`Disk::discard`], [`Disk::write_zeroes`], [`Disk::secure_erase`] |
//! | SIZE_MAX, SEG_MAX | what is too long is several requests |
//! | RO, BLK_SIZE, TOPOLOGY, GEOMETRY | [`Disk::is_read_only`], [`Disk::limits`] |
//! | MQ | [`DiskOptions::queues`], [`Disk::queues`] |
//! | capacity that changes | [`Disk::attend`], [`Disk::refresh`] |
//! | ZONED | refused, or used: [`DiskOptions::zones`], [`Disk::zones`], [`Disk::zone_append`] |
//! | legacy devices | driven; BARRIER and SCSI are not accepted |
//!
//! # What is safe after a write
//! That depends on the disk's cache ([`CacheMode`]): in a [`WriteThrough`](CacheMode::WriteThrough) one, all that has ended; in a
//! [`WriteBack`](CacheMode::WriteBack) one, what had ended before a flush was sent that has ended, too. Requests are not ordered
//! among each other: wait for one before the next is sent where that matters. Flush where [`Disk::cache_mode`] answers `WriteBack`: a
//! disk that has no such command answers [`BlkError::Unsupported`], and needs none.
//!
//! # When something goes wrong
//! [`BlkError`] says who is at fault. A request that cannot be is not sent at all. A status other than `OK` is kept as the device
//! gave it, with how far a transfer got that was split ([`TransferError::done`]); the disk goes on. A status counts only if the
//! device says that it has written it; on a legacy device, whose lengths mean nothing, only if something other than what was
//! put there before the request is found in its place.
//!
//! # Features
//!
//! `packed` is on by default.
//!
//! * `packed`: packed virtqueues, where the device offers them.
//! * `alloc`: buffers may be `Box<[u8]>` and `Vec<u8>`, and lists of buffers `Vec`s.
//! * `embedded-sdmmc`: `SdmmcDisk`, for its FAT volumes. That crate needs Rust 1.87.
//! * `block-device-driver`: its asynchronous trait, for [`AsyncQueue`].
//! * `log`, `defmt`: logging; with `defmt`, data types and errors implement `defmt::Format`.
//!
//! This crate is safe Rust throughout, and does not panic on what a device does.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod abi;
mod about;
mod cache;
mod device;
#[cfg(feature = "block-device-driver")]
mod driver;
mod error;
mod event;
mod limits;
mod options;
mod payload;
mod pieces;
mod queue;
mod ranges;
mod rules;
#[cfg(feature = "embedded-sdmmc")]
mod sdmmc;
mod sector;
mod tasks;
mod transfer;
mod zones;

pub use abi::BlkStatus;
pub use about::{DiskId, EndOfLife, Lifetime};
pub use cache::CacheMode;
pub use device::Disk;
pub use error::{BlkError, Lost, Operation, RangesError, Refused, TransferError};
pub use event::DiskEvent;
pub use limits::{Geometry, Limits, RangeLimits, Topology};
pub use options::{DiskOptions, Zones};
pub use payload::{Buffers, Measure, Owned, Payload, Scattered};
pub use queue::{Answer, Queue, Queues};
pub use ranges::Unmap;
#[cfg(feature = "embedded-sdmmc")]
pub use sdmmc::SdmmcDisk;
pub use sector::{SECTOR_SIZE, Sector, SectorRange};
pub use tasks::AsyncQueue;
pub use zones::{Zone, ZoneLimits, ZoneModel, ZoneState, ZoneType};
