//! 2D resources: made, filled, shown, destroyed, and undone half-way.
//!
//! A resource always has a backing. Its id is the number of its attachment, so the two cannot be mixed up: a detach always
//! names the resource whose backing it gives back.

use virtio_core::device::NotDetached;
use virtio_core::dma::{Attachment, Exclusive, ReadBuffer};
use virtio_core::{Hal, Transport};

use crate::abi::{
    ResourceAttachBacking, ResourceCreate2d, ResourceDetachBacking, ResourceFlush, ResourceUnref,
    TransferToHost2d,
};
use crate::command::{Control, Fence};
use crate::error::{GpuError, ScreenError};
use crate::format::{BYTES_PER_PIXEL, Format};
use crate::rect::Rect;

/// Size and format of a resource, whose bytes can be counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) format: Format,
    /// Bytes of all rows.
    pub(crate) bytes: usize,
}

impl Shape {
    pub(crate) fn new(width: u32, height: u32, format: Format) -> Result<Self, GpuError> {
        let count = |pixels: u32| usize::try_from(pixels).ok().filter(|pixels| *pixels > 0);
        let bytes = count(width)
            .and_then(|width| width.checked_mul(BYTES_PER_PIXEL))
            .and_then(|stride| stride.checked_mul(count(height)?))
            .filter(|bytes| isize::try_from(*bytes).is_ok())
            .ok_or(GpuError::BadSize { width, height })?;
        Ok(Self { width, height, format, bytes })
    }

    pub(crate) fn bounds(&self) -> Rect {
        Rect::new(0, 0, self.width, self.height)
    }

    /// Where the pixel at `x`, `y` lies. For one inside the bounds, whose bytes were counted.
    fn offset(&self, x: u32, y: u32) -> u64 {
        let pixels = u64::from(y).saturating_mul(self.width.into()).saturating_add(x.into());
        pixels.saturating_mul(4)
    }

    /// First byte and number of bytes from the first to the last pixel of `area`, which lies inside the bounds.
    fn span(&self, area: &Rect) -> Option<(usize, usize)> {
        let first = self.offset(area.x, area.y);
        let end = self.offset(area.right(), area.bottom().checked_sub(1)?);
        Some((usize::try_from(first).ok()?, usize::try_from(end.checked_sub(first)?).ok()?))
    }
}

/// A 2D resource with its backing.
#[derive(Debug)]
pub(crate) struct Resource<B> {
    attachment: Attachment<B>,
    id: u32,
    pub(crate) shape: Shape,
}

impl<B> Resource<B> {
    /// Its number, never 0.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }
}

/// What is left of a resource that could not be destroyed.
pub(crate) enum Left<B> {
    Resource(Resource<B>),
    Buffer(B),
}

impl<T: Transport, H: Hal + Clone> Control<T, H> {
    /// Makes a resource over `buffer`. Whatever fails, what was done before is undone.
    pub(crate) fn make<B: ReadBuffer>(
        &mut self,
        buffer: B,
        shape: Shape,
    ) -> Result<Resource<B>, ScreenError<B>> {
        let attachment = match self.device.attach(buffer) {
            Ok(attachment) => attachment,
            Err(refused) => {
                return Err(ScreenError { error: refused.error.into(), buffer: Some(refused.payload) });
            }
        };
        let (id, exists) = match self.create(&attachment, shape) {
            Ok(id) => (id, true),
            Err((error, exists)) => {
                let id = u32::try_from(attachment.id()).unwrap_or(0);
                return Err(ScreenError { error, buffer: self.unmake(attachment, id, exists) });
            }
        };
        let backing = ResourceAttachBacking { resource_id: id.into(), ..Default::default() };
        match self.order_attaching(backing, &attachment) {
            Ok(()) => Ok(Resource { attachment, id, shape }),
            Err(error) => Err(ScreenError { error, buffer: self.unmake(attachment, id, exists) }),
        }
    }

    /// Checks the backing and creates the resource. The error says whether the device may have it all the same.
    fn create<B: ReadBuffer>(
        &mut self,
        attachment: &Attachment<B>,
        shape: Shape,
    ) -> Result<u32, (GpuError, bool)> {
        let local = |error| (error, false);
        let id = u32::try_from(attachment.id()).map_err(|_| local(GpuError::OutOfIds))?;
        let len = self.device.attachment_len(attachment).map_err(|error| local(error.into()))?;
        if len < shape.bytes {
            return Err(local(GpuError::BufferTooSmall { len, needed: shape.bytes }));
        }
        let create = ResourceCreate2d {
            resource_id: id.into(),
            format: shape.format.code().into(),
            width: shape.width.into(),
            height: shape.height.into(),
            ..Default::default()
        };
        self.order(create, Fence::No).map_err(|error| (error, !error.is_refusal()))?;
        Ok(id)
    }

