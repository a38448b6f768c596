//! The page that a kernel serves, as this host sees it: a port for it, and a client that fetches it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::failure::{Context, Result, fail};

/// Far more than the page has.
const LONGEST: usize = 1 << 20;

/// A TCP port of this host that nobody listens on. Another program may take it before QEMU does; QEMU says so then.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free TCP port")?;
    Ok(listener.local_addr().context("a free TCP port")?.port())
}

/// Where the page is, for a person.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// The lines of the head but the first, as they came.
    pub head: Vec<String>,
    /// What the page is, as long as it said.
    pub body: String,
}

impl Answer {
    /// Reads an answer that has ended with its connection.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).context("the page is no UTF-8")?;
        let (head, body) = text.split_once("\r\n\r\n").context("the answer has no head")?;
        let mut lines = head.split("\r\n").map(str::to_owned);
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.split(' ').next());
        let status = status.and_then(|number| number.parse().ok());
        let status = status.context(format!("the answer begins with {first:?}"))?;
        let answer = Self { status, head: lines.collect(), body: body.to_owned() };
        match answer.field("content-length").map(str::parse::<usize>) {
            Some(Ok(length)) if body.len() == length => Ok(answer),
            length => fail!("the page has {} bytes, and its length is said to be {length:?}", body.len()),
        }
    }

    /// The value of a line of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.iter().filter_map(|line| line.split_once(':'));
        fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// Asks the server on a port of this host for `path`, by `method`, in the time there is.
pub fn ask(method: &str, port: u16, path: &str, limit: Duration) -> Result<Vec<u8>> {
    let what = || format!("{method} http://127.0.0.1:{port}{path}");
    let deadline = Instant::now() + limit;
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), limit).context(what())?;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).context(what())?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            fail!("{}: {} s were over after {} bytes", what(), limit.as_secs(), answer.len());
        }
        stream.set_read_timeout(Some(left)).context(what())?;
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(len) => answer.extend_from_slice(chunk.get(..len).unwrap_or_default()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context(what()),
        }
        if answer.len() > LONGEST {
            fail!("{}: the answer does not end", what());
        }
    }
}

/// Fetches a page.
pub fn get(port: u16, path: &str, limit: Duration) -> Result<Answer> {
    Answer::parse(&ask("GET", port, path, limit)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A server of one connection that answers so, and hands out what it was asked.
    fn serve(answer: &'static [u8]) -> (u16, thread::JoinHandle<String>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(asked).unwrap()
        });
        (port, thread)
    }

    #[test]
    fn a_page_is_fetched() {
        let (port, server) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello");
        let answer = get(port, "/", Duration::from_secs(10)).unwrap();
        assert_eq!((answer.status, answer.body.as_str(), answer.field("x")), (200, "hello", Some("y")));
        assert!(server.join().unwrap().starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:"));
    }

    #[test]
    fn what_is_no_page_is_told() {
        for (bytes, word) in [
            (&b""[..], "no head"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "5 bytes"),
            (b"HTTP/1.1 200 OK\r\n\r\nhello", "None"),
            (b"SSH-2.0\r\n\r\n", "SSH-2.0"),
            (b"\xff\r\n\r\n", "UTF-8"),
        ] {
            let said = Answer::parse(bytes).unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_server_that_says_nothing_costs_a_bounded_time() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(get(port, "/", Duration::from_millis(50)).is_err());
        assert_ne!(free_port().unwrap(), port);
    }
}
