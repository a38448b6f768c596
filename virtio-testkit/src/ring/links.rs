//! Which descriptors of a split table are the device's.

/// The chains in flight: by descriptor, what follows it in its chain (itself, at the end).
#[derive(Clone, Debug)]
pub(super) struct Links {
    next: Vec<Option<u16>>,
    heads: Vec<bool>,
}

impl Links {
    pub(super) fn new(size: u16) -> Self {
        Self { next: vec![None; usize::from(size)], heads: vec![false; usize::from(size)] }
    }

    /// Takes a chain over.
    ///
    /// # Errors
    /// If one of its descriptors is in flight already.
    pub(super) fn take(&mut self, chain: &[u16]) -> Result<(), String> {
        if let Some(twice) = chain.iter().find(|index| self.next[usize::from(**index)].is_some()) {
            return Err(format!("descriptor {twice} is in flight already"));
        }
        for (place, &index) in chain.iter().enumerate() {
            self.next[usize::from(index)] = Some(chain.get(place + 1).copied().unwrap_or(index));
        }
        if let Some(&head) = chain.first() {
            self.heads[usize::from(head)] = true;
        }
        Ok(())
    }

    /// Gives the chain of `head` back, if there is such a one.
    pub(super) fn release(&mut self, head: u32) {
        let Ok(mut at) = usize::try_from(head) else { return };
        if !self.heads.get_mut(at).is_some_and(std::mem::take) {
            return;
        }
        while let Some(next) = self.next[at].take() {
            at = usize::from(next);
        }
    }

    /// Gives everything back: after a lie nobody knows what the driver believes.
    pub(super) fn forget(&mut self) {
        self.next.fill(None);
        self.heads.fill(false);
    }
}
