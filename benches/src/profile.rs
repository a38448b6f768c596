//! Instructions, counted by callgrind.
//!
//! A run counts only what happens below the two functions of [`drive`](crate::drive) that enter a driver. Two runs of
//! different length, subtracted, leave out all that happens once; both lengths are whole laps of the ring and whole
//! periods of the event index, so the result is the same each time, to the instruction.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use addr2line::Loader;

use crate::contestant::Contestant;
use crate::row::Row;

/// Requests of the two runs: multiples of the ring's size, of 48 and of 16.
const SHORT: u64 = 12_288;
const LONG: u64 = 24_576;

/// The names callgrind is told to look for.
const SUBMIT: &str = "driver_submit";
const COMPLETE: &str = "driver_complete";

/// A program of valgrind's, or why not.
type Answer<T> = Result<T, String>;

/// Instructions per request.
#[derive(Clone, Debug)]
pub struct Count {
    /// Adding, publishing, asking whether to kick, kicking.
    pub submit: f64,
    /// Taking used requests.
    pub complete: f64,
    /// By address of the instruction.
    addresses: BTreeMap<u64, f64>,
}

impl Count {
    /// Both halves.
    pub fn total(&self) -> f64 {
        self.submit + self.complete
    }
}

/// Counts for one contestant and row.
pub fn count(contestant: Contestant, row: Row, scratch: &Path) -> Answer<Count> {
    let short = run(contestant, row, SHORT, scratch)?;
    let long = run(contestant, row, LONG, scratch)?;
    let per_request = |long: u64, short: u64| (long as f64 - short as f64) / (LONG - SHORT) as f64;
    let of = |name: &str| {
        let cost =
            |raw: &Raw| raw.inclusive.get(name).copied().ok_or(format!("{name} is not in the profile"));
        Ok::<f64, String>(per_request(cost(&long)?, cost(&short)?))
    };
    let cost = |(address, cost): (&u64, &u64)| {
        (*address, per_request(*cost, short.addresses.get(address).copied().unwrap_or(0)))
    };
    let addresses = long.addresses.iter().map(cost).filter(|(_, cost)| *cost > 0.0).collect();
    Ok(Count { submit: of(SUBMIT)?, complete: of(COMPLETE)?, addresses })
}

/// Instructions per request by place, most first. The place of an instruction is the innermost function, of those inlined
/// around it, that a driver or this harness has written: not the standard library's.
#[derive(Debug)]
pub struct Places {
    /// By function.
    pub functions: Vec<(String, f64)>,
    /// By line.
    pub lines: Vec<(String, f64)>,
}

/// Finds the places.
///
/// # Errors
/// If this program cannot be read, or was built without line tables.
pub fn places(count: &Count) -> Answer<Places> {
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let loader = Loader::new(&this).map_err(|error| format!("{}: {error}", this.display()))?;
    let (mut functions, mut lines) = (BTreeMap::<_, f64>::new(), BTreeMap::<_, f64>::new());
    for (&address, &cost) in &count.addresses {
        let (function, line) = place(&loader, address).map_err(|error| error.to_string())?;
        *functions.entry(function).or_default() += cost;
        *lines.entry(line).or_default() += cost;
    }
    if lines.keys().all(|line| line.starts_with('?')) {
        return Err("this program has no line tables".to_owned());
    }
    let sorted = |places: BTreeMap<String, f64>| {
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_by(|one, other| other.1.total_cmp(&one.1));
        places
    };
    Ok(Places { functions: sorted(functions), lines: sorted(lines) })
}

/// Function, and file with line, of an instruction.
fn place(loader: &Loader, address: u64) -> Result<(String, String), Box<dyn std::error::Error>> {
    let mut frames = loader.find_frames(address)?;
    let mut innermost = None;
    while let Some(frame) = frames.next()? {
        let name = frame.function.map_or("?".to_owned(), |name| {
            name.demangle().map_or_else(|_| "?".to_owned(), std::borrow::Cow::into_owned)
        });
        let (file, line) = frame.location.map_or((None, None), |at| (at.file, at.line));
        let place = format!("{}:{}", short(file.unwrap_or("?")), line.unwrap_or(0));
        // The library's sources are in a folder that is named for the compiler, or in rust-src.
        let of_library = file.is_none_or(|file| file.starts_with("/rustc/") || file.contains("/library/"));
        let name = bare(&name);
        let file = place.rsplit_once(':').map_or("?", |(file, _)| file);
        let found = (format!("{name:24} {file}"), place.clone());
        if !of_library {
            return Ok(found);
        }
        innermost.get_or_insert(found);
    }
    let symbol = loader.find_symbol(address).unwrap_or("?").to_owned();
    Ok(innermost.unwrap_or((symbol, "?:0".to_owned())))
}

