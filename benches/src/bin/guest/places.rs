//! Where the instructions of a row are: QEMU runs the kernel one instruction at a time and names each (`-singlestep -d exec`);
//! the kernel's line tables say whose it is. What the meter leaves out is left out here, too.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use addr2line::Loader;

use crate::Fault;

/// Places to show of each kind.
const LINES: usize = 40;

/// What an instruction is to the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Start,
    Pause,
    Resume,
    Stop,
    Measured,
}

fn role(symbol: &str) -> Role {
    // Mangled: each name behind its length.
    let roles = [
        ("5meter5start", Role::Start),
        ("5meter5pause", Role::Pause),
        ("5meter6resume", Role::Resume),
        ("5meter4stop", Role::Stop),
    ];
    roles.into_iter().find(|(name, _)| symbol.contains(name)).map_or(Role::Measured, |(_, role)| role)
}

/// How often each instruction was executed, in the last stretch that was measured.
#[derive(Default)]
pub struct Counts {
    now: BTreeMap<u64, u64>,
    roles: BTreeMap<u64, Role>,
    on: bool,
    began: bool,
}

impl Counts {
    /// Reads what QEMU says of each instruction: `Trace 0: HOST [CS/PC/FLAGS/CFLAGS]`.
    ///
    /// # Errors
    /// The pipe breaks.
    pub fn read(&mut self, pipe: impl Read, loader: &Loader) -> std::io::Result<String> {
        let mut rest = String::new();
        let mut line = String::new();
        let mut reader = BufReader::new(pipe);
        while reader.read_line(&mut line)? > 0 {
            let address = line.starts_with("Trace").then(|| line.split('/').nth(1)).flatten();
            match address.and_then(|address| u64::from_str_radix(address, 16).ok()) {
                Some(address) => self.count(address, loader),
                None => rest.push_str(&line),
            }
            line.clear();
        }
        Ok(rest)
    }

    fn count(&mut self, address: u64, loader: &Loader) {
        let find = || role(loader.find_symbol(address).unwrap_or_default());
        match *self.roles.entry(address).or_insert_with(find) {
            Role::Start => {
                // A function is more than one instruction: not each of them begins anew.
                if !self.began {
                    self.now.clear();
                }
                (self.on, self.began) = (true, true);
            }
            Role::Pause => self.on = false,
            // Waiting that is left out may also be where nothing is measured.
            Role::Resume => self.on = self.began,
            Role::Stop => (self.on, self.began) = (false, false),
            Role::Measured if self.on => *self.now.entry(address).or_default() += 1,
            Role::Measured => {}
        }
    }

    /// The places, most first, of `requests` requests.
    ///
    /// # Errors
    /// The kernel has no line tables.
    pub fn text(&self, loader: &Loader, requests: f64) -> Result<String, Fault> {
        let (mut outer, mut functions, mut lines) =
            (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
        for (&address, &count) in &self.now {
            let frames = frames(loader, address)?;
            let first = frames.first().ok_or("the kernel has no line tables")?;
            let last = frames.last().ok_or("the kernel has no line tables")?;
            // The innermost that a driver or this kernel has written.
            let own = frames.iter().find(|frame| !frame.of_library).unwrap_or(first);
            *outer.entry(last.function.clone()).or_default() += count;
            *functions.entry(own.function.clone()).or_default() += count;
            *lines.entry(own.place.clone()).or_default() += count;
        }
        let sum: u64 = self.now.values().sum();
        let mut out = format!("{:.2} instructions, of each request\n", sum as f64 / requests);
        let titles = ["functions, with all that is inlined", "functions, alone", "lines"];
        for (title, places) in titles.into_iter().zip([outer, functions, lines]) {
            let _ = writeln!(out, "\n{title}");
            let mut places: Vec<_> = places.into_iter().collect();
            places.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            for (place, count) in places.iter().take(LINES) {
                let _ = writeln!(out, "  {:8.2}  {place}", *count as f64 / requests);
            }
        }
        Ok(out)
    }
}

struct Frame {
    function: String,
    place: String,
    of_library: bool,
}

/// What an instruction belongs to: the innermost first.
fn frames(loader: &Loader, address: u64) -> Result<Vec<Frame>, Fault> {
    let mut found = Vec::new();
    let mut frames = loader.find_frames(address)?;
    while let Some(frame) = frames.next()? {
        let name = frame.function.and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
        let (file, line) = frame.location.map_or((None, None), |at| (at.file, at.line));
        let file = file.unwrap_or("?");
        let of_library = file.starts_with("/rustc/") || file.contains("/library/") || file == "?";
        let place = format!("{}:{}", short(file), line.unwrap_or(0));
        let function = format!("{:40}  {}", name.as_deref().map_or("?", bare), short(file));
        found.push(Frame { function, place, of_library });
    }
    if found.is_empty() {
        let symbol = loader.find_symbol(address).unwrap_or("?").to_owned();
        found.push(Frame { function: symbol, place: "?:0".into(), of_library: true });
    }
    Ok(found)
}

/// A demangled name without the parameters behind it.
fn bare(name: &str) -> &str {
    name.find('<').filter(|at| *at > 0).map_or(name, |at| &name[..at])
}

/// The end of a path: the crate's folder and what is in it.
fn short(path: &str) -> String {
    let words: Vec<_> = path.split('/').collect();
    let source = words.iter().rposition(|word| *word == "src").unwrap_or(words.len() - 1);
    words[source.saturating_sub(1)..].join("/")
}

/// The kernel's line tables.
///
/// # Errors
/// The file cannot be read.
pub fn loader(kernel: &Path) -> Result<Loader, Fault> {
    Loader::new(kernel).map_err(|error| format!("{}: {error}", kernel.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_meter_is_known_by_its_names() {
        assert_eq!(role("_ZN12bench_kernel5meter5start17h0123456789abcdefE"), Role::Start);
        assert_eq!(role("_ZN12bench_kernel5meter8stop_raw17hE"), Role::Measured);
        assert_eq!(role("_ZN12bench_kernel5meter4stop17hE"), Role::Stop);
        assert_eq!(role("memcpy"), Role::Measured);
    }

    #[test]
    fn names_and_paths_are_shortened() {
        assert_eq!(bare("add<u8>"), "add");
        assert_eq!(bare("<T as U>::f"), "<T as U>::f");
        assert_eq!(short("/a/virtio-core/src/queue/add.rs"), "virtio-core/src/queue/add.rs");
        assert_eq!(short("x.rs"), "x.rs");
    }
}
