//! The virtqueue (VIRTIO 1.4 §2.6, §2.7).
//!
//! ```text
//!              descriptor table               available ring          used ring
//!             ┌──────┬─────┬───────┬──────┐  ┌───────┬─────┬────┐   ┌───────┬─────┬──────────┐
//!   driver ──►│ addr │ len │ flags │ next │  │ flags │ idx │ id │   │ flags │ idx │ id, len  │◄── device
//!   writes    ├──────┼─────┼───────┼──────┤  └───────┴──┬──┼────┤   └───────┴──┬──┼──────────┤    writes
//!             │      │     │ NEXT ─┼──►   │             │  │ id │              │  │ id, len  │
//!             └──────┴─────┴───────┴──────┘   release ──┘  └────┘    acquire ──┘  └──────────┘
//! ```
//!
//! A device owns its queues and lends [`Port`]s (`Device::port`). A request is added, then published, then the device is
//! notified: three steps, so that a batch costs one index store and at most one notification. Completions come in any
//! order, each with the payload that was submitted.
//!
//! # Invariants
//! *Rings In Place*, *Shadow Agrees*, *Slots In Place*, *Parked Once*, *Area In Place* and *State Honest* are stated where
//! the unsafe code that needs them lives, in this module's files. The four that a reader of the API should know:
//!
//! * **I-SHADOW**: shared memory is write-only for the driver. What it needs later, it keeps in private memory.
//! * **I-ALLEGE**: what a device says is checked: id in range and in flight, index moved by no more than what is in flight,
//!   length clamped to what was posted. A violated ring invariant breaks the queue; nothing panics.
//! * **I-ORDER**: descriptors, ring entry, index, full barrier, suppression field; index, acquire, element.
//! * **I-LOAN**: no safe call returns while the device still holds memory that the caller gets back.

mod area;
mod borrowed;
mod chain;
mod done;
mod event;
mod layout;
mod port;
mod set;
mod slots;
mod spec;
mod split;

pub use done::Done;
pub use port::{Port, Rejected, Request};
pub(crate) use set::QueueSet;
pub use slots::PayloadKind;
pub use spec::QueueSpec;
pub(crate) use split::Setup;
pub(crate) use split::SplitQueue as Queue;
pub use split::Token;
