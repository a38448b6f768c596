//! A server of HTTP/1.1 (RFC 9112): one page, and named errors for everything else. One [`Connection`] for each socket.
//!
//! Nothing is kept of a page: it is made anew for each piece that is sent, and what was sent already is skipped. What may
//! change meanwhile is fixed in a [`Moment`].

use core::fmt::{self, Write};
use core::time::Duration;
use smoltcp::socket::tcp;

/// The port of HTTP.
pub const PORT: u16 = 80;
/// Longest first line of a request that is understood.
const LINE: usize = 128;
/// Longest head of a request that is read to its end.
const HEAD: usize = 8192;
/// How long a connection may be silent.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What makes pages.
pub trait Content {
    /// Writes the page, in HTML. It is the same each time for the same moment.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn page(&self, out: &mut dyn Write, moment: Moment) -> fmt::Result;
}

/// What changes from one page to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When it was asked for, from the kernel's start.
    pub up: Duration,
    /// Requests answered before.
    pub served: u32,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Page,
    /// The page's head alone.
    Head,
    BadRequest,
    NotFound,
    NotAllowed,
    TooLong,
}

impl Answer {
    /// The answer to a request with this first line.
    fn to(line: &[u8]) -> Self {
        let line = core::str::from_utf8(line).unwrap_or_default();
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Self::BadRequest;
        };
        if !version.starts_with("HTTP/1.") {
            return Self::BadRequest;
        }
        let path = target.split('?').next().unwrap_or_default();
        match (method, path) {
            ("GET", "/" | "/index.html") => Self::Page,
            ("HEAD", "/" | "/index.html") => Self::Head,
            ("GET" | "HEAD", _) => Self::NotFound,
            _ => Self::NotAllowed,
        }
    }

    fn status(self) -> &'static str {
        match self {
            Self::Page | Self::Head => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::NotAllowed => "405 Method Not Allowed",
            Self::TooLong => "431 Request Header Fields Too Large",
        }
    }

    fn body(self, out: &mut dyn Write, content: &impl Content, moment: Moment) -> fmt::Result {
        match self {
            Self::Page | Self::Head => content.page(out, moment),
            error => writeln!(out, "{}", error.status()),
        }
    }

    fn write(self, out: &mut dyn Write, content: &impl Content, moment: Moment) -> fmt::Result {
        let mut length = Window::nothing();
        self.body(&mut length, content, moment)?;
        let kind = if let Self::Page | Self::Head = self { "text/html" } else { "text/plain" };
        write!(out, "HTTP/1.1 {}\r\nContent-Type: {kind}; charset=utf-8\r\n", self.status())?;
        write!(out, "Content-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n", length.seen)?;
        if let Self::NotAllowed = self {
            write!(out, "Allow: GET, HEAD\r\n")?;
        }
        write!(out, "\r\n")?;
        if let Self::Head = self { Ok(()) } else { self.body(out, content, moment) }
    }
}

/// Takes what lies in a part of a text, and counts all of it.
struct Window<'b> {
    skip: usize,
    room: &'b mut [u8],
    filled: usize,
    seen: usize,
}

impl<'b> Window<'b> {
    fn new(skip: usize, room: &'b mut [u8]) -> Self {
        Self { skip, room, filled: 0, seen: 0 }
    }

    fn nothing() -> Self {
        Self::new(0, &mut [])
    }
}

impl Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fresh = text.as_bytes().get(self.skip.saturating_sub(self.seen)..).unwrap_or_default();
        self.seen += text.len();
        let room = self.room.get_mut(self.filled..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(fresh) {
            *place = *byte;
        }
        self.filled += room.len().min(fresh.len());
        Ok(())
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nobody is there.
    Waiting,
    /// The head of the request is read.
    Reading(Request),
    /// The answer goes out.
    Answering { answer: Answer, moment: Moment, sent: usize, len: usize },
    /// All was handed over; the other side is still to take it.
    Closing,
}

