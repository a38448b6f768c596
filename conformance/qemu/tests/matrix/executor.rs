//! The least that runs a future: polls it, and idles until it is woken.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `future` to its end. `idle` is called whenever nobody has woken it: it has to see to it that somebody does.
pub(crate) fn block_on<F: Future>(future: F, mut idle: impl FnMut()) -> F::Output {
    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let (mut future, waker) = (pin!(future), Waker::from(Arc::clone(&flag)));
    loop {
        if !flag.0.swap(false, Ordering::Acquire) {
            idle();
        } else if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}

/// All of these, side by side.
pub(crate) async fn all<F: Future<Output = ()>>(futures: impl IntoIterator<Item = F>) {
    let mut futures: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    std::future::poll_fn(|context| {
        for slot in &mut futures {
            if slot.as_mut().is_some_and(|future| future.as_mut().poll(context).is_ready()) {
                *slot = None;
            }
        }
        if futures.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
