//! The driver's side of a scripted device: a transport without registers.

use std::fmt;

use virtio_core::config::check_access;
use virtio_core::transport::{
    Doorbell, DoorbellWidth, InterruptStatus, QueueReset, Rings, Transport, TransportInfo,
};
use virtio_core::{
    DeviceId, Endpoint, Error, Features, Incompatible, Interrupts, Misuse, QueueIndex, Status,
};

use crate::device::{FakeDevice, QueueResetStyle, Reset, State};
use crate::queue::FakeQueue;
use crate::ring::DeviceQueue;
use crate::trace::Event;

/// A [`Transport`] to a [`FakeDevice`], in memory.
///
/// It is strict: a driver that takes status bits back without a reset, accepts features that were not offered, enables a
/// queue before FEATURES_OK, or for the first time after DRIVER_OK, rings a doorbell before DRIVER_OK, tells the wrong
/// position with it, or resets a queue without `RING_RESET` has broken the specification, and fails the test.
pub struct FakeTransport {
    device: FakeDevice,
}

impl fmt::Debug for FakeTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FakeTransport").field(&self.device).finish()
    }
}

impl FakeTransport {
    pub(crate) fn new(device: FakeDevice) -> Self {
        Self { device }
    }
}

impl State {
    fn acknowledge(&mut self) -> InterruptStatus {
        self.memory.record(Event::InterruptAck);
        InterruptStatus::from_bits_retain(std::mem::take(&mut self.interrupt))
    }

    fn window(&self, window: u32) -> u32 {
        if self.aliases_windows { window.min(1) } else { window }
    }

    fn reads_status(&mut self) -> Status {
        match self.resetting {
            Some(0) => self.power_on(),
            Some(left) => self.resetting = Some(left - 1),
            None => {}
        }
        self.status
    }

    fn write_status(&mut self, status: Status) {
        if status.is_empty() {
            match self.reset {
                // Status 0 says that a reset is over: where it is 0 already, there is nothing to wait for.
                _ if self.status.is_empty() => self.power_on(),
                Reset::AtOnce => self.power_on(),
                Reset::AfterReads(reads) => self.resetting = Some(reads),
                Reset::Never => {}
            }
            return;
        }
        let lost = self.status - status - Status::DEVICE_NEEDS_RESET;
        if !lost.is_empty() {
            self.memory.fault(format!("status {:?} loses {lost:?} without a reset", status));
        }
        let mut status = status;
        let asks = status.contains(Status::FEATURES_OK) && !self.status.contains(Status::FEATURES_OK);
        if asks && !self.keeps_features_ok() {
            status -= Status::FEATURES_OK;
        }
        if status.contains(Status::DRIVER_OK) && !self.legacy && !status.contains(Status::FEATURES_OK) {
            self.memory.fault("DRIVER_OK without FEATURES_OK".into());
        }
        self.status = status;
    }

    fn keeps_features_ok(&self) -> bool {
        let accepted = self.features();
        if self.legacy {
            self.memory.fault("FEATURES_OK on a legacy device".into());
        }
        if !self.offered.contains(accepted) {
            let beyond = accepted - self.offered;
            self.memory.fault(format!("the driver accepts {:#x}, which is not offered", beyond.bits()));
        }
        // A device of version 1 may refuse a driver that is not.
        let stale = self.offered.contains(Features::VERSION_1) && !accepted.contains(Features::VERSION_1);
        !self.refuses_features && !stale
    }

    /// The upper half of a notification is where the driver has got to, or nothing (VIRTIO 1.4 §2.9).
    fn check_position(&mut self, index: u16, position: u16) {
        let (memory, carries) = (self.memory.clone(), self.features().contains(Features::NOTIFICATION_DATA));
        if !carries {
            if position != 0 {
                memory.fault(format!("the doorbell of queue {index} carries {position:#06x}"));
            }
            return;
        }
        let Some(ring) = self.queue(index).and_then(|queue| queue.ring.as_ref()) else { return };
        match ring.published(&memory) {
            Ok(due) if due == position => {}
            Ok(due) => memory.fault(format!(
                "the doorbell of queue {index} carries {position:#06x}, where {due:#06x} is published"
            )),
            // Recorded where it was found.
            Err(_) => {}
        }
    }
}

