//! What the monitor says of itself.

use crate::style::{PLAIN, STRONG, WARN, field};
use core::fmt;
use virtio::gpu::abi::EDID_ROOM;
use virtio::gpu::{Edid, Gpu, GpuError, ScanoutId};
use virtio::{Hal, Transport};

/// A monitor's EDID, and how many bytes of it the device has.
#[derive(Clone, Copy, Debug)]
pub struct Monitor {
    /// What it says.
    pub edid: Edid,
    /// Length of all blocks, in bytes.
    pub bytes: usize,
}

impl Monitor {
    /// Asks the monitor on a display.
    ///
    /// # Errors
    ///
    /// Those of the GPU, which need not offer EDIDs at all.
    pub fn read<T: Transport, H: Hal + Clone + 'static>(
        gpu: &mut Gpu<T, H>,
        scanout: ScanoutId,
    ) -> Result<Self, GpuError> {
        let mut block = [0; EDID_ROOM];
        let bytes = gpu.edid_bytes(scanout, &mut block)?;
        let edid = Edid::parse(block.get(..bytes).unwrap_or_default())?;
        Ok(Self { edid, bytes })
    }

    /// The product's name.
    pub fn name(&self) -> Option<&str> {
        self.edid.name.as_ref().map(|name| name.as_str())
    }
}

/// Prints the answer to [`Monitor::read`].
///
/// # Errors
///
/// Those of `out`.
pub fn print(out: &mut impl fmt::Write, answer: &Result<Monitor, GpuError>) -> fmt::Result {
    let monitor = match answer {
        Ok(monitor) => monitor,
        Err(error) => return writeln!(out, "  {WARN}{error}{PLAIN}"),
    };
    let edid = &monitor.edid;
    field(out, "name", format_args!("{STRONG}{}{PLAIN}", monitor.name().unwrap_or("none")))?;
    field(
        out,
        "manufacturer",
        format_args!("{}, product {:#06x}, {}", edid.manufacturer, edid.product, edid.year),
    )?;
    match edid.preferred {
        Some(mode) => field(out, "preferred", format_args!("{mode}"))?,
        None => field(out, "preferred", format_args!("none"))?,
    }
    if let Some((width, height)) = edid.size_cm {
        field(out, "picture", format_args!("{width} x {height} cm"))?;
    }
    let (version, revision) = edid.version;
    field(
        out,
        "edid",
        format_args!(
            "version {version}.{revision}, {} bytes, {} extension block{}",
            monitor.bytes,
            edid.extensions,
            if edid.extensions == 1 { "" } else { "s" }
        ),
    )
}
