//! Which event goes to which vector.

use virtio_core::QueueIndex;
use virtio_core::transport::InterruptStatus;

/// The vector of configuration changes, and of all that has none of its own.
pub(crate) const CONFIG_VECTOR: u16 = 0;

/// The vectors in use. With one, it is everybody's; with more, vector 0 is for configuration changes and the queues take
/// turns with the rest. A queue whose vector the device has refused shares vector 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Vectors {
    /// At least 1.
    count: u16,
    /// Queues that share vector 0, by number; those from 63 on have one bit together.
    sharing: u64,
}

impl Vectors {
    /// `count` vectors, at least 1.
    pub(crate) const fn new(count: u16) -> Self {
        Self { count, sharing: 0 }
    }

    pub(crate) const fn count(&self) -> u16 {
        self.count
    }

    /// The vector that a queue should get, unless it shares.
    pub(crate) fn own(&self, queue: QueueIndex) -> u16 {
        let others = self.count.saturating_sub(1);
        queue.get().checked_rem(others).map_or(CONFIG_VECTOR, |turn| turn.saturating_add(1))
    }

    /// Whether the device has refused the queue's own vector.
    pub(crate) fn is_sharing(&self, queue: QueueIndex) -> bool {
        self.sharing & bit(queue) != 0
    }

    /// The device has refused the queue's own vector.
    pub(crate) fn share(&mut self, queue: QueueIndex) {
        self.sharing |= bit(queue);
    }

    /// After a reset the device is asked anew.
    pub(crate) fn forget(&mut self) {
        self.sharing = 0;
    }

    /// What a message of this vector may mean.
    pub(crate) fn meaning(&self, vector: u16) -> InterruptStatus {
        if vector != CONFIG_VECTOR {
            InterruptStatus::QUEUE
        } else if self.count == 1 || self.sharing != 0 {
            InterruptStatus::QUEUE | InterruptStatus::CONFIG
        } else {
            InterruptStatus::CONFIG
        }
    }

    /// Whether a message of this vector may mean this queue.
    pub(crate) fn serves(&self, vector: u16, queue: QueueIndex) -> bool {
        let shares = self.is_sharing(queue);
        if vector == CONFIG_VECTOR && shares {
            return true;
        }
        // Where many queues have one bit, those with a vector of their own keep it.
        self.own(queue) == vector && (!shares || queue.get() >= TOGETHER)
    }
}

/// Queues from this one on have one bit together.
const TOGETHER: u16 = 63;

fn bit(queue: QueueIndex) -> u64 {
    1_u64.checked_shl(u32::from(queue.get().min(TOGETHER))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(vectors: &Vectors, vector: u16, queues: u16) -> alloc::vec::Vec<u16> {
        (0..queues).filter(|&queue| vectors.serves(vector, QueueIndex::new(queue))).collect()
    }

    #[test]
    fn one_vector_is_everybodys() {
        let vectors = Vectors::new(1);
        assert_eq!(vectors.own(QueueIndex::new(7)), 0);
        assert_eq!(vectors.meaning(0), InterruptStatus::all());
        assert_eq!(served(&vectors, 0, 4), [0, 1, 2, 3]);
        assert_eq!(served(&vectors, 1, 4), []);
    }

    #[test]
    fn queues_take_turns_with_all_but_the_first() {
        let vectors = Vectors::new(3);
        assert_eq!([0, 1, 2, 3].map(|queue| vectors.own(QueueIndex::new(queue))), [1, 2, 1, 2]);
        assert_eq!([0, 1, 2].map(|vector| vectors.meaning(vector).bits()), [2, 1, 1]);
        assert_eq!(served(&vectors, 0, 4), []);
        assert_eq!(served(&vectors, 1, 4), [0, 2]);
        assert_eq!(served(&vectors, 2, 4), [1, 3]);
        // As many vectors as a table can have, and the last queue there can be.
        let most = Vectors::new(2048);
        assert!((0..=u16::MAX).all(|queue| (1..2048).contains(&most.own(QueueIndex::new(queue)))));
    }

    #[test]
    fn a_queue_that_shares_is_served_by_the_first_alone() {
        let mut vectors = Vectors::new(3);
        vectors.share(QueueIndex::new(2));
        assert_eq!([0, 1, 2].map(|vector| vectors.meaning(vector).bits()), [3, 1, 1]);
        assert_eq!(served(&vectors, 0, 4), [2]);
        assert_eq!(served(&vectors, 1, 4), [0]);
        vectors.forget();
        assert_eq!(vectors, Vectors::new(3));
    }

    #[test]
    fn high_queues_share_one_bit_and_nobody_is_missed() {
        let mut vectors = Vectors::new(3);
        vectors.share(QueueIndex::new(64));
        for queue in [63, 64, 65, u16::MAX] {
            let queue = QueueIndex::new(queue);
            assert!(vectors.serves(0, queue) && vectors.serves(vectors.own(queue), queue));
        }
        assert!(!vectors.serves(0, QueueIndex::new(62)));
    }
}
