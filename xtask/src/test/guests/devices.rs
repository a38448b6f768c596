//! Disk, network, random bytes and console ports in the guests: what the kernel says, compared with what this host sees.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use demo::scratch;

use super::interrupts;
use crate::arch::{Arch, Transport};
use crate::backends::PORTS;
use crate::cli::RunOptions;
use crate::devices::{Devices, Kind};
use crate::disk::{self, Disk, SECTORS};
use crate::failure::{Context, Result, fail};
use crate::guest::Guest;
use crate::kernel::Kernel;
use crate::qemu::Display;
use crate::report::Report;
use crate::{stream, web, workspace};

/// How long a page, or an answer on a port, may take.
const LIMIT: Duration = Duration::from_secs(20);
/// What the kernel writes, and what it writes and discards: the last eight sectors, and the eight before.
const WRITTEN: u64 = SECTORS - 8;
const DISCARDED: u64 = SECTORS - 16;

/// Everything attached, every command once, on one pair.
pub fn all(report: &mut Report, options: &RunOptions, kernel: Option<&Kernel>) {
    let options = RunOptions { devices: Devices::ALL, ..options.clone() };
    let name = |step: &str| format!("{} {step}", options.name());
    let steps =
        ["blk reads and writes", "net answers and serves", "ports carry both ways", "rng gives bytes"]
            .map(&name);
    let off = name("leaves the disk as it said");
    let booted = kernel.and_then(|kernel| {
        report.value(&name("boots with all devices"), || {
            let mut guest = Guest::boot(&options, kernel, &Display::None)?;
            guest.wait_ready()?;
            driven(&mut guest, &options)?;
            Ok(guest)
        })
    });
    let Some(mut guest) = booted else {
        if kernel.is_none() {
            report.not_reached(&name("boots with all devices"));
        }
        for step in steps.iter().chain([&off]) {
            report.not_reached(step);
        }
        return;
    };
    let [blk, net, ports, rng] = &steps;
    report.check(blk, || check_blk(&mut guest));
    report.check(net, || check_net(&mut guest, &options));
    report.check(ports, || check_ports(&mut guest, options.pair.arch));
    report.check(rng, || check_rng(&mut guest));
    report.check(&off, || {
        let disk = guest.backends.disk.take().context("the disk is not attached")?;
        guest.power_off()?;
        check_disk(&disk)
    });
}

/// A timer wakes the kernel: a connection that says nothing is ended in time, and meanwhile the CPU sleeps.
pub fn timer(report: &mut Report, options: &RunOptions, kernel: Option<&Kernel>) {
    /// What the kernel gives a connection, as this host sees it.
    const PATIENCE: std::ops::Range<f32> = 9.0..14.0;
    let options = RunOptions { devices: options.devices.with(Kind::Net), ..options.clone() };
    let name = format!("{} is woken by a timer", options.name());
    let Some(kernel) = kernel else { return report.not_reached(&name) };
    report.check(&name, || {
        let mut guest = Guest::boot(&options, kernel, &Display::None)?;
        guest.wait_ready()?;
        answer(&mut guest, "net")?;
        let port = guest.backends.web.context("the network is not attached")?;
        web::get(port, "/", LIMIT)?;
        interrupts::share_asleep(&mut guest)?;
        let begin = Instant::now();
        let mut silent = TcpStream::connect(("127.0.0.1", port)).context("a silent connection")?;
        silent.set_read_timeout(Some(LIMIT)).context("a silent connection")?;
        match silent.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => fail!("a silent connection ends by {other:?}"),
        }
        let seconds = begin.elapsed().as_secs_f32();
        if !PATIENCE.contains(&seconds) {
            fail!("a silent connection was ended after {seconds:.1} s");
        }
        let asleep = interrupts::share_asleep(&mut guest)?;
        if asleep < interrupts::ASLEEP {
            fail!("of {seconds:.1} s of silence the CPU slept {asleep} %");
        }
        guest.power_off()
    });
}