    /// Undoes a resource that was not finished. The buffer comes back if the device does not know of it, or destroys the
    /// resource and says so.
    fn unmake<B: 'static>(&mut self, attachment: Attachment<B>, id: u32, exists: bool) -> Option<B> {
        let unref = ResourceUnref { resource_id: id.into(), ..Default::default() };
        match self.device.withdraw(attachment) {
            Ok(buffer) => {
                if exists {
                    // The resource has no backing. If it stays, it costs the host memory until the reset, no more.
                    let _ = self.order(unref, Fence::Yes);
                }
                Some(buffer)
            }
            Err(NotDetached { attachment, .. }) => self.order_detaching(unref, attachment).ok(),
        }
    }

    /// Destroys a resource that is not shown: takes its backing back first.
    pub(crate) fn destroy<B: 'static>(&mut self, resource: Resource<B>) -> Result<B, (GpuError, Left<B>)> {
        let Resource { attachment, id, shape } = resource;
        let detach = ResourceDetachBacking { resource_id: id.into(), ..Default::default() };
        let buffer = match self.order_detaching(detach, attachment) {
            Ok(buffer) => buffer,
            Err(NotDetached { error, attachment }) => {
                return Err((error, Left::Resource(Resource { attachment, id, shape })));
            }
        };
        let unref = ResourceUnref { resource_id: id.into(), ..Default::default() };
        match self.order(unref, Fence::Yes) {
            Ok(()) => Ok(buffer),
            Err(error) => Err((error, Left::Buffer(buffer))),
        }
    }

    /// An error for a resource of another device, and once the device was taken down.
    pub(crate) fn check<B: 'static>(&mut self, resource: &Resource<B>) -> Result<(), GpuError> {
        self.device.attachment_len(&resource.attachment)?;
        Ok(())
    }

    /// The backing, to draw into: just the bytes of the pixels.
    pub(crate) fn bytes<B: Exclusive>(&mut self, resource: &Resource<B>) -> Result<&mut [u8], GpuError> {
        let bytes = self.device.attachment_bytes(&resource.attachment)?;
        let (len, needed) = (bytes.len(), resource.shape.bytes);
        bytes.get_mut(..needed).ok_or(GpuError::BufferTooSmall { len, needed })
    }

    /// Copies an area that lies inside the bounds from the backing to the host. With the fence, the backing may be drawn
    /// into again at once.
    pub(crate) fn transfer<B: 'static>(
        &mut self,
        resource: &Resource<B>,
        area: Rect,
    ) -> Result<(), GpuError> {
        let shape = &resource.shape;
        let Some((start, len)) = shape.span(&area) else { return Ok(()) };
        self.device.sync_attachment(&resource.attachment, start, len)?;
        let transfer = TransferToHost2d {
            r: area.into(),
            offset: shape.offset(area.x, area.y).into(),
            resource_id: resource.id.into(),
            ..Default::default()
        };
        self.order(transfer, Fence::Yes)
    }

    /// Shows what was transferred, wherever the resource is shown.
    pub(crate) fn flush<B>(&mut self, resource: &Resource<B>, area: Rect) -> Result<(), GpuError> {
        let flush = ResourceFlush { r: area.into(), resource_id: resource.id.into(), ..Default::default() };
        self.order(flush, Fence::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format::B8G8R8X8;

    #[test]
    fn sizes_are_counted_or_refused() {
        assert_eq!(Shape::new(1024, 768, FORMAT).map(|shape| shape.bytes), Ok(1024 * 768 * 4));
        for (width, height) in [(0, 1), (1, 0), (0, 0), (u32::MAX, u32::MAX)] {
            assert_eq!(Shape::new(width, height, FORMAT), Err(GpuError::BadSize { width, height }));
        }
        // The product fits a 64-bit count, and a wire field would truncate it.
        if usize::BITS == 64 {
            assert_eq!(Shape::new(1 << 16, 1 << 15, FORMAT).map(|shape| shape.bytes), Ok(1 << 33));
        } else {
            assert!(Shape::new(1 << 16, 1 << 15, FORMAT).is_err());
        }
    }

    #[test]
    fn spans_run_from_the_first_to_the_last_pixel() {
        let shape = Shape::new(10, 8, FORMAT).unwrap();
        for (area, span) in [
            (Rect::new(0, 0, 10, 8), (0, 320)),
            (Rect::new(3, 2, 1, 1), (92, 4)),
            (Rect::new(3, 2, 4, 3), (92, 96)),
            (Rect::new(9, 7, 1, 1), (316, 4)),
        ] {
            assert_eq!(shape.span(&area), Some(span), "{area:?}");
            assert_eq!(shape.offset(area.x, area.y), span.0 as u64);
        }
    }
}
