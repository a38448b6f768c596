//! Our queues and our driver of disks against the disks of a qemu-storage-daemon, over vhost-user: no guest, no QEMU machine.
#![cfg(target_os = "linux")]

mod blk;
mod case;
mod configuration;
mod executor;
mod interrupts;
mod raw;
mod reset;
