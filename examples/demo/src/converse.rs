//! The shell at work: one task that waits for keys, for the serial line, and for what its devices have to say.
//!
//! On interrupts it sleeps until a handler wakes it; polled, it asks everybody again and again. All the rest is the same.

use crate::background::{Background, Loss};
use crate::commands::{self, Next};
use crate::console::Console;
use crate::discover::AnyDevice;
use crate::disk::Drive;
use crate::entropy::Entropy;
use crate::executor::Woken;
use crate::interrupts::Source;
use crate::inventory::Inventory;
use crate::keyboard::{Keyboard, Typing};
use crate::net::Progress;
use crate::platform::Platform;
use crate::rest::Rest;
use crate::screen::Display;
use crate::shell::{Command, LineEditor, PROMPT};
use crate::style::{PLAIN, WARN};
use core::fmt::{self, Write};
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use virtio::Hal;
use virtio::gpu::{GpuError, GpuEvent};
use virtio::input::InputError;

/// The demo's only task.
static WOKEN: Woken = Woken::new();

/// The screen that a shell writes to.
pub type Screen<'t, 'p, 'c, P, H> = Console<'t, Display<'p, P, AnyDevice<'c, P>, H>>;

/// What commands look at, besides the screen.
pub struct Surroundings<'s, 'c, P: Platform, H: Hal + Clone + 'static> {
    /// The kernel.
    pub platform: &'s P,
    /// Everything found.
    pub inventory: &'s Inventory,
    /// No interrupts are used.
    pub polled: bool,
    /// How long the CPU has slept.
    pub rest: &'s Rest,
    /// The entropy device, if there is one.
    pub entropy: Option<Entropy<'c, P, H>>,
    /// The disk, if there is one.
    pub disk: Option<Drive<AnyDevice<'c, P>, H>>,
    /// What goes on beside the shell.
    pub background: Background<'c, P, H>,
}

impl<P: Platform, H: Hal + Clone> fmt::Debug for Surroundings<'_, '_, P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("polled", &self.polled).finish_non_exhaustive()
    }
}

/// How long the CPU stays awake for an alarm, where no timer wakes it. What is later than that is done when something else does.
const VIGIL: Duration = Duration::from_secs(30);

/// Runs a task; while it waits the CPU sleeps, at the longest until the alarm of `rest`, which counts how long.
pub fn block_on<P: Platform, F: Future>(platform: &P, rest: &Rest, task: F) -> F::Output {
    let hal = platform.hal();
    WOKEN.block_on(task, |awake| {
        let from = hal.now();
        match from.and_then(|now| rest.alarm(now)) {
            Some(Duration::ZERO) => platform.handlers().other().raise(),
            Some(left) if !platform.set_alarm(left) && left < VIGIL => platform.sleep(&|| true),
            _ => {
                platform.sleep(awake);
                if let (Some(from), Some(to)) = (from, hal.now()) {
                    rest.slept(from, to);
                }
            }
        }
    })
}

/// Reads lines from both ends and carries them out, until `off`. What it takes to go on when a device asks for attention
/// is done here, between two turns of the conversation.
///
/// # Errors
///
/// The GPU is lost.
pub fn shell<'c, P: Platform, H: Hal + Clone + 'static>(
    mut console: Screen<'_, '_, 'c, P, H>,
    mut around: Surroundings<'_, 'c, P, H>,
    mut keyboard: Option<Keyboard<AnyDevice<'c, P>, H>>,
) -> Result<(), GpuError> {
    let (platform, rest) = (around.platform, around.rest);
    let mut editor = LineEditor::new();
    loop {
        let turn = turn(&mut console, &mut around, &mut editor, keyboard.as_mut());
        let lost = match block_on(platform, rest, turn)? {
            Turn::Off => return console.into_output().close(),
            Turn::Gpu => {
                console = console.change(Display::recover)?;
                console.flush()?;
                None
            }
            Turn::Keyboard => match keyboard.take().map(Keyboard::attend) {
                None => None,
                Some(Ok(well)) => {
                    keyboard = Some(well);
                    None
                }
                Some(Err(error)) => Some(error),
            },
            Turn::Lost(error) => Some(error),
            Turn::Gone(loss) => {
                let _ = writeln!(console, "\n  {WARN}{loss}{PLAIN}");
                prompt(&mut console)?;
                None
            }
        };
        if let Some(error) = lost {
            // The serial line types as well.
            keyboard = None;
            let _ = writeln!(console, "\n  {WARN}the keyboard is lost: {error}{PLAIN}");
            prompt(&mut console)?;
        }
    }
}

/// Prints the prompt.
///
/// # Errors
///
/// The GPU is lost.
pub fn prompt<P: Platform, H: Hal + Clone + 'static>(
    console: &mut Screen<'_, '_, '_, P, H>,
) -> Result<(), GpuError> {
    let _ = console.write_str(PROMPT);
    console.flush()
}

/// Why a turn has ended.
enum Turn {
    /// The command `off`.
    Off,
    /// The GPU is to be brought up again.
    Gpu,
    /// The keyboard has something to say besides its keys.
    Keyboard,
    /// The keyboard has failed.
    Lost(InputError),
    /// Something in the background has failed.
    Gone(Loss),
}

