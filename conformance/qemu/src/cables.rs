//! The cables of a machine: what is at the test's end of each.

use std::collections::BTreeMap;
use std::io;
use std::process::Command;

use crate::backend::{self, Cable};
use crate::device::{Device, Kind};
use crate::scratch::Scratch;
#[cfg(target_os = "linux")]
use crate::tap::Tap;
use crate::wire::Wire;

/// There is none.
#[cfg(not(target_os = "linux"))]
type Tap = std::convert::Infallible;

/// They are there before QEMU is.
#[derive(Debug)]
pub(crate) struct Cables {
    pub(crate) wires: BTreeMap<String, Wire>,
    pub(crate) taps: BTreeMap<String, Tap>,
}

impl Cables {
    /// Those of these devices.
    pub(crate) fn new(devices: &[Device], scratch: &Scratch) -> io::Result<Self> {
        let (mut wires, mut taps) = (BTreeMap::new(), BTreeMap::new());
        for device in devices.iter().filter(|device| device.kind == Kind::Net) {
            let id = device.id.clone();
            match device.cable {
                Cable::Datagrams => {
                    let [qemu, test] = backend::cable(scratch, &id);
                    wires.insert(id, Wire::new(test, qemu)?);
                }
                Cable::Tap(queues) => {
                    taps.insert(id, tap(queues)?);
                }
            }
        }
        Ok(Self { wires, taps })
    }

    /// QEMU's files of a tap.
    pub(crate) fn files(&self, id: &str) -> Vec<i32> {
        self.taps.get(id).map(numbers).unwrap_or_default()
    }

    /// Has QEMU keep its files.
    #[cfg(target_os = "linux")]
    pub(crate) fn hand_over(&self, command: &mut Command) {
        crate::tap::hand_over(command, self.taps.values().flat_map(numbers).collect());
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, reason = "there are no files")]
    pub(crate) fn hand_over(&self, _command: &mut Command) {}
}

#[cfg(target_os = "linux")]
fn tap(queues: usize) -> io::Result<Tap> {
    Tap::new(queues)
}

#[cfg(not(target_os = "linux"))]
fn tap(_queues: usize) -> io::Result<Tap> {
    Err(io::Error::other("taps are for Linux"))
}

#[cfg(target_os = "linux")]
fn numbers(tap: &Tap) -> Vec<i32> {
    tap.numbers()
}

#[cfg(not(target_os = "linux"))]
fn numbers(tap: &Tap) -> Vec<i32> {
    match *tap {}
}
