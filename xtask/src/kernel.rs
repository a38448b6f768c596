//! Building an example kernel into something QEMU boots.

use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::exec::{self, BUILD_LIMIT};
use crate::failure::{Context, Result};
use crate::serial::Decode;
use crate::setup::toolchain::Toolchain;
use crate::{elf, workspace};

/// A built kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// What the linker made.
    pub elf: PathBuf,
    /// What QEMU is given.
    pub image: PathBuf,
    /// Its serial line carries defmt frames.
    pub defmt: bool,
}

/// The package's folder in the tree.
pub fn folder(arch: Arch) -> PathBuf {
    workspace::root().join("examples").join(arch.name())
}

/// Where all kernels are built: they share what they depend on.
pub fn target_folder() -> PathBuf {
    workspace::target().join("kernels")
}

/// Builds the kernel of `arch` that lies in `folder`.
pub fn build(arch: Arch, folder: &Path, defmt: bool, toolchain: &Toolchain) -> Result<Kernel> {
    let name = format!("kernel-{}", arch.name());
    let label = if defmt { format!("building {name} with defmt") } else { format!("building {name}") };

    // Apart from building, so that the download has its own limit.
    let mut fetch = toolchain.cargo(folder, "fetch", arch.target());
    exec::run(&mut fetch, &format!("fetching what {name} depends on"), exec::DOWNLOAD_LIMIT)?
        .success(&format!("fetching what {name} depends on"))?;

    let mut cargo = toolchain.cargo(folder, "build", arch.target());
    cargo.arg("--release").arg("--target-dir").arg(target_folder());
    if defmt {
        cargo.args(["--features", "defmt"]);
    }
    exec::run(&mut cargo, &label, BUILD_LIMIT)?.success(&label)?;

    let built = target_folder().join(arch.target()).join("release").join(&name);
    let elf = built.with_file_name(if defmt { format!("{name}-defmt.elf") } else { format!("{name}.elf") });
    // A copy under a name of its own: the next build of the other kind takes the first name.
    std::fs::copy(&built, &elf).context(format!("copying {}", built.display()))?;
    let image = match arch {
        // Only as a raw image it is told where the device tree is.
        Arch::Aarch64 => {
            let image = elf.with_extension("img");
            let bytes = std::fs::read(&elf).context(format!("reading {}", elf.display()))?;
            let flat = elf::flatten(&bytes).context(elf.display())?;
            std::fs::write(&image, flat).context(format!("writing {}", image.display()))?;
            image
        }
        Arch::Riscv64 | Arch::X86_64 => elf.clone(),
    };
    Ok(Kernel { elf, image, defmt })
}

impl Kernel {
    /// What turns its serial line into text.
    pub fn decoder(&self) -> Result<Decode> {
        if !self.defmt {
            return Ok(Box::new(<[u8]>::to_vec));
        }
        #[cfg(feature = "defmt")]
        return crate::defmt::decoder(&self.elf);
        #[cfg(not(feature = "defmt"))]
        crate::failure::fail!(
            "xtask was built without its feature `defmt`: nothing decodes {}",
            self.elf.display()
        );
    }
}
