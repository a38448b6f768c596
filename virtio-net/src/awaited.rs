//! Waiting for a device that may give up.

use core::future::{Future, poll_fn};
use core::pin::pin;

use virtio_core::dma::Lend;
use virtio_core::queue::AsyncPort;
use virtio_core::{Hal, Misbehaved, Transport};

/// Waits for something of `port`, unless the device asks to be reset, for then it never comes (VIRTIO 1.4 §2.1.2): the queue is
/// given up, and all who wait for it get the error. Costs one register read each time there is nothing yet.
pub(crate) async fn or_reset<P: Lend, T: Transport + ?Sized, H: Hal, F: Future>(
    port: &AsyncPort<'_, P, T, H>,
    future: F,
) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        let outcome = future.as_mut().poll(context);
        // Only now, when it listens.
        if outcome.is_pending() && port.needs_reset() {
            port.fail(Misbehaved::NeedsReset);
            // What came before is taken still.
            return future.as_mut().poll(context);
        }
        outcome
    })
    .await
}
