//! QMP: screenshots, keys, disks, and questions about the machine.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::socket::Lines;

/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One QEMU's QMP socket.
#[derive(Debug)]
pub struct Qmp {
    lines: Lines,
}

impl Qmp {
    /// Takes the greeting and asks for commands.
    pub(crate) fn start(lines: Lines) -> io::Result<Self> {
        let mut qmp = Self { lines };
        qmp.receive(|message| message.get("QMP").map(|_| ()))?;
        qmp.run("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Runs a command; its answer.
    ///
    /// # Errors
    /// What QEMU says against it, or that it does not answer.
    pub fn run(&mut self, command: &str, arguments: &Value) -> io::Result<Value> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.lines.send(line.as_bytes())?;
        self.receive(|message| {
            let refused =
                message.get("error").map(|error| Err(io::Error::other(format!("{command}: {error}"))));
            refused.or_else(|| message.get("return").map(|answer| Ok(answer.clone())))
        })?
    }

    /// The first message from here on that is `wanted`; events are passed by.
    fn receive<V>(&mut self, wanted: impl Fn(&Value) -> Option<V>) -> io::Result<V> {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.next(left)?.ok_or(io::ErrorKind::TimedOut)?;
            if let Some(value) = wanted(&serde_json::from_str(&line)?) {
                return Ok(value);
            }
        }
    }
}
