//! Many requests in flight, whoever's: puts in what is missing, tells the device once, takes what is done.

use core::hint::spin_loop;

use crate::{meter, ring};

/// A queue, and what goes through it.
pub trait Queue {
    /// Adds request `nth`. There is room.
    fn add(&mut self, nth: usize);
    /// Shows the device what was added, and tells it.
    fn kick(&mut self);
    /// Takes all requests that are done; how many.
    fn take(&mut self) -> usize;
}

/// Has `count` requests done, `depth` at a time, on the ring of queue `ring`. While instructions are counted, what is in flight is
/// all waited for, out of the count; otherwise it goes on as soon as something is done.
pub fn run(mut queue: impl Queue, ring: u16, depth: usize, count: usize) {
    let (mut sent, mut done) = (0, 0);
    while done < count {
        while sent < count && sent - done < depth {
            queue.add(sent);
            sent += 1;
        }
        queue.kick();
        if meter::counting() {
            ring::settle(ring);
        }
        loop {
            let taken = queue.take();
            done += taken;
            if taken > 0 {
                break;
            }
            spin_loop();
        }
    }
}
