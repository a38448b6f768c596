//! `embedded-io-async`, as generic code uses it.

use alloc::sync::Arc;
use core::pin::pin;
use core::task::Poll;

use embedded_io_async::{BufRead, Read, Write};

use crate::awaited::{Woken, now, poll};
use crate::bench::{ONE, PORT_OPEN, Setup, open};

use virtio_console::{Bells, ConsoleError, Event};

/// Copies until the end of the file.
async fn pipe<R: BufRead, W: Write<Error = R::Error>>(from: &mut R, to: &mut W) -> Result<usize, R::Error> {
    let mut all = 0;
    loop {
        let len = {
            let there = from.fill_buf().await?;
            to.write_all(there).await?;
            there.len()
        };
        if len == 0 {
            to.flush().await?;
            return Ok(all);
        }
        from.consume(len);
        all += len;
    }
}

#[test]
fn generic_code_copies_until_the_port_closes() {
    let (bench, mut console) = open(Setup::MULTI, &[0, 1]);
    let (bells, woken) = (Bells::<8>::new(), Arc::<Woken>::default());
    let mut halves = console.halves().unwrap();
    let mut control = halves.take_control().unwrap().awaited(&bells).unwrap();
    let mut writer = halves.take(crate::bench::ZERO).unwrap().1.awaited(&bells).unwrap();
    let mut reader = halves.take(ONE).unwrap().0.awaited(&bells).unwrap();
    let mut piping = pin!(pipe(&mut reader, &mut writer));
    assert_eq!(poll(piping.as_mut(), &woken), Poll::Pending);
    for part in [&b"some "[..], b"text", &[b'!'; 3000]] {
        bench.send(1, part);
        bells.ring();
        assert_eq!(poll(piping.as_mut(), &woken), Poll::Pending);
        assert_eq!(bench.heard(0), part);
    }
    bench.say(1, PORT_OPEN, 0);
    assert_eq!(now(control.next_event()), Ok(Event::Closed(ONE)));
    assert_eq!(poll(piping, &woken), Poll::Ready(Ok(3009)));
}

#[test]
fn plain_reads_and_writes() {
    let (bench, mut console) = open(Setup::MULTI, &[1]);
    let bells = Bells::<8>::new();
    let (reader, writer) = console.halves().unwrap().take(ONE).unwrap();
    let (mut reader, mut writer) = (reader.awaited(&bells).unwrap(), writer.awaited(&bells).unwrap());
    bench.send(1, b"abc");
    let mut bytes = [0; 2];
    assert_eq!((now(Read::read(&mut reader, &mut bytes)), &bytes), (Ok(2), b"ab"));
    let mut bytes = [0; 1];
    now(Read::read_exact(&mut reader, &mut bytes)).unwrap();
    assert_eq!(&bytes, b"c");
    assert_eq!(now(Write::write(&mut writer, b"")), Ok(0));
    assert_eq!(now(Write::write(&mut writer, b"xyz")), Ok(3));
    assert_eq!(now(Write::flush(&mut writer)), Ok(()));
    assert_eq!(bench.heard(1), b"xyz");
    let error: Result<usize, ConsoleError> = now(Write::write(&mut writer, &[0; 1000]));
    assert_eq!(error, Ok(256));
}