/// A connection's side of the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    state: State,
    /// When something was last heard, or said.
    last: Duration,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// Nobody is there.
    pub const fn new() -> Self {
        Self { state: State::Waiting, last: Duration::ZERO }
    }

    /// When it gives its other side up, if nothing happens before.
    pub fn gives_up(&self) -> Option<Duration> {
        (!matches!(self.state, State::Waiting)).then(|| self.last + PATIENCE)
    }

    /// Goes on with what has come, and with what there is room for. True once for each request, when its answer begins.
    pub fn go_on(
        &mut self,
        socket: &mut tcp::Socket<'_>,
        now: Duration,
        served: u32,
        content: &impl Content,
    ) -> bool {
        match socket.state() {
            // Over, or never begun. What waits only for stray packets of a connection that was ended from here gives its
            // place to the next one.
            tcp::State::Closed | tcp::State::TimeWait => {
                if socket.state() == tcp::State::TimeWait {
                    socket.abort();
                }
                self.state = State::Waiting;
                // It is closed, and the port is not 0.
                let _ = socket.listen(PORT);
                return false;
            }
            tcp::State::Listen | tcp::State::SynReceived => return false,
            _ => {}
        }
        if let State::Waiting = self.state {
            *self = Self { state: State::Reading(Request::new()), last: now };
        }
        if now.saturating_sub(self.last) >= PATIENCE {
            socket.abort();
            return false;
        }
        let mut begun = false;
        if let State::Reading(request) = &mut self.state {
            let before = request.len;
            let answer = request.read(socket);
            if request.len != before {
                self.last = now;
            }
            if let Some(answer) = answer {
                let moment = Moment { up: now, served };
                let mut all = Window::nothing();
                // Counting does not fail.
                let _ = answer.write(&mut all, content, moment);
                self.state = State::Answering { answer, moment, sent: 0, len: all.seen };
                begun = true;
            } else if !socket.may_recv() {
                // It was closed before it had asked for anything.
                socket.close();
                self.state = State::Closing;
            }
        }
        if let State::Answering { answer, moment, sent, len } = &mut self.state {
            while *sent < *len && socket.can_send() {
                let piece = socket.send(|room| {
                    let mut window = Window::new(*sent, room);
                    let _ = answer.write(&mut window, content, *moment);
                    (window.filled, window.filled)
                });
                let Ok(piece @ 1..) = piece else { break };
                *sent += piece;
                self.last = now;
            }
            if sent == len {
                socket.close();
                self.state = State::Closing;
            }
        }
        begun
    }
}

/// The head of a request, as far as it has come.
#[derive(Clone, Copy, Debug)]
struct Request {
    line: [u8; LINE],
    /// Bytes of the first line; more than [`LINE`] if it is too long.
    line_len: usize,
    line_over: bool,
    /// Bytes of the head.
    len: usize,
    /// The current line is empty so far.
    empty: bool,
}

impl Request {
    const fn new() -> Self {
        Self { line: [0; LINE], line_len: 0, line_over: false, len: 0, empty: true }
    }

    /// Reads what has come. Says what to answer when the head is complete, or cannot be used; what follows it is ignored.
    fn read(&mut self, socket: &mut tcp::Socket<'_>) -> Option<Answer> {
        while socket.can_recv() {
            let answer = socket.recv(|bytes| {
                for (at, &byte) in bytes.iter().enumerate() {
                    if let Some(answer) = self.take(byte) {
                        return (at + 1, Some(answer));
                    }
                }
                (bytes.len(), None)
            });
            match answer {
                Ok(None) => {}
                Ok(answer) => return answer,
                Err(_) => return None,
            }
        }
        None
    }

