//! A cable with offloads: a tap interface in a network namespace that nobody else sees (a place of unsafe code).
//!
//! QEMU holds one side, a packet socket of the test is bound to the other: the kernel between them keeps the header that says
//! which checksum is still to be computed and how a frame is to be cut. Needs the right to make namespaces and `/dev/net/tun`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of the header before each frame, as the kernel knows it: `flags`, `gso_type`, and four little-endian numbers.
pub const HEADER: usize = 10;
/// Longer than any frame.
const ROOM: usize = 70_000;
/// The name of the interface.
const NAME: &[u8] = b"bench0";

// Of Linux: <linux/if_packet.h>.
const PACKET_VNET_HDR: libc::c_int = 15;
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Both sides of such a cable.
#[derive(Debug)]
pub struct Tap {
    /// QEMU's side: a file for each queue.
    queues: Vec<File>,
    /// The test's side.
    socket: File,
}

impl Tap {
    /// A cable with so many queues.
    pub(crate) fn new(queues: usize) -> io::Result<Self> {
        // A thread of its own: the namespace is the thread's, and goes with the last of its files.
        let made = thread::spawn(move || make(queues)).join();
        made.unwrap_or_else(|_| Err(io::Error::other("the thread that makes a tap has panicked")))
    }

    /// The numbers of QEMU's files.
    pub(crate) fn numbers(&self) -> Vec<RawFd> {
        self.queues.iter().map(AsRawFd::as_raw_fd).collect()
    }

    /// Sends a frame to the card, with what the kernel is to know of it.
    ///
    /// # Errors
    /// The kernel does not take the header.
    pub fn send(&self, header: &[u8; HEADER], frame: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(&[header, frame].concat())
    }

    /// The next frame from the card, and its header; `None` if none comes in time.
    ///
    /// # Errors
    /// The socket has failed.
    pub fn receive(&self, limit: Duration) -> io::Result<Option<([u8; HEADER], Vec<u8>)>> {
        let end = Instant::now() + limit;
        let mut bytes = vec![0; ROOM];
        loop {
            match (&self.socket).read(&mut bytes) {
                Ok(len) => {
                    let (header, frame) = bytes[..len].split_first_chunk().ok_or(ErrorKind::InvalidData)?;
                    return Ok(Some((*header, frame.to_vec())));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if Instant::now() >= end {
                        return Ok(None);
                    }
                    thread::sleep(Duration::from_micros(50));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

fn make(queues: usize) -> io::Result<Tap> {
    // SAFETY: a plain system call that touches no memory; it concerns this thread alone.
    check(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    // The kernel has nothing to say to the card by itself.
    for what in ["all", "default"] {
        fs::write(format!("/proc/sys/net/ipv6/conf/{what}/disable_ipv6"), "1")?;
    }
    let mut request = name_of_it();
    let several = if queues > 1 { libc::IFF_MULTI_QUEUE } else { 0 };
    request.ifr_ifru.ifru_flags =
        (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | several) as libc::c_short;
    let mut files = Vec::new();
    for _ in 0..queues {
        let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        // SAFETY: the request is ours, and what this command takes.
        check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
        files.push(file);
    }
    let socket = packets()?;
    let mut request = name_of_it();
    // SAFETY: the request is ours, and what this command takes.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFINDEX as _, &raw mut request) })?;
    // SAFETY: the command has filled in this one of the union.
    let index = unsafe { request.ifr_ifru.ifru_ifindex };
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_PROMISC) as libc::c_short;
    // SAFETY: the request is ours, and what this command takes.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) })?;
    bind(&socket, index)?;
    Ok(Tap { queues: files, socket })
}

/// A socket for whole frames with headers, which hears nothing yet.
fn packets() -> io::Result<File> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: a plain system call that touches no memory.
    let number = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: it was made just now, and is nobody else's.
    let socket = unsafe { File::from_raw_fd(number) };
    let on: libc::c_int = 1;
    for option in [PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING] {
        let len = size_of_val(&on) as libc::socklen_t;
        let value = (&raw const on).cast();
        // SAFETY: the value is an `int` of this length.
        check(unsafe { libc::setsockopt(number, libc::SOL_PACKET, option, value, len) })?;
    }
    Ok(socket)
}

fn bind(socket: &File, index: libc::c_int) -> io::Result<()> {
    // SAFETY: all zeroes are an address, of plain numbers.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index;
    let len = size_of_val(&address) as libc::socklen_t;
    // SAFETY: the address is of this length.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) }).map(drop)
}

/// A request about the interface.
fn name_of_it() -> libc::ifreq {
    // SAFETY: all zeroes are a request, of plain numbers.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (place, &byte) in request.ifr_name.iter_mut().zip(NAME) {
        *place = byte as libc::c_char;
    }
    request
}

/// Has a program that is about to be started keep these files.
pub(crate) fn hand_over(command: &mut std::process::Command, numbers: Vec<RawFd>) {
    use std::os::unix::process::CommandExt;
    let keep = move || {
        for &number in &numbers {
            // SAFETY: a plain system call that touches no memory.
            check(unsafe { libc::fcntl(number, libc::F_SETFD, 0) })?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; their errors are kept without allocating.
    unsafe { command.pre_exec(keep) };
}

fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}
