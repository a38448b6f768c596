//! Ports for tasks that wait, rather than ask again and again.

mod control;
mod reader;
mod writer;

use core::future::{Future, poll_fn};
use core::mem;
use core::pin::pin;
use core::task::Poll;

use virtio_core::dma::Lend;
use virtio_core::queue::AsyncPort;
use virtio_core::{Error, Hal, Misbehaved, Transport};

pub use control::AsyncControl;
pub use reader::AsyncReader;
pub use writer::AsyncWriter;

use crate::ConsoleError;

/// Lets other tasks have their turn.
async fn turn() {
    let mut over = false;
    poll_fn(|context| {
        if mem::replace(&mut over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Waits for `future`, which listens to the bell of `port`, or until there is a `reason` not to: `None` then. Who makes a reason
/// rings that bell afterwards.
async fn unless<P: Lend, T: Transport + ?Sized, H: Hal, F: Future>(
    port: &AsyncPort<'_, P, T, H>,
    future: F,
    reason: impl Fn() -> bool,
) -> Result<Option<F::Output>, ConsoleError> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(output)));
        }
        // Only now, when it listens.
        if reason() {
            // What came before the reason was there before it was seen: once more, then.
            return Poll::Ready(Ok(match future.as_mut().poll(context) {
                Poll::Ready(output) => Some(output),
                Poll::Pending => None,
            }));
        }
        if port.needs_reset() {
            return Poll::Ready(Err(Error::from(Misbehaved::NeedsReset).into()));
        }
        Poll::Pending
    })
    .await
}
