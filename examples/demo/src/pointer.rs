//! The hardware cursor: an arrow that the GPU lays over the screen.

use virtio::gpu::{CursorImage, CursorPosition, Gpu, GpuError, Screen};
use virtio::{Hal, Transport};

static ARROW: CursorImage = CursorImage::from_pattern(&[
    "#",
    "##",
    "#o#",
    "#oo#",
    "#ooo#",
    "#oooo#",
    "#ooooo#",
    "#oooooo#",
    "#ooooooo#",
    "#oooooooo#",
    "#ooooooooo#",
    "#oooooooooo#",
    "#oooooo#####",
    "#ooo#oo#",
    "#oo##oo#",
    "#o#  #oo#",
    "##   #oo#",
    "#     #oo#",
    "      #oo#",
    "       ##",
]);

/// Steps of a journey across the screen.
const STEPS: u32 = 64;

/// Where the cursor is, if it is shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pointer(Option<CursorPosition>);

impl Pointer {
    /// Shows the cursor in the upper left corner and moves it to the middle of the screen; hides it if it was
    /// shown. Answers where it is now.
    ///
    /// # Errors
    ///
    /// Those of the GPU.
    pub fn toggle<T: Transport, H: Hal + Clone + 'static, B>(
        &mut self,
        gpu: &mut Gpu<T, H>,
        screen: &Screen<B>,
    ) -> Result<Option<CursorPosition>, GpuError> {
        if self.0.take().is_some() {
            gpu.hide_cursor()?;
            return Ok(None);
        }
        let at = |step: u32| {
            let part = |length: u32| length / 2 * step / STEPS;
            CursorPosition::new(screen.scanout(), part(screen.width()), part(screen.height()))
        };
        gpu.set_cursor(&ARROW, 0, 0, at(0))?;
        for step in 1..=STEPS {
            gpu.move_cursor(at(step))?;
        }
        self.0 = Some(at(STEPS));
        Ok(self.0)
    }
}
