//! Tells the linker where things go.

use std::env;

fn main() {
    // A relative path: the linker runs in the folder of the workspace, which is this one.
    println!("cargo::rerun-if-changed=kernel.ld");
    println!("cargo::rustc-link-arg=-Tkernel.ld");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        // After the kernel's own script, which must stay the one that sets entry point and layout. The file is
        // made by defmt's build script, which also puts it on the search path.
        println!("cargo::rustc-link-arg=-Tdefmt.x");
    }
}
