//! Memory that a device keeps, through its guard.

use core::fmt;
use core::time::Duration;

use super::guard::Parts;
use super::live::Device;
use crate::dma::{Attachment, Detached, Exclusive, ReadBuffer};
use crate::queue::Rejected;
use crate::transport::Transport;
use crate::{Error, Hal, Misuse};

/// An attachment that the device has not let go of. `E` is the error of whoever judged the device's answer.
pub struct NotDetached<B, E = Error> {
    /// Why.
    pub error: E,
    /// The attachment, which stays.
    pub attachment: Attachment<B>,
}

impl<B, E: fmt::Debug> fmt::Debug for NotDetached<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotDetached").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<B, E: fmt::Display> fmt::Display for NotDetached<B, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the device keeps its attachment: {}", self.error)
    }
}

impl<B, E: core::error::Error + 'static> core::error::Error for NotDetached<B, E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<T: Transport, H: Hal + Clone> Device<T, H> {
    /// Takes `buffer`, shares it with the device and writes the table of its entries. The device is told of it by a
    /// request that names the attachment ([`Device::exchange_attaching`]).
    ///
    /// # Errors
    /// [`Error::Platform`] and [`Misuse`](crate::Misuse); the buffer comes back.
    pub fn attach<B: ReadBuffer>(&mut self, buffer: B) -> Result<Attachment<B>, Rejected<B>> {
        let guard = &mut self.guard;
        if let Err(error) = guard.parts() {
            return Err(Rejected { error, payload: buffer });
        }
        guard.attachments.attach(&guard.hal, buffer).map_err(|(error, payload)| Rejected { error, payload })
    }

    /// Takes an attachment back that no request has named yet.
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`](crate::Misuse), also once a request has named it ([`Device::detach`] is for that);
    /// [`Error::Down`].
    pub fn withdraw<B: 'static>(&mut self, attachment: Attachment<B>) -> Result<B, NotDetached<B>> {
        match self.guard.parts() {
            Ok(parts) => parts
                .attachments
                .withdraw(attachment)
                .map_err(|(error, attachment)| NotDetached { error: error.into(), attachment }),
            Err(error) => Err(NotDetached { error, attachment }),
        }
    }

    /// How many entries the table of an attachment has.
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`](crate::Misuse), [`Error::Down`].
    pub fn attachment_entries<B: 'static>(&mut self, attachment: &Attachment<B>) -> Result<usize, Error> {
        Ok(self.guard.parts()?.attachments.count(attachment)?)
    }

    /// How many bytes an attachment has.
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`](crate::Misuse), [`Error::Down`].
    pub fn attachment_len<B: 'static>(&mut self, attachment: &Attachment<B>) -> Result<usize, Error> {
        Ok(self.guard.parts()?.attachments.len(attachment)?)
    }

    /// The attached bytes, to draw into: plain memory. Show the device what was drawn with
    /// [`Device::sync_attachment`]. Memory that is only borrowed for reading cannot be drawn into:
    ///
    /// ```compile_fail,E0277
    /// use virtio_core::{device::Device, dma::Attachment, Hal, Transport};
    /// fn no<T: Transport, H: Hal + Clone>(device: &mut Device<T, H>, text: &Attachment<&'static [u8]>) {
    ///     device.attachment_bytes(text).unwrap().fill(0);
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`](crate::Misuse), [`Error::Down`].
    pub fn attachment_bytes<B: Exclusive>(&mut self, attachment: &Attachment<B>) -> Result<&mut [u8], Error> {
        Ok(self.guard.parts()?.attachments.bytes(attachment)?)
    }

    /// Makes `len` bytes from `start` of an attachment, as last drawn, visible to the device.
    ///
    /// # Errors
    /// [`Misuse::NoSuchAttachment`](crate::Misuse), [`Misuse::BadLength`](crate::Misuse), [`Error::Down`].
    pub fn sync_attachment<B: 'static>(
        &mut self,
        attachment: &Attachment<B>,
        start: usize,
        len: usize,
    ) -> Result<(), Error> {
        Ok(self.guard.parts()?.attachments.sync(attachment, start, len)?)
    }

    /// Like [`Device::exchange`], with the attachment's table of entries behind the header.
    ///
    /// # Errors
    /// As for [`Device::exchange`]; [`Misuse::NoSuchAttachment`](crate::Misuse).
    pub fn exchange_attaching<B: 'static>(
        &mut self,
        queue: u16,
        header: &[u8],
        attachment: &Attachment<B>,
        response: &mut [u8],
        limit: Duration,
    ) -> Result<usize, Error> {
        self.exchange_with(queue, header, response, limit, |port, request| {
            port.add_attaching(request, attachment)
        })
    }

    /// Sends the request that detaches, and gives the buffer back if the device confirms it (I-RESET).
    ///
    /// `confirmed` sees the response as far as it was written, and says whether it is the device's success; it must answer
    /// `Ok` for nothing else, and the request must be the one that makes the device let go. Order the device to answer only
    /// when it has (a GPU: a fence). No type can check that: it is what a front-end is trusted with (*Honest Hands*, at
    /// [`Hal`](crate::Hal)).
    ///
    /// # Errors
    /// As for [`Device::exchange`], and what `confirmed` answers. The attachment stays.
    pub fn detach<B: 'static, E: From<Error>>(
        &mut self,
        attachment: Attachment<B>,
        queue: u16,
        header: &[u8],
        response: &mut [u8],
        limit: Duration,
        confirmed: impl FnOnce(&[u8]) -> Result<(), E>,
    ) -> Result<B, NotDetached<B, E>> {
        // Not a word to the device about what is not its own.
        let known = self.idle(&attachment);
        let answer = known.and_then(|()| self.exchange(queue, header, response, limit));
        let proof = answer.map_err(E::from).and_then(|written| {
            confirmed(response.get(..written).unwrap_or_default())?;
            Ok(Detached::confirmed())
        });
        match proof {
            Ok(proof) => {
                self.guard.attachments.release(attachment, &proof).map_err(|(error, attachment)| {
                    NotDetached { error: Error::from(error).into(), attachment }
                })
            }
            Err(error) => Err(NotDetached { error, attachment }),
        }
    }

    /// Whether the attachment is of this device, and no request that the device may still use names its table.
    fn idle<B: 'static>(&mut self, attachment: &Attachment<B>) -> Result<(), Error> {
        let Parts { queues, attachments, .. } = self.guard.parts()?;
        let id = attachments.id(attachment)?;
        if queues.all().iter().any(|queue| queue.names(id)) {
            Err(Misuse::AttachmentInUse.into())
        } else {
            Ok(())
        }
    }
}