/// Goes on until something has to be done to a device as a whole.
async fn turn<'c, P: Platform, H: Hal + Clone + 'static>(
    console: &mut Screen<'_, '_, 'c, P, H>,
    around: &mut Surroundings<'_, 'c, P, H>,
    editor: &mut LineEditor,
    keyboard: Option<&mut Keyboard<AnyDevice<'c, P>, H>>,
) -> Result<Turn, GpuError> {
    let platform = around.platform;
    let mut keys = match (keyboard, platform.handlers().bell(Source::Keyboard)) {
        (Some(keyboard), Some(bell)) if !around.polled => match keyboard.listen(bell) {
            Ok(typing) => Keys::Awaited(typing),
            Err(error) => return Ok(Turn::Lost(error)),
        },
        (Some(keyboard), _) => Keys::Asked(keyboard),
        (None, _) => Keys::None,
    };
    loop {
        let happening =
            if around.polled { ask(around, &mut keys).await } else { wait(around, &mut keys).await };
        match happening {
            Happening::Typed(byte) => {
                if let Next::Off = typed(byte, console, around, editor).await? {
                    return Ok(Turn::Off);
                }
            }
            Happening::Gpu => match console.output().attend()? {
                Some(GpuEvent::NeedsReset) => return Ok(Turn::Gpu),
                // The screen keeps its size; what a display shows of it may have been lost.
                Some(_) => {
                    console.repaint();
                    console.flush()?;
                }
                None => {}
            },
            Happening::Keyboard => return Ok(Turn::Keyboard),
            Happening::Lost(error) => return Ok(Turn::Lost(error)),
            Happening::Gone(loss) => return Ok(Turn::Gone(loss)),
        }
    }
}

/// Where keys come from.
enum Keys<'k, 'c, P: Platform, H: Hal + Clone + 'static> {
    Awaited(Typing<'k, AnyDevice<'c, P>, H>),
    Asked(&'k mut Keyboard<AnyDevice<'c, P>, H>),
    None,
}

/// What a shell waits for.
enum Happening {
    Typed(u8),
    Gpu,
    Keyboard,
    Lost(InputError),
    Gone(Loss),
}

/// Waits until an interrupt handler wakes the task for one of them.
async fn wait<P: Platform, H: Hal + Clone + 'static>(
    around: &mut Surroundings<'_, '_, P, H>,
    keys: &mut Keys<'_, '_, P, H>,
) -> Happening {
    let platform = around.platform;
    let mut key = pin!(async {
        match keys {
            Keys::Awaited(typing) => typing.next().await,
            Keys::Asked(_) | Keys::None => core::future::pending().await,
        }
    });
    let handlers = platform.handlers();
    poll_fn(|context| {
        // First of all: what happens from here on wakes the task, what happened before is seen below.
        handlers.other().register(context.waker());
        if handlers.take_attention(Source::Gpu) {
            return Poll::Ready(Happening::Gpu);
        }
        if handlers.take_attention(Source::Keyboard) {
            return Poll::Ready(Happening::Keyboard);
        }
        if let Some(byte) = platform.serial_read() {
            return Poll::Ready(Happening::Typed(byte));
        }
        if let Poll::Ready(typed) = key.as_mut().poll(context) {
            return Poll::Ready(typed.map_or_else(Happening::Lost, Happening::Typed));
        }
        match around.go_on(platform.hal().now().unwrap_or_default()) {
            Ok(Progress::More) => context.waker().wake_by_ref(),
            Ok(Progress::Until(next)) => around.rest.wake_at(next),
            Err(loss) => return Poll::Ready(Happening::Gone(loss)),
        }
        Poll::Pending
    })
    .await
}

/// Asks again and again.
async fn ask<P: Platform, H: Hal + Clone + 'static>(
    around: &mut Surroundings<'_, '_, P, H>,
    keys: &mut Keys<'_, '_, P, H>,
) -> Happening {
    let platform = around.platform;
    poll_fn(|context| {
        let key = match keys {
            Keys::Asked(keyboard) => keyboard.read(),
            Keys::Awaited(_) | Keys::None => Ok(None),
        };
        match key.map(|key| key.or_else(|| platform.serial_read())) {
            Ok(Some(byte)) => Poll::Ready(Happening::Typed(byte)),
            Err(error) => Poll::Ready(Happening::Lost(error)),
            Ok(None) => {
                if let Err(loss) = around.go_on(platform.hal().now().unwrap_or_default()) {
                    return Poll::Ready(Happening::Gone(loss));
                }
                core::hint::spin_loop();
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    })
    .await
}

/// Takes one typed byte; carries out the line that it ends.
async fn typed<'c, P: Platform, H: Hal + Clone + 'static>(
    byte: u8,
    console: &mut Screen<'_, '_, 'c, P, H>,
    around: &mut Surroundings<'_, 'c, P, H>,
    editor: &mut LineEditor,
) -> Result<Next, GpuError> {
    let line = editor.feed(byte, console);
    let next = match line {
        Ok(Some(line)) => commands::run(Command::parse(line), console, around).await,
        Ok(None) => {
            console.flush()?;
            return Ok(Next::Prompt);
        }
        Err(error) => Err(error),
    };
    console.flush()?;
    match next {
        Ok(Next::Off) => Ok(Next::Off),
        Ok(Next::Prompt) | Err(fmt::Error) => prompt(console).map(|()| Next::Prompt),
    }
}
