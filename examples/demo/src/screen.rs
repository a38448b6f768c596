//! The terminal's screen: a virtio GPU, and the serial line behind it.

use crate::console::Output;
use crate::edid::Monitor;
use crate::platform::Platform;
use crate::pointer::Pointer;
use crate::terminal::Terminal;
use embedded_graphics::geometry::Size;
use virtio::Transport;
use virtio::gpu::{CursorPosition, Gpu, GpuError, Screen, ScreenBuffer};

/// A GPU with a screen on it.
#[derive(Debug)]
pub struct Display<'p, P: Platform, T: Transport> {
    platform: &'p P,
    gpu: Gpu<T, P::Hal>,
    screen: Screen<ScreenBuffer<P::Hal>>,
    pointer: Pointer,
}

impl<'p, P: Platform, T: Transport> Display<'p, P, T> {
    /// Brings the GPU up, with a screen of the size its display asks for.
    ///
    /// # Errors
    ///
    /// Those of the GPU.
    pub fn new(platform: &'p P, transport: T) -> Result<Self, GpuError> {
        let mut gpu = Gpu::new(transport, platform.hal())?;
        let screen = gpu.screen()?;
        Ok(Self { platform, gpu, screen, pointer: Pointer::default() })
    }

    /// The screen's size in pixels.
    pub fn size(&self) -> Size {
        Size::new(self.screen.width(), self.screen.height())
    }

    /// The GPU.
    pub fn gpu(&self) -> &Gpu<T, P::Hal> {
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

impl<P: Platform, T: Transport> Output for Display<'_, P, T> {
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