/// `run.sh` prints where the page is when it is there, stays, and ends content when it was told to.
pub fn serves(report: &mut Report) {
    const STAY: Duration = Duration::from_secs(25);
    report.check("run.sh prints the page's address, and stays as long as it was told", || {
        let mut shell = Command::new("sh");
        let seconds = STAY.as_secs().to_string();
        shell.arg(workspace::root().join("run.sh"));
        shell.args(["--headless", "--devices", "net", "--type", "net", "--timeout", &seconds]);
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = shell.spawn().context("run.sh")?;
        let lines = BufReader::new(child.stdout.take().context("run.sh")?).lines();
        let address = lines.map_while(std::result::Result::ok).find(|line| line.starts_with("http://"));
        let page =
            address.as_deref().and_then(|line| line.strip_prefix("http://127.0.0.1:")?.strip_suffix('/'));
        let page = page.and_then(|port| port.parse().ok()).map(|port| web::get(port, "/", LIMIT));
        let running = child.try_wait().context("run.sh")?.is_none();
        // In any case it ends by itself.
        let status = child.wait().context("run.sh")?;
        match page {
            Some(Ok(page)) if page.status == 200 && running && status.success() => Ok(()),
            Some(Ok(page)) => fail!("the page: {}; it stayed: {running}; it ended: {status}", page.status),
            Some(Err(failure)) => Err(failure),
            None => fail!("it printed no address: {address:?}, {status}"),
        }
    });
}

/// What a command answers, without its echo and the prompt behind it.
fn answer(guest: &mut Guest, command: &str) -> Result<String> {
    let before = guest.serial.received().len();
    guest.command(command)?;
    let said = stream::plain(guest.serial.received().get(before..).unwrap_or_default());
    Ok(said.strip_prefix(command).unwrap_or(&said).trim_end_matches("> ").trim_matches('\n').to_owned())
}

/// What stands behind a label, in the first line that has it.
fn value<'a>(said: &'a str, label: &str) -> Result<&'a str> {
    let line = said.lines().find_map(|line| line.trim_start().strip_prefix(label)?.strip_prefix(' '));
    line.map(str::trim).context(format!("there is no {label:?} in: {}", said.replace('\n', " | ")))
}

fn must_be(what: &str, found: &str, wanted: &str) -> Result {
    if found != wanted {
        fail!("{what}: {found:?}, not {wanted:?}");
    }
    Ok(())
}

/// The names under which the kernel lists a device.
fn listed(kind: Kind) -> &'static str {
    match kind {
        Kind::Gpu => "gpu",
        Kind::Keyboard => "keyboard",
        Kind::Mouse | Kind::Tablet => "input",
        Kind::Rng => "entropy",
        Kind::Blk => "block",
        Kind::Net => "network",
        Kind::Console => "console",
    }
}

/// The names of all that is attached, in order.
fn attached(devices: Devices) -> Vec<String> {
    let mut names: Vec<_> = devices.iter().map(|kind| listed(kind).to_owned()).collect();
    names.sort();
    names
}

/// Whether there is a driver for it.
fn is_driven(name: &str) -> bool {
    name != "input"
}

/// Every device attached is listed, and driven where there is a driver.
fn driven(guest: &mut Guest, options: &RunOptions) -> Result {
    let said = answer(guest, "devices")?;
    let mut found = Vec::new();
    for line in said.lines().filter(|line| !line.contains("TRANSPORT")) {
        let words: Vec<_> = line.split_whitespace().collect();
        let (Some(name), Some(usage)) = (words.first(), words.last()) else { continue };
        if (*usage == "driven") != is_driven(name) {
            fail!("{name} is {usage}: {line}");
        }
        let legacy = line.contains("pci, legacy");
        let wanted = options.pair.transport == Transport::PciLegacy
            && Kind::ALL.into_iter().any(|kind| listed(kind) == *name && kind.has_legacy());
        if legacy != wanted {
            fail!("{name} is reached in another way than it is attached: {line}");
        }
        found.push((*name).to_owned());
    }
    found.sort();
    if found != attached(options.devices) {
        fail!("it lists {found:?}, and attached are {:?}", attached(options.devices));
    }
    Ok(())
}

