//! QMP, QEMU's control connection: one JSON object a line, in both directions.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::failure::{Context, Result, fail};
use crate::keys::Key;

/// A connection that has been greeted and may give commands.
#[derive(Debug)]
pub struct Qmp {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

/// The features of one device that belong to queue and transport, under QEMU's names (`VIRTIO_F_RING_PACKED`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// QEMU's name of the device's kind: `virtio-gpu`.
    pub device: String,
    /// What the device offers.
    pub offered: Vec<String>,
    /// What the driver has accepted.
    pub accepted: Vec<String>,
}

/// QEMU answers in milliseconds; this is for a very busy host.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

impl Qmp {
    /// Takes the greeting and leaves negotiation mode.
    pub fn start(connection: UnixStream) -> Result<Self> {
        connection.set_read_timeout(Some(ANSWER_LIMIT)).context("QMP")?;
        let writer = connection.try_clone().context("QMP")?;
        let mut qmp = Self { reader: BufReader::new(connection), writer };
        if qmp.read()?.get("QMP").is_none() {
            fail!("QMP: no greeting from QEMU");
        }
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Runs one command and returns what it returned. Events in between are passed over.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let request = json!({ "execute": command, "arguments": arguments });
        self.writer.write_all(format!("{request}\n").as_bytes()).context(format!("QMP {command}"))?;
        loop {
            let mut answer = self.read()?;
            if let Some(returned) = answer.get_mut("return") {
                return Ok(returned.take());
            }
            if let Some(error) = answer.get("error") {
                let said = error.get("desc").and_then(Value::as_str).unwrap_or("no reason given");
                fail!("QMP {command}: {said}");
            }
        }
    }

    /// Presses and releases `key` on the guest's keyboard.
    pub fn press(&mut self, key: Key) -> Result {
        let event = |code: &str, down: bool| json!({ "type": "key", "data": { "down": down, "key": { "type": "qcode", "data": code } } });
        let mut events = vec![event(key.code, true), event(key.code, false)];
        if key.shift {
            events.insert(0, event("shift", true));
            events.push(event("shift", false));
        }
        self.execute("input-send-event", json!({ "events": events })).map(drop)
    }

    /// Writes the screen of the device `id` to `file`, as PPM.
    pub fn screendump(&mut self, id: &str, file: &Path) -> Result {
        self.execute("screendump", json!({ "filename": file, "device": id })).map(drop)
    }

    /// What each virtio device offers and what was accepted; `None` if this QEMU cannot say (before 7.2).
    pub fn virtio_features(&mut self) -> Result<Option<Vec<Negotiated>>> {
        let commands = self.execute("query-commands", json!({}))?;
        let known = |name: &str| {
            commands.as_array().is_some_and(|all| all.iter().any(|command| command["name"] == name))
        };
        if !known("x-query-virtio") || !known("x-query-virtio-status") {
            return Ok(None);
        }
        let devices = self.execute("x-query-virtio", json!({}))?;
        let mut features = Vec::new();
        for device in devices.as_array().context("QMP: no list of virtio devices")? {
            let status = self.execute("x-query-virtio-status", json!({ "path": device["path"] }))?;
            let words = |set: &str| feature_names(status.get(set)?.get("transports")?);
            features.push(Negotiated {
                device: device["name"].as_str().unwrap_or("unnamed").to_owned(),
                offered: words("host-features").context("QMP: no features offered")?,
                accepted: words("guest-features").context("QMP: no features accepted")?,
            });
        }
        Ok(Some(features))
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).context("QMP")? == 0 {
            fail!("QMP: QEMU hung up");
        }
        serde_json::from_str(&line).context("QMP")
    }
}

