//! Tells the linker where things go: as in the example kernel, from which the boot code is, too.

fn main() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/aarch64/kernel.ld");
    println!("cargo::rerun-if-changed={script}");
    println!("cargo::rustc-link-arg=-T{script}");
}