fn check_blk(guest: &mut Guest) -> Result {
    let said = answer(guest, "blk")?;
    must_be("disk", value(&said, "disk")?, &format!("{}, 16 MiB: {SECTORS} sectors of 512 bytes", disk::ID))?;
    for (name, len) in [(disk::README.0, disk::README.1.len()), (disk::SQUARES, disk::squares().len())] {
        must_be(&format!("the length of {name}"), value(&said, name)?, &len.to_string())?;
    }
    // Behind the list, the text: a line for each of its lines.
    for line in disk::README.1.lines() {
        if !said.lines().any(|said| said.trim_start().trim_start_matches(disk::README.0).trim() == line) {
            fail!("{} is not shown: {line:?} is missing in {}", disk::README.0, said.replace('\n', " | "));
        }
    }
    let written = format!("sectors {WRITTEN} to {}, and read back the same", WRITTEN + 7);
    must_be("written", value(&said, "written")?, &written)?;
    let discarded = format!("sectors {DISCARDED} to {}, which reads as zeros", DISCARDED + 7);
    must_be("discarded", value(&said, "discarded")?, &discarded)
}

/// The image, when nobody has it open any more.
fn check_disk(disk: &Disk) -> Result {
    let mut wanted = [0; scratch::BLOCK_LEN];
    scratch::pattern(&mut wanted, WRITTEN);
    let sectors = |first| disk.sectors(first, 8);
    differs("what was written", &sectors(WRITTEN)?, &wanted, WRITTEN)?;
    differs("what was discarded", &sectors(DISCARDED)?, &[0; scratch::BLOCK_LEN], DISCARDED)?;
    let before = DISCARDED - 8;
    differs("what nobody was to touch", &sectors(before)?, &[disk::FILL; scratch::BLOCK_LEN], before)?;
    for (name, text) in [(disk::README.0, disk::README.1.to_owned()), (disk::SQUARES, disk::squares())] {
        if disk.file(name)? != text.as_bytes() {
            fail!("{name} has changed");
        }
    }
    Ok(())
}

fn differs(what: &str, found: &[u8], wanted: &[u8], first: u64) -> Result {
    match found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
        None if found.len() == wanted.len() => Ok(()),
        None => fail!("{what}: {} bytes, not {}", found.len(), wanted.len()),
        Some(at) => fail!(
            "{what}: byte {} of sector {} is {:?}, not {:?}",
            at % 512,
            first + at as u64 / 512,
            found.get(at),
            wanted.get(at)
        ),
    }
}

fn check_net(guest: &mut Guest, options: &RunOptions) -> Result {
    let port = guest.backends.web.context("the network is not attached")?;
    let said = answer(guest, "net")?;
    // What QEMU's user network gives to the first who asks.
    must_be("address", value(&said, "address")?, "10.0.2.15/24 from 10.0.2.2, by DHCP")?;
    let gateway = value(&said, "gateway")?;
    let millis =
        gateway.strip_prefix("10.0.2.2 answers a ping in ").and_then(|rest| rest.strip_suffix(" ms"));
    match millis.and_then(|millis| millis.parse::<f64>().ok()) {
        Some(millis) if millis > 0.0 => {}
        _ => fail!("gateway: {gateway:?} is no answer in some time"),
    }
    if !stream::serves(said.as_bytes()) {
        fail!("it does not say that it serves its page: {}", said.replace('\n', " | "));
    }
    let first = page(port, options, 0)?;
    // Another command, and pages beside it: both go on.
    answer(guest, "devices")?;
    let second = page(port, options, 1)?;
    if first == second {
        fail!("the page was not made anew: {first}");
    }
    let missing = web::get(port, "/nothing-here", LIMIT)?;
    if missing.status != 404 {
        fail!("a page that is not there is answered by {}", missing.status);
    }
    at_once(port)
}

