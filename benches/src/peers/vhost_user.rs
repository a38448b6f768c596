//! Just enough of a vhost-user back-end to get an address translator from `virtio-driver`.
//!
//! The crate's queue wants an `IovaTranslator`, and the type in that trait's signature is private to the crate: only its
//! transports can make one. The one of its vhost-user transport is the identity, which is what everybody gets here. So the
//! transport is connected, over a real socket, to a thread that answers its first questions, and the connection is
//! dropped again.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use virtio_driver::{IovaTranslator, Le64, VhostUser, VirtioTransport};

const GET_FEATURES: u32 = 1;
const GET_PROTOCOL_FEATURES: u32 = 15;
const GET_MAX_MEM_SLOTS: u32 = 36;
/// Protocol features can be negotiated.
const PROTOCOL_FEATURES: u64 = 1 << 30;
/// REPLY_ACK, CONFIG, CONFIGURE_MEM_SLOTS.
const NEEDED: u64 = 1 << 3 | 1 << 9 | 1 << 15;
/// Version 1, a reply.
const REPLY: u32 = 1 | 1 << 2;

/// The translator of the crate's vhost-user transport.
///
/// # Errors
/// What the system or the crate says.
pub fn translator() -> io::Result<Box<dyn IovaTranslator>> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("virtio-bench-{}-{number}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let listener = UnixListener::bind(&path)?;
    let backend = thread::spawn(move || answer(listener.accept()?.0));
    let transport = VhostUser::<Le64, u64>::new(&path.to_string_lossy(), 0);
    std::fs::remove_file(&path)?;
    let translator = transport?.iova_translator();
    // The transport is gone and its socket closed: the thread ends.
    backend.join().map_err(|_| io::Error::from(ErrorKind::Other))??;
    Ok(translator)
}

/// Answers questions until the other side hangs up.
fn answer(mut socket: UnixStream) -> io::Result<()> {
    let mut header = [0; 12];
    loop {
        match socket.read_exact(&mut header) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            other => other?,
        }
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (request, len) = (word(0), word(8));
        io::copy(&mut Read::by_ref(&mut socket).take(u64::from(len)), &mut io::sink())?;
        let value: u64 = match request {
            GET_FEATURES => PROTOCOL_FEATURES,
            GET_PROTOCOL_FEATURES => NEEDED,
            GET_MAX_MEM_SLOTS => 1,
            _ => continue,
        };
        let mut reply = Vec::with_capacity(20);
        for word in [request, REPLY, 8] {
            reply.extend(word.to_ne_bytes());
        }
        reply.extend(value.to_ne_bytes());
        socket.write_all(&reply)?;
    }
}
