//! Taking whatever comes next: what event and receive queues are for.

use super::{AsyncPort, Completion};
use crate::dma::Lend;
use crate::transport::Transport;
use crate::{Error, Hal, Misuse};

impl<P: Lend, T: Transport + ?Sized, H: Hal> AsyncPort<'_, P, T, H> {
    /// Waits for the next used request of those that nobody asks for by name: added with [`AsyncPort::post`], or before the
    /// port was made. Oldest first; if several tasks wait, first come, first served. `response` is filled, up to its length.
    ///
    /// Dropping the future loses nothing: the request stays for the next call.
    ///
    /// # Errors
    /// [`Error::Misbehaved`] if the queue breaks, once all that was used before was taken.
    pub async fn next(&self, response: &mut [u8]) -> Result<Completion<P>, Error> {
        self.in_line(&self.receivers, |place| {
            let mut port = self.port.borrow_mut();
            let queue = &mut *port.typed.queue;
            let slot = if place.is_next() { queue.pop_used() } else { None };
            match slot {
                Some(slot) => {
                    Some(port.complete(slot, [response, &mut []]).ok_or(Misuse::NoSuchRequest.into()))
                }
                None => queue.check().err().map(Err),
            }
        })
        .await
    }
}