impl Transport for FakeTransport {
    fn info(&self) -> TransportInfo {
        let version = if self.is_legacy() { "legacy" } else { "modern" };
        TransportInfo { name: "virtio-testkit", version }
    }

    fn device_id(&self) -> DeviceId {
        self.device.state().id
    }

    fn is_legacy(&self) -> bool {
        self.device.state().legacy
    }

    fn status(&self) -> Status {
        let mut state = self.device.state();
        let status = state.reads_status();
        state.memory.record(Event::StatusRead(status));
        status
    }

    fn set_status(&mut self, status: Status) {
        let mut state = self.device.state();
        state.memory.record(Event::StatusWrite(status));
        state.write_status(status);
    }

    fn device_features(&mut self, window: u32) -> u32 {
        let state = self.device.state();
        if state.legacy && window > 0 {
            state.memory.fault(format!("feature window {window} of a legacy device was read"));
        }
        let bits = state.offered.window(state.window(window));
        state.memory.record(Event::FeaturesRead { window, bits });
        bits
    }

    fn set_driver_features(&mut self, window: u32, bits: u32) {
        let mut state = self.device.state();
        state.memory.record(Event::FeaturesWrite { window, bits });
        if state.legacy && window > 0 {
            state.memory.fault(format!("feature window {window} of a legacy device was written"));
        }
        if state.status.contains(Status::FEATURES_OK) {
            state.memory.fault("features were written after FEATURES_OK".into());
        }
        let window = state.window(window);
        if let Some(place) = usize::try_from(window).ok().and_then(|window| state.accepted.get_mut(window)) {
            *place = bits;
        }
    }

    fn queue_max_size(&mut self, queue: QueueIndex) -> u16 {
        self.device.state().queue(queue.get()).map_or(0, |queue| queue.max)
    }

    fn dictates_queue_size(&self) -> bool {
        self.device.state().dictates_queue_size
    }

    fn enable_queue(&mut self, queue: QueueIndex, rings: &Rings) -> Result<Doorbell, Error> {
        let mut state = self.device.state();
        state.memory.record(Event::QueueEnabled { queue, rings: *rings });
        let due = if state.legacy { Status::DRIVER } else { Status::FEATURES_OK };
        if !state.status.contains(due) {
            state.memory.fault(format!("queue {queue} was enabled before {due:?}"));
        }
        let features = state.features();
        if rings.notification_data != features.contains(Features::NOTIFICATION_DATA) {
            state.memory.fault(format!("queue {queue}: notification_data is {}", rings.notification_data));
        }
        let late = state.status.contains(Status::DRIVER_OK);
        let (legacy, dictates) = (state.legacy, state.dictates_queue_size);
        let memory = state.memory.clone();
        let marks_written = state.marks_written;
        let at = state.queue(queue.get()).ok_or(Incompatible::NoQueue(queue))?;
        if at.enabled {
            return Err(Incompatible::QueueBusy(queue).into());
        }
        if late && !at.was_reset {
            memory.fault(format!("queue {queue} was enabled after DRIVER_OK"));
        }
        if rings.size > at.max || (dictates && rings.size != at.max) {
            memory.fault(format!("queue {queue} has {} entries, the device allows {}", rings.size, at.max));
        }
        match DeviceQueue::new(*rings, features, legacy) {
            Ok(mut ring) => {
                if let (DeviceQueue::Packed(side), false) = (&mut ring, marks_written) {
                    side.never_mark_written();
                }
                at.ring = Some(ring);
            }
            Err(why) => memory.fault(format!("queue {queue}: {why}")),
        }
        at.enabled = true;
        Ok(Doorbell { offset: 0, value: u32::from(queue.get()), width: DoorbellWidth::Bits32 })
    }

