//! The configuration space. A field's offset stands there twice, in a way: it is written down, and it has to follow from the
//! fields before it.

virtio_core::config_space! {
    /// `virtio_dice_config`.
    pub(crate) struct DiceConfig {
        /// The most dice in one throw.
        MAX_DICE: u16 = 0,
        /// The sides of a die. With `F_SIDES` only.
        SIDES: u8 = 2,
        RESERVED: u8 = 3,
    }
}