/// The names in a list of `NAME: description`.
fn feature_names(list: &Value) -> Option<Vec<String>> {
    let name = |entry: &Value| Some(entry.as_str()?.split(':').next()?.to_owned());
    list.as_array()?.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// A QEMU that answers with the given lines, one after each request, and returns the requests.
    fn fake(answers: &'static [&'static str]) -> (Result<Qmp>, thread::JoinHandle<Vec<Value>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let qemu = thread::spawn(move || {
            let mut writer = theirs.try_clone().unwrap();
            writer.write_all(b"{\"QMP\": {\"version\": {}}}\n").unwrap();
            let mut requests = Vec::new();
            let mut answers = ["{\"return\": {}}"].iter().chain(answers);
            for line in BufReader::new(theirs).lines() {
                requests.push(serde_json::from_str(&line.unwrap()).unwrap());
                let Some(answer) = answers.next() else { break };
                writer.write_all(format!("{answer}\n").as_bytes()).unwrap();
            }
            requests
        });
        (Qmp::start(ours), qemu)
    }

    #[test]
    fn answers_are_found_among_events() {
        let (qmp, qemu) = fake(&["{\"event\": \"RESUME\"}\n{\"return\": 7}"]);
        let mut qmp = qmp.unwrap();
        assert_eq!(qmp.execute("query-it", json!({ "a": 1 })).unwrap(), json!(7));
        drop(qmp);
        let requests = qemu.join().unwrap();
        assert_eq!(requests[1], json!({ "execute": "query-it", "arguments": { "a": 1 } }));
    }

    #[test]
    fn errors_say_what_qemu_said() {
        let (qmp, _qemu) = fake(&["{\"error\": {\"class\": \"GenericError\", \"desc\": \"no surface\"}}"]);
        let failure = qmp.unwrap().screendump("gpu0", Path::new("/x")).unwrap_err();
        assert_eq!(failure.to_string(), "QMP screendump: no surface");
    }

    #[test]
    fn features_are_asked_for_device_by_device() {
        let (qmp, qemu) = fake(&[
            r#"{"return": [{"name": "x-query-virtio"}, {"name": "x-query-virtio-status"}]}"#,
            r#"{"return": [{"name": "virtio-gpu", "path": "/gpu0"}]}"#,
            r#"{"return": {"host-features": {"transports": ["A: a", "B: b"]}, "guest-features": {"transports": ["A: a"]}}}"#,
        ]);
        let features = qmp.unwrap().virtio_features().unwrap().unwrap();
        let [gpu] = features.as_slice() else { panic!("{features:?}") };
        assert_eq!((gpu.device.as_str(), gpu.accepted.as_slice()), ("virtio-gpu", &["A".to_owned()][..]));
        assert_eq!(gpu.offered, ["A", "B"]);
        assert_eq!(qemu.join().unwrap()[3]["arguments"]["path"], "/gpu0");
    }

    #[test]
    fn a_qemu_that_cannot_tell_features_is_no_error() {
        let (qmp, _qemu) = fake(&[r#"{"return": [{"name": "screendump"}]}"#]);
        assert_eq!(qmp.unwrap().virtio_features().unwrap(), None);
        let (qmp, _qemu) = fake(&[
            r#"{"return": [{"name": "x-query-virtio"}, {"name": "x-query-virtio-status"}]}"#,
            r#"{"return": [{"name": "virtio-gpu", "path": "/gpu0"}]}"#,
            r#"{"return": {}}"#,
        ]);
        assert!(qmp.unwrap().virtio_features().is_err());
    }

    #[test]
    fn capitals_are_typed_with_shift_around_them() {
        let (qmp, qemu) = fake(&["{\"return\": {}}"]);
        let mut qmp = qmp.unwrap();
        qmp.press(Key { code: "a", shift: true }).unwrap();
        drop(qmp);
        let requests = qemu.join().unwrap();
        let events = requests[1]["arguments"]["events"].as_array().unwrap().clone();
        let order: Vec<_> = events
            .iter()
            .map(|event| {
                (event["data"]["key"]["data"].as_str().unwrap(), event["data"]["down"].as_bool().unwrap())
            })
            .collect();
        assert_eq!(order, [("shift", true), ("a", true), ("a", false), ("shift", false)]);
    }
}
