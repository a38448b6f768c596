//! The terminal's screen: a virtio GPU, and the serial line behind it.

use crate::console::Output;
use crate::edid::Monitor;
use crate::platform::Platform;
use crate::pointer::Pointer;
use crate::terminal::Terminal;
use embedded_graphics::geometry::Size;
use virtio::gpu::{CursorPosition, Gpu, GpuError, GpuEvent, Screen, ScreenBuffer};
use virtio::transport::InterruptStatus;
use virtio::{Hal, Transport};

/// A GPU with a screen on it.
#[derive(Debug)]
pub struct Display<'p, P, T: Transport, H: Hal + Clone + 'static> {
    platform: &'p P,
    gpu: Gpu<T, H>,
    screen: Screen<ScreenBuffer<H>>,
    pointer: Pointer,
}

impl<'p, P: Platform, T: Transport, H: Hal + Clone + 'static> Display<'p, P, T, H> {
    /// Brings the GPU up, with a screen of the size its display asks for.
    ///
    /// # Errors
    ///
    /// Those of the GPU.
    pub fn new(platform: &'p P, transport: T, hal: H) -> Result<Self, GpuError> {
        Self::on(platform, Gpu::new(transport, hal)?)
    }

    fn on(platform: &'p P, mut gpu: Gpu<T, H>) -> Result<Self, GpuError> {
        let screen = gpu.screen()?;
        Ok(Self { platform, gpu, screen, pointer: Pointer::default() })
    }

    /// The screen's size in pixels.
    pub fn size(&self) -> Size {
        Size::new(self.screen.width(), self.screen.height())
    }

    /// The GPU.
    pub fn gpu(&self) -> &Gpu<T, H> {
        &self.gpu
    }

    /// Asks the monitor that shows the screen what it is.
    ///
    /// # Errors
    ///
    /// Those of [`Monitor::read`].
    pub fn monitor(&mut self) -> Result<Monitor, GpuError> {
        Monitor::read(&mut self.gpu, self.screen.scanout())
    }

    /// Shows the hardware cursor, or hides it ([`Pointer::toggle`]).
    ///
    /// # Errors
    ///
    /// Those of the GPU.
    pub fn toggle_pointer(&mut self) -> Result<Option<CursorPosition>, GpuError> {
        self.pointer.toggle(&mut self.gpu, &self.screen)
    }

    /// Follows up on an interrupt that was not about a queue.
    ///
    /// # Errors
    ///
    /// Those of the GPU.
    pub fn attend(&mut self) -> Result<Option<GpuEvent>, GpuError> {
        self.gpu.attend(InterruptStatus::CONFIG)
    }

    /// Brings the GPU up again, with a new screen that shows nothing yet.
    ///
    /// # Errors
    ///
    /// Those of the GPU.
    pub fn recover(self) -> Result<Self, GpuError> {
        // First the GPU, which uses the screen's memory until it is reset.
        let gpu = self.gpu.recover()?;
        drop(self.screen);
        Self::on(self.platform, gpu)
    }

    /// Takes the screen off the display, and gives the screen's memory and the GPU up.
    ///
    /// # Errors
    ///
    /// Those of the GPU. It is reset in any case.
    pub fn close(mut self) -> Result<(), GpuError> {
        drop(self.gpu.close(self.screen)?);
        Ok(())
    }
}

impl<P: Platform, T: Transport, H: Hal + Clone + 'static> Output for Display<'_, P, T, H> {
    type Error = GpuError;

    fn show(&mut self, terminal: &mut Terminal) -> Result<(), GpuError> {
        let mut framebuffer = self.gpu.framebuffer(&mut self.screen)?;
        let Ok(()) = terminal.draw(&mut framebuffer.canvas()?);
        framebuffer.flush()
    }

    fn send(&mut self, bytes: &[u8]) {
        self.platform.serial_write(bytes);
    }
}