/// Fetches the page, and compares it with what is attached; `before` so many were fetched.
fn page(port: u16, options: &RunOptions, before: u32) -> Result<String> {
    let page = web::get(port, "/", LIMIT)?;
    if page.status != 200 || page.field("content-type") != Some("text/html; charset=utf-8") {
        fail!("the page is answered by {} and {:?}", page.status, page.head);
    }
    let names = |driven: bool| -> Vec<String> {
        let mark = if driven { "class=\"driven\" data-device=\"" } else { "data-device=\"" };
        let names = page.body.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort();
        names
    };
    let wanted = attached(options.devices);
    if names(false) != wanted {
        fail!("the page shows {:?}, and attached are {wanted:?}", names(false));
    }
    let wanted: Vec<_> = wanted.into_iter().filter(|name| is_driven(name)).collect();
    if names(true) != wanted {
        fail!("the page shows {:?} as driven, not {wanted:?}", names(true));
    }
    for (fact, wanted) in [
        ("machine", options.pair.arch.name().to_owned()),
        ("pages served before", before.to_string()),
        ("address", "10.0.2.15/24".to_owned()),
        ("disk", format!("16 MiB, {}", disk::ID)),
        ("console ports", PORTS.len().to_string()),
        ("devices are", if options.polled { "polled" } else { "interrupting" }.to_owned()),
    ] {
        let line = format!("<dt>{fact}</dt><dd>{wanted}</dd>");
        if !page.body.contains(&line) {
            let found =
                page.body.split(&format!("<dt>{fact}</dt>")).nth(1).and_then(|rest| rest.lines().next());
            fail!("the page's {fact:?} is {found:?}, not {wanted:?}");
        }
    }
    // Every device that is driven has features, but for a legacy one of few words.
    if page.body.matches("<li>").count() < wanted.len() {
        fail!("the page shows {} features of {} devices", page.body.matches("<li>").count(), wanted.len());
    }
    Ok(page.body)
}

/// Several browsers at once, and one that says nothing.
fn at_once(port: u16) -> Result {
    let silent = TcpStream::connect(("127.0.0.1", port)).context("a silent connection")?;
    let pages: Vec<_> = (0..6).map(|_| thread::spawn(move || web::get(port, "/", LIMIT))).collect();
    for page in pages {
        let Ok(page) = page.join() else { fail!("the client failed") };
        let status = page?.status;
        if status != 200 {
            fail!("one of several pages at once is answered by {status}");
        }
    }
    drop(silent);
    Ok(())
}

fn check_ports(guest: &mut Guest, arch: Arch) -> Result {
    let ports = guest.backends.ports.clone().context("the console is not attached")?;
    let [terminal, echo, notes] = PORTS;
    let said = answer(guest, "ports")?;
    let line = |name: &str, state: &str, echoed: &str| -> Result {
        let words: Vec<_> = said
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|words| words.contains(&name))
            .context(format!("there is no port {name}: {}", said.replace('\n', " | ")))?;
        match (words.get(2), words.iter().rev().nth(1)) {
            (Some(found), Some(sent)) if *found == state && *sent == echoed => Ok(()),
            _ => fail!("port {name} is {words:?}, not {state} with {echoed} bytes"),
        }
    };
    line(terminal, "open", "0")?;
    line(echo, "closed", "0")?;
    line(notes, "open", "0")?;
    let greeting =
        |number: usize, name: &str| format!("hello from {}, on port {number} {name}\n", arch.name());
    wait_for(&ports.terminal, &greeting(0, terminal))?;
    wait_for(&ports.notes, &greeting(2, notes))?;

    let mut socket = UnixStream::connect(&ports.echo).context("the echo's socket")?;
    expect(&mut socket, greeting(1, echo).as_bytes(), "the greeting")?;
    socket.write_all(b"short\n").context("the echo's socket")?;
    expect(&mut socket, b"short\n", "a short line")?;
    // More than its buffers hold: written while it is read.
    let long: Vec<u8> = (0..=250).cycle().take(100_000).collect();
    let mut writer = socket.try_clone().context("the echo's socket")?;
    let written = long.clone();
    let writer = thread::spawn(move || writer.write_all(&written));
    expect(&mut socket, &long, "100000 bytes")?;
    match writer.join() {
        Ok(written) => written.context("the echo's socket")?,
        Err(_) => fail!("the writer failed"),
    }
    let said = answer(guest, "ports")?;
    let sent = said.lines().find(|line| line.contains(echo)).unwrap_or_default();
    if !(sent.contains("open") && sent.contains(" 100006 bytes")) {
        fail!("port {echo} is not open with 100006 bytes sent back: {sent}");
    }
    drop(socket);
    // Who comes later is greeted as well.
    let mut socket = UnixStream::connect(&ports.echo).context("the echo's socket")?;
    expect(&mut socket, greeting(1, echo).as_bytes(), "the second greeting")
}