    fn take(&mut self, byte: u8) -> Option<Answer> {
        self.len += 1;
        match byte {
            b'\r' => {}
            b'\n' if !self.line_over => self.line_over = true,
            // An empty line ends the head.
            b'\n' if self.empty => {
                let line = self.line.get(..self.line_len);
                return Some(line.map_or(Answer::TooLong, Answer::to));
            }
            b'\n' => self.empty = true,
            _ if self.line_over => self.empty = false,
            _ => {
                if let Some(place) = self.line.get_mut(self.line_len) {
                    *place = byte;
                }
                self.line_len += 1;
            }
        }
        (self.len >= HEAD).then_some(Answer::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    struct Fixed;

    impl Content for Fixed {
        fn page(&self, out: &mut dyn Write, moment: Moment) -> fmt::Result {
            write!(out, "<p>page {} äöü</p>", moment.served)
        }
    }

    const MOMENT: Moment = Moment { up: Duration::from_secs(3), served: 41 };

    fn whole(answer: Answer) -> String {
        let mut text = String::new();
        answer.write(&mut text, &Fixed, MOMENT).unwrap();
        text
    }

    #[test]
    fn an_answer_has_a_head_and_its_length() {
        let text = whole(Answer::Page);
        assert!(text.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "<p>page 41 äöü</p>");
        assert!(head.contains(&alloc::format!("Content-Length: {}\r\n", body.len())));
        assert_eq!(whole(Answer::Head), alloc::format!("{head}\r\n\r\n"));
        assert!(whole(Answer::NotAllowed).contains("\r\nAllow: GET, HEAD\r\n"));
        assert!(whole(Answer::NotFound).ends_with("\r\n\r\n404 Not Found\n"));
    }

    #[test]
    fn pieces_of_any_size_make_the_whole() {
        let whole = whole(Answer::Page);
        for size in 1..whole.len() + 2 {
            let mut bytes: Vec<u8> = Vec::new();
            loop {
                let mut room = alloc::vec![0; size];
                let mut window = Window::new(bytes.len(), &mut room);
                Answer::Page.write(&mut window, &Fixed, MOMENT).unwrap();
                let filled = window.filled;
                if filled == 0 {
                    break;
                }
                bytes.extend(&room[..filled]);
            }
            assert_eq!(bytes, whole.as_bytes(), "{size}");
        }
    }

    fn answer(head: &str) -> Option<Answer> {
        let mut request = Request::new();
        let mut answers = head.bytes().map(|byte| request.take(byte)).enumerate();
        let (at, answer) = answers.find_map(|(at, answer)| answer.map(|answer| (at, answer)))?;
        assert!(at + 1 == head.len() || answer == Answer::TooLong, "answered before its end: {head}");
        Some(answer)
    }

    #[test]
    fn requests_are_understood_or_named() {
        for (head, wanted) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Answer::Page),
            ("GET / HTTP/1.0\n\n", Answer::Page),
            ("GET /?x=1 HTTP/1.1\r\n\r\n", Answer::Page),
            ("GET /index.html HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n", Answer::Page),
            ("HEAD / HTTP/1.1\r\n\r\n", Answer::Head),
            ("GET /favicon.ico HTTP/1.1\r\n\r\n", Answer::NotFound),
            ("POST / HTTP/1.1\r\n\r\n", Answer::NotAllowed),
            ("GET /\r\n\r\n", Answer::BadRequest),
            ("GET / HTTP/2\r\n\r\n", Answer::BadRequest),
            ("GET  / HTTP/1.1\r\n\r\n", Answer::BadRequest),
            ("\r\n\r\n", Answer::BadRequest),
        ] {
            assert_eq!(answer(head), Some(wanted), "{head}");
        }
        assert_eq!(answer("GET / HTTP/1.1\r\nHost: a\r\n"), None);
    }

    #[test]
    fn requests_without_an_end_are_ended() {
        assert_eq!(
            answer(&alloc::format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(LINE))),
            Some(Answer::TooLong)
        );
        assert_eq!(answer(&"x".repeat(HEAD)), Some(Answer::TooLong));
        assert_eq!(
            answer(&alloc::format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(HEAD))),
            Some(Answer::TooLong)
        );
        assert_eq!(
            answer("\u{0}\u{fffd} \r\n\r\n").map(|answer| answer.status().to_string()).as_deref(),
            Some("400 Bad Request")
        );
    }
}
