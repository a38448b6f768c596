//! `embedded-io`, as generic code uses it.

use embedded_io::{BufRead, Error as _, ErrorKind, Read, ReadExactError, ReadReady, Write, WriteReady};

use crate::bench::{ONE, PORT_OPEN, SOON, Setup, ZERO, open};

use virtio_console::ConsoleError;
use virtio_core::{Error, Misbehaved, Misuse, QueueIndex, Wait};

/// Reads a line and answers it, in capitals.
fn shout<P>(port: &mut P) -> Result<usize, P::Error>
where
    P: BufRead + Write,
{
    let mut said = 0;
    loop {
        let there = port.fill_buf()?;
        if there.is_empty() {
            return Ok(said);
        }
        let line: Vec<u8> = there.iter().map(u8::to_ascii_uppercase).collect();
        let len = line.len();
        port.consume(len);
        said += len;
        port.write_all(&line)?;
        if line.ends_with(b"\n") {
            port.flush()?;
            return Ok(said);
        }
    }
}

#[test]
fn generic_code_reads_and_writes() {
    let (bench, mut console) = open(Setup::SINGLE, &[]);
    bench.send(0, b"first ");
    bench.send(0, b"line\n");
    let mut port = console.port(ZERO).unwrap();
    assert_eq!(shout(&mut port), Ok(11));
    assert_eq!(bench.heard(0), b"FIRST LINE\n");
    let empty = "";
    write!(port, "{empty}{}", 7).unwrap();
    assert_eq!(bench.heard(0), b"7");
    bench.send(0, b"abcdef");
    let mut bytes = [0; 4];
    Read::read_exact(&mut port, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abcd");
    assert_eq!((Read::read(&mut port, &mut []), Read::read(&mut port, &mut bytes)), (Ok(0), Ok(2)));
    assert_eq!(Write::write(&mut port, &[]), Ok(0));
    assert_eq!(Write::write(&mut port, &[1; 3000]), Ok(2048), "as much as there is room for");
}

#[test]
fn waiting_ends_in_time_and_by_name() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::MULTI }, &[1]);
    let mut port = console.port(ONE).unwrap();
    port.set_limit(SOON);
    let error = Read::read(&mut port, &mut [0; 4]).unwrap_err();
    assert_eq!((error, error.kind()), (ConsoleError::TimedOut { port: ONE, done: 0 }, ErrorKind::TimedOut));
    assert_eq!(Write::write(&mut port, &[1; 3000]), Ok(2048));
    assert_eq!(Write::write(&mut port, &[1]).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(Write::flush(&mut port).unwrap_err().kind(), ErrorKind::TimedOut);

    // Closed is the end of the file.
    bench.send(1, b"bye");
    bench.say(1, PORT_OPEN, 0);
    let mut bytes = [0; 4];
    assert_eq!(port.read_exact(&mut bytes), Err(ReadExactError::UnexpectedEof));
    assert_eq!(&bytes[..3], b"bye");
    assert_eq!(Read::read(&mut port, &mut bytes), Ok(0));
    assert_eq!(port.fill_buf(), Ok(&[][..]));
    assert_eq!(Write::write(&mut port, b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn who_asks_first_does_not_wait() {
    let (bench, mut console) = open(Setup { holds: true, ..Setup::MULTI }, &[1]);
    let mut port = console.port(ONE).unwrap();
    assert_eq!((port.read_ready(), port.write_ready()), (Ok(false), Ok(true)));
    assert_eq!(Write::write(&mut port, &[1; 2048]), Ok(2048));
    assert_eq!(port.write_ready(), Ok(false));
    bench.device.complete(5, 0, &[]);
    assert_eq!(port.write_ready(), Ok(true));
    bench.send(1, b"x");
    assert_eq!(port.read_ready(), Ok(true));
    assert_eq!(Read::read(&mut port, &mut [0; 4]), Ok(1));
    assert_eq!(port.read_ready(), Ok(false));
    bench.say(1, PORT_OPEN, 0);
    assert_eq!((port.read_ready(), port.write_ready()), (Ok(true), Ok(true)), "neither waits");
    assert_eq!(Read::read(&mut port, &mut [0; 4]), Ok(0));
}

#[test]
fn halves_speak_it_too() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let (mut reader, mut writer) = console.halves().unwrap().take(ONE).unwrap();
    reader.set_limit(SOON);
    assert_eq!(Read::read(&mut reader, &mut [0; 4]).unwrap_err().kind(), ErrorKind::TimedOut);
    bench.send(1, b"xy");
    assert_eq!((reader.read_ready(), writer.write_ready()), (Ok(true), Ok(true)));
    assert_eq!(reader.fill_buf(), Ok(&b"xy"[..]));
    BufRead::consume(&mut reader, 1);
    assert_eq!(Read::read(&mut reader, &mut [0; 4]), Ok(1));
    Write::write_all(&mut writer, &[7; 5000]).unwrap();
    assert_eq!(Write::write(&mut writer, b"z"), Ok(1));
    Write::flush(&mut writer).unwrap();
    assert_eq!(bench.heard(1).len(), 5001);
}

#[test]
fn errors_have_kinds() {
    let timeout = Misbehaved::Timeout(Wait::Completion(QueueIndex::new(0)));
    for (error, kind) in [
        (ConsoleError::Core(timeout.into()), ErrorKind::TimedOut),
        (ConsoleError::Core(Error::Down), ErrorKind::NotConnected),
        (ConsoleError::Core(Misuse::QueueFull.into()), ErrorKind::InvalidInput),
        (ConsoleError::NoSuchPort(ONE), ErrorKind::NotConnected),
        (ConsoleError::NoEmergencyWrite, ErrorKind::Unsupported),
        (ConsoleError::PortExists(ONE), ErrorKind::InvalidData),
        (ConsoleError::BellTaken, ErrorKind::Other),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
    }
}