    fn reset_queue(&mut self, queue: QueueIndex) {
        let mut state = self.device.state();
        state.memory.record(Event::QueueResetWrite(queue));
        if !state.features().contains(Features::RING_RESET) {
            state.memory.fault(format!("queue {queue} was reset without RING_RESET"));
        }
        let (style, memory) = (state.queue_reset, state.memory.clone());
        let Some(at) = state.queue(queue.get()).filter(|at| at.enabled) else {
            memory.fault(format!("queue {queue} was reset, but is not enabled"));
            return;
        };
        match style {
            QueueResetStyle::AtOnce => at.resetting = Some(0),
            QueueResetStyle::AfterReads(reads) => at.resetting = Some(reads),
            QueueResetStyle::Never => at.resetting = Some(u32::MAX),
            QueueResetStyle::Ignored => {}
        }
        if at.resetting == Some(0) {
            at.reset();
            at.was_reset = true;
        }
    }

    fn queue_reset(&mut self, queue: QueueIndex) -> QueueReset {
        let mut state = self.device.state();
        let answer = state.queue(queue.get()).map_or(QueueReset::Done, FakeQueue::reads_reset);
        state.memory.record(Event::QueueResetRead { queue, answer });
        answer
    }

    fn notify(&self, doorbell: Doorbell) {
        let mut state = self.device.state();
        let [a, b, c, d] = doorbell.value.to_le_bytes();
        let (index, position) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        state.memory.record(Event::Notify(QueueIndex::new(index)));
        if !state.status.contains(Status::DRIVER_OK) {
            state.memory.fault(format!("queue {index} was notified before DRIVER_OK"));
        }
        if state.queue(index).is_none_or(|queue| !queue.enabled) {
            state.memory.fault(format!("queue {index} was notified, but is not enabled"));
        }
        state.check_position(index, position);
        let manual = state.manual;
        drop(state);
        if !manual {
            self.device.process(index);
        }
    }

    fn ack_interrupt(&self) -> InterruptStatus {
        self.device.state().acknowledge()
    }

    fn config_generation(&self) -> u32 {
        self.device.state().generation
    }

    fn has_config_generation(&self) -> bool {
        self.device.state().has_generation
    }

    fn config_len(&self) -> usize {
        self.device.state().config.len()
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Error> {
        let mut state = self.device.state();
        state.memory.record(Event::ConfigRead { offset, len: bytes.len() });
        check_access(offset, bytes.len(), state.config.len())?;
        bytes.copy_from_slice(&state.config[offset..offset + bytes.len()]);
        if state.unsettled > 0 {
            state.unsettled -= u32::from(state.unsettled != u32::MAX);
            state.generation = state.generation.wrapping_add(1);
            state.config.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        }
        Ok(())
    }

    fn write_config(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        let mut state = self.device.state();
        state.memory.record(Event::ConfigWrite { offset, bytes: bytes.to_vec() });
        check_access(offset, bytes.len(), state.config.len())?;
        state.config[offset..offset + bytes.len()].copy_from_slice(bytes);
        if let Some(mut hook) = state.on_config_write.take() {
            hook(&mut state.config, offset, bytes);
            state.on_config_write = Some(hook);
        }
        Ok(())
    }

    fn cut_off(&mut self) -> bool {
        let mut state = self.device.state();
        state.memory.record(Event::CutOff);
        state.cut_off |= state.can_be_cut_off;
        state.cut_off
    }
}

/// The one interrupt of a [`FakeDevice`], for a handler.
pub struct FakeEndpoint {
    device: FakeDevice,
}

impl fmt::Debug for FakeEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FakeEndpoint").field(&self.device).finish()
    }
}

impl Endpoint for FakeEndpoint {
    fn ack(&self) -> InterruptStatus {
        self.device.state().acknowledge()
    }
    fn serves(&self, _queue: QueueIndex) -> bool {
        true
    }
}

impl Interrupts for FakeTransport {
    type Endpoint = FakeEndpoint;

    fn endpoint(&self, vector: u16) -> Result<FakeEndpoint, Error> {
        if vector != 0 {
            return Err(Misuse::NoSuchVector.into());
        }
        Ok(FakeEndpoint { device: self.device.clone() })
    }
}