/// Waits until a file begins with a text.
fn wait_for(path: &Path, wanted: &str) -> Result {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = std::fs::read_to_string(path).context(path.display())?;
        if found == wanted {
            return Ok(());
        }
        if !wanted.starts_with(&found) || Instant::now() >= deadline {
            fail!("{} has {found:?}, not {wanted:?}", path.display());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Reads so many bytes, and compares them.
fn expect(socket: &mut UnixStream, wanted: &[u8], what: &str) -> Result {
    socket.set_read_timeout(Some(LIMIT)).context(what)?;
    let mut found = vec![0; wanted.len()];
    let mut len = 0;
    while let Some(rest) = found.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match socket.read(rest) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                fail!("{what}: after {len} of {} bytes nothing came for {} s", wanted.len(), LIMIT.as_secs())
            }
            Err(error) => return Err(error).context(what),
        }
    }
    found.truncate(len);
    match found.iter().zip(wanted).position(|(found, wanted)| found != wanted) {
        None if len == wanted.len() => Ok(()),
        None => fail!("{what}: {len} bytes, not {}", wanted.len()),
        Some(at) => fail!("{what}: byte {at} is {:?}, not {:?}", found.get(at), wanted.get(at)),
    }
}

fn check_rng(guest: &mut Guest) -> Result {
    let (first, second) = (answer(guest, "rng")?, answer(guest, "rng")?);
    for said in [&first, &second] {
        if interrupts::bytes(said, "random").is_none() {
            fail!("these are no random bytes: {said}");
        }
    }
    if first == second {
        fail!("the same bytes twice: {first}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_behind_their_labels() {
        let said =
            "  disk          a, 16 MiB\n  FILE          BYTES\n  README.TXT    112\n  README.TXT    text";
        assert_eq!(value(said, "disk").unwrap(), "a, 16 MiB");
        assert_eq!(value(said, "README.TXT").unwrap(), "112");
        assert!(value(said, "dis").unwrap_err().to_string().contains("\"dis\""));
    }

    #[test]
    fn what_differs_is_named() {
        let mut block = [7; 1024];
        differs("it", &block, &[7; 1024], 40).unwrap();
        block[600] = 8;
        let said = differs("it", &block, &[7; 1024], 40).unwrap_err().to_string();
        assert_eq!(said, "it: byte 88 of sector 41 is Some(8), not Some(7)");
        assert!(differs("it", &block[..512], &[7; 1024], 40).is_err());
        assert!(must_be("it", "a", "b").unwrap_err().to_string().contains("\"a\", not \"b\""));
    }

    #[test]
    fn a_port_that_sends_something_else_is_caught() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"hello").unwrap();
        expect(&mut ours, b"hello", "it").unwrap();
        theirs.write_all(b"hexlo").unwrap();
        let said = expect(&mut ours, b"hello", "it").unwrap_err().to_string();
        assert_eq!(said, "it: byte 2 is Some(120), not Some(108)");
        drop(theirs);
        assert_eq!(expect(&mut ours, b"x", "it").unwrap_err().to_string(), "it: 0 bytes, not 1");
    }

    #[test]
    fn everything_attached_has_a_name() {
        let names = attached(Devices::ALL);
        assert_eq!(names.len(), Kind::ALL.len());
        assert_eq!(names.iter().filter(|name| is_driven(name)).count(), 6);
    }
}
