//! Sending commands: what belongs to which answer, and the one place that checks it.

use virtio_core::device::{Device, NotDetached};
use virtio_core::dma::Attachment;
use virtio_core::hal::DEFAULT_TIMEOUT;
use virtio_core::{Error, Hal, Transport};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::abi::{
    CONTROLQ, CURSORQ, CommandType, CtrlFlags, CtrlHdr, GetDisplayInfo, GetEdid, ResourceAttachBacking,
    ResourceCreate2d, ResourceDetachBacking, ResourceFlush, ResourceUnref, RespDisplayInfo, RespEdid,
    ResponseType, SetScanout, TransferToHost2d, UpdateCursor,
};
use crate::error::GpuError;

/// A command of the control queue, and the answer that belongs to it (VIRTIO 1.4 §5.7.6.8).
pub(crate) trait Command: IntoBytes + Immutable {
    const TYPE: CommandType;
    const ANSWER: ResponseType;
    type Response: FromBytes + IntoBytes;
    /// Bytes that an answer must have at least.
    const LEAST: usize = size_of::<Self::Response>();

    fn header(&mut self) -> &mut CtrlHdr;
}

macro_rules! commands {
    ($($command:ident: $kind:ident => $answer:ident, $response:ident $(, at least $least:expr)?;)+) => { $(
        impl Command for $command {
            const TYPE: CommandType = CommandType::$kind;
            const ANSWER: ResponseType = ResponseType::$answer;
            type Response = $response;
            $(const LEAST: usize = $least;)?

            fn header(&mut self) -> &mut CtrlHdr {
                &mut self.hdr
            }
        }
    )+ };
}

commands! {
    GetDisplayInfo: GET_DISPLAY_INFO => OK_DISPLAY_INFO, RespDisplayInfo;
    // A device may leave the unused end of the data out.
    GetEdid: GET_EDID => OK_EDID, RespEdid, at least core::mem::offset_of!(RespEdid, edid);
    ResourceCreate2d: RESOURCE_CREATE_2D => OK_NODATA, CtrlHdr;
    ResourceUnref: RESOURCE_UNREF => OK_NODATA, CtrlHdr;
    SetScanout: SET_SCANOUT => OK_NODATA, CtrlHdr;
    ResourceFlush: RESOURCE_FLUSH => OK_NODATA, CtrlHdr;
    TransferToHost2d: TRANSFER_TO_HOST_2D => OK_NODATA, CtrlHdr;
    ResourceAttachBacking: RESOURCE_ATTACH_BACKING => OK_NODATA, CtrlHdr;
    ResourceDetachBacking: RESOURCE_DETACH_BACKING => OK_NODATA, CtrlHdr;
}

/// Whether the answer may come before the command has taken effect (VIRTIO 1.4 §5.7.6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fence {
    /// It may.
    No,
    /// It may not.
    Yes,
}

/// What an answer must look like.
struct Expected {
    command: CommandType,
    answer: ResponseType,
    least: usize,
    fence: Option<u64>,
}

impl Expected {
    fn check(&self, answer: &[u8]) -> Result<(), GpuError> {
        let Self { command, least, .. } = *self;
        let short = |needed| Err(GpuError::ShortResponse { command, written: answer.len(), needed });
        let Ok((header, _)) = CtrlHdr::read_from_prefix(answer) else {
            return short(size_of::<CtrlHdr>());
        };
        let kind = ResponseType::new(header.kind.get());
        if kind.is_error() {
            return Err(GpuError::Refused { command, code: kind });
        }
        if kind != self.answer {
            return Err(GpuError::WrongResponse { command, answer: kind });
        }
        if answer.len() < least {
            return short(least);
        }
        let Some(sent) = self.fence else { return Ok(()) };
        let flags = CtrlFlags::from_bits_retain(header.flags.get());
        let echoed = Some(header.fence_id.get()).filter(|_| flags.contains(CtrlFlags::FENCE));
        if echoed == Some(sent) { Ok(()) } else { Err(GpuError::FenceLost { command, sent, echoed }) }
    }
}

/// A live GPU that takes commands, one at a time.
#[derive(Debug)]
pub(crate) struct Control<T: Transport, H: Hal + Clone> {
    pub(crate) device: Device<T, H>,
    fence: u64,
}

impl<T: Transport, H: Hal + Clone> Control<T, H> {
    pub(crate) fn new(device: Device<T, H>) -> Self {
        Self { device, fence: 0 }
    }

    /// Fills the header in.
    fn stamp<C: Command>(&mut self, command: &mut C, fence: Fence) -> Expected {
        let header = command.header();
        *header = CtrlHdr::command(C::TYPE);
        let fence = match fence {
            Fence::No => None,
            Fence::Yes => {
                self.fence = self.fence.wrapping_add(1);
                header.flags = CtrlFlags::FENCE.bits().into();
                header.fence_id = self.fence.into();
                Some(self.fence)
            }
        };
        Expected { command: C::TYPE, answer: C::ANSWER, least: C::LEAST, fence }
    }

