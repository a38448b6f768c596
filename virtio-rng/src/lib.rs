//! The virtio entropy device (VIRTIO 1.4 §5.4): random bytes from the host.
//!
//! * [`Rng::new`] brings a device up on any [`Transport`](virtio_core::Transport).
//! * [`Rng::fill`] waits until a slice is full, [`Rng::read`] takes what one answer brings.
//! * [`Rng::source`] lends the device to tasks that await random bytes, on any executor, woken by the interrupt handler.
//! * [`Rng::for_buffers`] is for callers that neither wait nor await: [`Rng::submit`] gives the device a buffer, [`Rng::poll`]
//!   fetches it.
//!
//! # Example
//!
//! The device here is one of `virtio-testkit`. A kernel has its own [`Hal`](virtio_core::Hal), and a transport from
//! `virtio-mmio` or `virtio-pci`; the rest is the same.
//!
//! ```
//! use virtio_rng::Rng;
//! # use virtio_core::DeviceId;
//! # use virtio_testkit::{FakeDevice, Reply, TestHal};
//! # let hal = TestHal::new();
//! # let mut next = 0;
//! # let device = FakeDevice::builder(DeviceId::ENTROPY)
//! #     .queue(0, 8, move |_| {
//! #         next += 1;
//! #         Reply::Write(vec![next; 10])
//! #     })
//! #     .build(&hal);
//! # let transport = device.transport();
//!
//! let mut rng = Rng::new(transport, hal.clone())?;
//! let mut key = [0; 32];
//! rng.fill(&mut key)?; // 32 bytes, in however many answers
//! # assert_eq!([&[1; 10][..], &[2; 10], &[3; 10], &[4; 2]].concat(), key);
//!
//! let mut some = [0; 64];
//! let len = rng.read(&mut some)?; // one answer
//! let some = &some[..len];
//! # assert_eq!(some, [5; 10]);
//! # Ok::<(), virtio_rng::RngError>(())
//! ```
//!
//! # What counts as random
//! Only what the device says it wrote, cut to what it was asked for (VIRTIO 1.4 §5.4.6.1). Buffers are zeroed before the device
//! gets them, and behind its answer afterwards, so what a buffer held before never passes as random, nor does what a device
//! wrote and did not count. (A Hal that bounces owned buffers has to zero what it shows the device, as core's do.) After an error, a slice is zero throughout. That bytes of value zero were written by the device,
//! and that those of any value are random, nobody can tell from here.
//!
//! # Trust
//! The bytes are as good as the host that sends them, and the host knows them. For a guest whose host is
//! [trusted](virtio_core::hal::Trust::Trusted) that changes nothing: such a host could read every key anyway. A
//! [confidential](virtio_core::hal::Trust::Confidential) guest must not rely on them: let it stir them into a pool that has
//! sources of its own (an instruction of the CPU's, say), to which they do no harm, and take keys from that.
//!
//! Which of the two it is turns out at run time, and a type cannot know. Therefore [`Rng`] implements `rand_core::TryRng` (with
//! the feature `rand_core`), from which generators are seeded, but not its marker for cryptography, `TryCryptoRng`: a kernel that
//! trusts its host says so, with a wrapper of its own around [`Rng`].
//!
//! This crate is safe Rust throughout, needs no heap, and does not panic on what a device does.

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod abi;
mod buffers;
mod device;
mod error;
mod patience;
#[cfg(feature = "rand_core")]
mod rand;
mod source;

pub use buffers::{Answer, Buffer};
pub use device::Rng;
pub use error::RngError;
pub use source::Source;
