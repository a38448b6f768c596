//! The least that runs futures, and counts who wakes them.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future with a waker of its own, polled by hand.
pub(crate) struct Task<'f, O> {
    future: Option<Pin<Box<dyn Future<Output = O> + 'f>>>,
    wakes: Arc<Wakes>,
    waker: Waker,
    seen: usize,
}

impl<'f, O> Task<'f, O> {
    pub(crate) fn new(future: impl Future<Output = O> + 'f) -> Self {
        let wakes = Arc::new(Wakes::default());
        Self { future: Some(Box::pin(future)), waker: Waker::from(wakes.clone()), wakes, seen: 0 }
    }

    /// As `new`, and polled once, without an answer yet.
    pub(crate) fn waiting(future: impl Future<Output = O> + 'f) -> Self {
        let mut task = Self::new(future);
        assert!(task.poll().is_none(), "there is an answer already");
        task
    }

    pub(crate) fn poll(&mut self) -> Option<O> {
        let waker = self.waker.clone();
        self.poll_with(&waker)
    }

    pub(crate) fn poll_with(&mut self, waker: &Waker) -> Option<O> {
        let future = self.future.as_mut().expect("polled after its end");
        match future.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(output) => {
                self.future = None;
                Some(output)
            }
            Poll::Pending => None,
        }
    }

    /// How often it was woken since the last time this was asked.
    pub(crate) fn woken(&mut self) -> usize {
        let now = self.wakes.count();
        let since = now - self.seen;
        self.seen = now;
        since
    }

    /// Whether anybody can still wake it: somebody besides the task itself keeps its waker.
    pub(crate) fn can_be_woken(&self) -> bool {
        Arc::strong_count(&self.wakes) > 2
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.future.is_some()
    }

    pub(crate) fn cancel(&mut self) {
        self.future = None;
    }
}

/// Which of the tasks were woken, and how often; those that were not are left out.
pub(crate) fn woken<O>(tasks: &mut [Task<'_, O>]) -> Vec<(usize, usize)> {
    tasks.iter_mut().enumerate().map(|(n, task)| (n, task.woken())).filter(|(_, times)| *times > 0).collect()
}
