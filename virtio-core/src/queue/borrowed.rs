//! Requests over borrowed slices (a room of unsafe code). Used by one caller, the loan of `device`.
#![expect(unsafe_code, reason = "lends borrowed slices")]

use core::ptr::NonNull;

use super::Queue;
use super::split::Token;
use crate::dma::Stretch;
use crate::hal::Direction;
use crate::{Error, Hal};

impl<H: Hal> Queue<H> {
    /// Adds a request over slices.
    ///
    /// # Safety
    /// The slices stay valid, and are used by nobody else, until the request is settled, or the queue released after a
    /// confirmed reset (I-LOAN).
    pub(crate) unsafe fn add_borrowed(
        &mut self,
        hal: &H,
        readable: &[&[u8]],
        writable: &mut [&mut [u8]],
    ) -> Result<Token, Error> {
        let head = self.begin()?;
        let mut built = Ok(());
        for slice in readable {
            let stretch = Stretch { memory: NonNull::from(*slice), device: None };
            built = built.and_then(|()| {
                // SAFETY: the caller's promise; a shared slice is readable, which is all the direction needs.
                unsafe { self.slots.push_stretch(hal, head, stretch, Direction::ToDevice) }
            });
        }
        for slice in writable.iter_mut() {
            let stretch = Stretch { memory: NonNull::from(&mut **slice), device: None };
            built = built.and_then(|()| {
                // SAFETY: the caller's promise; an exclusive slice is writable.
                unsafe { self.slots.push_stretch(hal, head, stretch, Direction::FromDevice) }
            });
        }
        match built.and_then(|()| self.push_back(head, 0)) {
            Ok(()) => Ok(self.commit(head, 0)),
            Err(error) => {
                self.slots.abandon(hal, head);
                Err(error)
            }
        }
    }
}
