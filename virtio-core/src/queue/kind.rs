//! The type of a queue's payloads, as data.

use core::alloc::Layout;
use core::any::TypeId;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::dma::Lend;

/// The type of a queue's payloads, as data.
#[derive(Clone, Copy)]
pub struct PayloadKind(&'static Operations);

/// What has to be known of a type to keep its values.
struct Operations {
    layout: Layout,
    id: fn() -> TypeId,
    drop: unsafe fn(NonNull<u8>),
    name: fn() -> &'static str,
}

struct Of<P>(PhantomData<P>);

impl<P: Lend> Of<P> {
    const OPERATIONS: Operations = Operations {
        layout: Layout::new::<P>(),
        id: TypeId::of::<P>,
        drop: super::slots::drop_payload::<P>,
        name: core::any::type_name::<P>,
    };
}

impl PayloadKind {
    /// Describes `P`.
    #[must_use]
    pub const fn of<P: Lend>() -> Self {
        Self(&Of::<P>::OPERATIONS)
    }

    pub(super) fn is<P: Lend>(self) -> bool {
        // One table, one type: the tables of two types differ in `id`. One type may have several tables.
        core::ptr::eq(self.0, &Of::<P>::OPERATIONS) || (self.0.id)() == TypeId::of::<P>()
    }

    pub(super) const fn layout(self) -> Layout {
        self.0.layout
    }

    /// Drops a value of the type, in place.
    pub(super) const fn drop(self) -> unsafe fn(NonNull<u8>) {
        self.0.drop
    }
}

impl fmt::Debug for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PayloadKind({})", (self.0.name)())
    }
}