    /// Sends a command and reads its answer; answers how many bytes that has.
    pub(crate) fn ask<C: Command>(
        &mut self,
        mut command: C,
        response: &mut C::Response,
    ) -> Result<usize, GpuError> {
        let expected = self.stamp(&mut command, Fence::No);
        let response = response.as_mut_bytes();
        let written = self.device.exchange(CONTROLQ, command.as_bytes(), response, DEFAULT_TIMEOUT)?;
        expected.check(response.get(..written).unwrap_or_default())?;
        Ok(written)
    }

    /// Sends a command whose answer is just "done".
    pub(crate) fn order<C: Command<Response = CtrlHdr>>(
        &mut self,
        mut command: C,
        fence: Fence,
    ) -> Result<(), GpuError> {
        let expected = self.stamp(&mut command, fence);
        let mut response = CtrlHdr::default();
        let response = response.as_mut_bytes();
        let written = self.device.exchange(CONTROLQ, command.as_bytes(), response, DEFAULT_TIMEOUT)?;
        expected.check(response.get(..written).unwrap_or_default())
    }

    /// Names the memory behind a resource.
    pub(crate) fn order_attaching<B: 'static>(
        &mut self,
        mut command: ResourceAttachBacking,
        attachment: &Attachment<B>,
    ) -> Result<(), GpuError> {
        let entries = self.device.attachment_entries(attachment)?;
        command.nr_entries =
            u32::try_from(entries).map_err(|_| Error::from(virtio_core::Misuse::TooManySegments))?.into();
        let expected = self.stamp(&mut command, Fence::No);
        let mut response = CtrlHdr::default();
        let response = response.as_mut_bytes();
        let header = command.as_bytes();
        let written =
            self.device.exchange_attaching(CONTROLQ, header, attachment, response, DEFAULT_TIMEOUT)?;
        expected.check(response.get(..written).unwrap_or_default())
    }

    /// Sends the command that makes the device let go of an attachment, with a fence: its answer is the proof.
    pub(crate) fn order_detaching<C: Command<Response = CtrlHdr>, B: 'static>(
        &mut self,
        mut command: C,
        attachment: Attachment<B>,
    ) -> Result<B, NotDetached<B, GpuError>> {
        let expected = self.stamp(&mut command, Fence::Yes);
        let mut response = CtrlHdr::default();
        self.device.detach(
            attachment,
            CONTROLQ,
            command.as_bytes(),
            response.as_mut_bytes(),
            DEFAULT_TIMEOUT,
            |answer| expected.check(answer),
        )
    }

    /// Sends a command of the cursor queue. Its answer carries nothing: devices leave it out, so there is no room for
    /// one.
    pub(crate) fn cursor(&mut self, kind: CommandType, mut command: UpdateCursor) -> Result<(), GpuError> {
        command.hdr = CtrlHdr::command(kind);
        self.device.exchange(CURSORQ, command.as_bytes(), &mut [], DEFAULT_TIMEOUT)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNREF: CommandType = CommandType::RESOURCE_UNREF;

    fn answer(kind: u32, flags: u32, fence: u64) -> CtrlHdr {
        CtrlHdr { kind: kind.into(), flags: flags.into(), fence_id: fence.into(), ..CtrlHdr::default() }
    }

    fn check(fence: Option<u64>, answer: &CtrlHdr, len: usize) -> Result<(), GpuError> {
        Expected { command: UNREF, answer: ResponseType::OK_NODATA, least: 24, fence }
            .check(&answer.as_bytes()[..len])
    }

    #[test]
    fn answers_are_allegations() {
        let fence_lost = |echoed| GpuError::FenceLost { command: UNREF, sent: 7, echoed };
        for (fence, answer, len, result) in [
            (None, answer(0x1100, 0, 0), 24, Ok(())),
            (None, answer(0x1100, 1, 99), 24, Ok(())),
            (Some(7), answer(0x1100, 1, 7), 24, Ok(())),
            (Some(7), answer(0x1100, 3, 7), 24, Ok(())),
            (Some(7), answer(0x1100, 0, 7), 24, Err(fence_lost(None))),
            (Some(7), answer(0x1100, 1, 6), 24, Err(fence_lost(Some(6)))),
            (
                Some(7),
                answer(0x1203, 0, 0),
                24,
                Err(GpuError::Refused { command: UNREF, code: ResponseType::ERR_INVALID_RESOURCE_ID }),
            ),
            (
                None,
                answer(0x12ff, 0, 0),
                24,
                Err(GpuError::Refused { command: UNREF, code: ResponseType::new(0x12ff) }),
            ),
            (
                None,
                answer(0x1101, 0, 0),
                24,
                Err(GpuError::WrongResponse { command: UNREF, answer: ResponseType::OK_DISPLAY_INFO }),
            ),
            (
                None,
                answer(0, 0, 0),
                24,
                Err(GpuError::WrongResponse { command: UNREF, answer: ResponseType::new(0) }),
            ),
            (
                None,
                answer(0x1100, 0, 0),
                23,
                Err(GpuError::ShortResponse { command: UNREF, written: 23, needed: 24 }),
            ),
            (
                None,
                answer(0x1100, 0, 0),
                0,
                Err(GpuError::ShortResponse { command: UNREF, written: 0, needed: 24 }),
            ),
        ] {
            assert_eq!(check(fence, &answer, len), result, "{answer:?} {len}");
        }
    }
}
