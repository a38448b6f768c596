//! temporary
use crate::discover::{self, Config};
use crate::inventory::Inventory;
use crate::keyboard::Keyboard;
use crate::{Machine, Platform, banner};
use core::fmt::{self, Write};
struct Serial<'p, P>(&'p P);
impl<P: Platform> Write for Serial<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result { self.0.serial_write(text.as_bytes()); Ok(()) }
}
/// temp
pub fn run<P: Platform>(platform: P, machine: &Machine<'_>) -> ! {
    let mut log = Serial(&platform);
    {
    let config = machine.pci.as_ref().and_then(|host| Config::open(&platform, host).unwrap_or(None));
    let mut devices = discover::all(&platform, machine, config.as_ref(), &mut log);
    let mut inv = Inventory::new(&devices);
    let mut kb = None;
    for (i, f) in devices.iter_mut().enumerate() {
        if f.id == virtio::DeviceId::INPUT && let Some(t) = f.transport.take() {
            match Keyboard::new(t, platform.hal()) {
                Ok(Some(k)) => { inv.driven(i, f.id, k.input().features(), Some("keyboard")); kb = Some(k) }
                Ok(None) => {}
                Err(e) => { let _ = writeln!(log, "{e}"); }
            }
        }
    }
    inv.with_lines(|l| banner::devices(&mut log, l)).unwrap();
    inv.with_lines(|l| banner::features(&mut log, l, 80)).unwrap();
    let _ = writeln!(log, "frames {} of {}", platform.frames().used(), platform.frames().len());
    if let Some(k) = &mut kb {
        loop { match k.read() { Ok(Some(b'q')) => break, Ok(Some(c)) => { let _ = write!(log, "{}", char::from(c)); } Ok(None) => {} Err(e) => { let _ = writeln!(log, "{e}"); break } }
          if platform.serial_read() == Some(b'q') { break }
        }
    }
    }
    let _ = writeln!(log, "frames {} of {}", platform.frames().used(), platform.frames().len());
    platform.power_off(platform.frames().used() == 0)
}