/// A demangled name without its parameters.
fn bare(name: &str) -> &str {
    name.find('<').filter(|at| *at > 0).map_or(name, |at| &name[..at])
}

/// What one run cost.
#[derive(Debug, Default, PartialEq, Eq)]
struct Raw {
    /// Of each counted function with all it calls.
    inclusive: BTreeMap<&'static str, u64>,
    /// Of each instruction.
    addresses: BTreeMap<u64, u64>,
}

fn run(contestant: Contestant, row: Row, requests: u64, scratch: &Path) -> Answer<Raw> {
    let this = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let out = scratch.join(format!("{contestant}-{row}-{requests}.callgrind"));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]);
    valgrind.args(["--dump-instr=yes", "--quiet"]);
    for name in [SUBMIT, COMPLETE] {
        valgrind.arg(format!("--toggle-collect=*{name}*"));
    }
    valgrind.arg(format!("--callgrind-out-file={}", out.display())).arg(this);
    valgrind.args(["count", contestant.name(), &row.to_string(), &requests.to_string()]);
    let answer = valgrind.output().map_err(|error| format!("valgrind: {error}"))?;
    if !answer.status.success() {
        let text = String::from_utf8_lossy(&answer.stderr);
        return Err(format!("valgrind, {contestant} {row}: {}: {}", answer.status, text.trim()));
    }
    let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    Ok(parse(&text))
}

/// Reads callgrind's format, with neither strings nor positions compressed.
fn parse(text: &str) -> Raw {
    let mut raw = Raw::default();
    let mut function = None;
    let mut call = false;
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "fn" => function = [SUBMIT, COMPLETE].into_iter().find(|name| value.contains(name)),
                "calls" => call = true,
                _ => {}
            }
            continue;
        }
        // Address, line, cost.
        let mut words = line.split_ascii_whitespace();
        let address = words.next().and_then(|word| word.strip_prefix("0x"));
        let address = address.and_then(|word| u64::from_str_radix(word, 16).ok());
        let cost = words.nth(1).and_then(|word| word.parse::<u64>().ok());
        let (Some(address), Some(cost)) = (address, cost) else { continue };
        if let Some(name) = function {
            *raw.inclusive.entry(name).or_default() += cost;
        }
        // The line behind `calls=` has the callee's cost, which is counted there.
        if !std::mem::take(&mut call) {
            *raw.addresses.entry(address).or_default() += cost;
        }
    }
    raw
}

/// The end of a path: the crate's folder and what is in it.
fn short(path: &str) -> String {
    let words: Vec<_> = path.split('/').collect();
    let source = words.iter().rposition(|word| *word == "src").unwrap_or(words.len() - 1);
    words[source.saturating_sub(1)..].join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read() {
        let text = "events: Ir\n\nfl=/a/drive.rs\nfn=x::driver_submit\n0x10 10 5\nfi=/b/y.rs\n0x11 7 2\nfe=/a/drive.rs\n\
                    0x12 11 1\ncfn=malloc\ncalls=3 0x80 0\n0x12 11 100\n\nfl=???\nfn=malloc\n0x80 0 100\n\ntotals: 108\n";
        let raw = parse(text);
        assert_eq!(raw.inclusive, BTreeMap::from([(SUBMIT, 108)]));
        assert_eq!(raw.addresses, BTreeMap::from([(0x10, 5), (0x11, 2), (0x12, 1), (0x80, 100)]));
    }

    #[test]
    fn names_and_paths_are_shortened() {
        assert_eq!(bare("drain<u8, {closure#0}<u8>>"), "drain");
        assert_eq!(bare("put"), "put");
        assert_eq!(bare("<u8 as Debug>::fmt"), "<u8 as Debug>::fmt");
        assert_eq!(short("/x/virtio-core/src/queue/raw.rs"), "virtio-core/src/queue/raw.rs");
        assert_eq!(short("raw.rs"), "raw.rs");
    }
}
