// A GPU to test the driver against: it keeps resources, displays and cursors as a host does, by the tables of VIRTIO 1.4
// §5.7 and nothing of the driver's. It can be told to misbehave. (No inner documentation: the crate's front page includes
// this file.)

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use virtio_core::{DeviceAddr, DeviceId, Features};
use virtio_testkit::{Builder, FakeDevice, FakeTransport, Reply, Request, TestHal};

pub(crate) const GET_DISPLAY_INFO: u32 = 0x100;
pub(crate) const CREATE_2D: u32 = 0x101;
pub(crate) const UNREF: u32 = 0x102;
pub(crate) const SET_SCANOUT: u32 = 0x103;
pub(crate) const FLUSH: u32 = 0x104;
pub(crate) const TRANSFER: u32 = 0x105;
pub(crate) const ATTACH: u32 = 0x106;
pub(crate) const DETACH: u32 = 0x107;
pub(crate) const GET_EDID: u32 = 0x10a;
pub(crate) const UPDATE_CURSOR: u32 = 0x300;
pub(crate) const MOVE_CURSOR: u32 = 0x301;

const OK: u32 = 0x1100;
const OK_DISPLAY_INFO: u32 = 0x1101;
const OK_EDID: u32 = 0x1104;
const ERR_INVALID_SCANOUT_ID: u32 = 0x1202;
const ERR_INVALID_RESOURCE_ID: u32 = 0x1203;
const ERR_INVALID_PARAMETER: u32 = 0x1205;

/// x, y, width, height.
pub(crate) type Area = [u32; 4];

/// A command that came, as far as tests look at it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    DisplayInfo,
    Edid { scanout: u32 },
    Create { id: u32, format: u32, width: u32, height: u32 },
    Attach { id: u32, entries: usize },
    Detach { id: u32, fenced: bool },
    Unref { id: u32, fenced: bool },
    SetScanout { scanout: u32, id: u32, area: Area },
    Transfer { id: u32, area: Area, offset: u64, fenced: bool },
    Flush { id: u32, area: Area },
    UpdateCursor { id: u32, scanout: u32, at: (u32, u32), hot: (u32, u32) },
    MoveCursor { id: u32, scanout: u32, at: (u32, u32) },
    Unknown(u32),
}

/// How the device gets a command wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// It does nothing and answers with this error.
    Refuse(u32),
    /// It does what is asked, but answers with this type.
    Answer(u32),
    /// It does what is asked, but answers with so few bytes.
    Short(usize),
    /// It does what is asked, but does not repeat the fence.
    NoFence,
    /// It does what is asked, but repeats another fence.
    OtherFence,
    /// It never answers.
    Silence,
}

#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// The host's copy.
    pub(crate) pixels: Vec<u8>,
    /// Address and length of each stretch of guest memory.
    pub(crate) backing: Option<Vec<(u64, u32)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) visible: bool,
    pub(crate) at: (u32, u32),
    pub(crate) hot: (u32, u32),
    pub(crate) image: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Display {
    pub(crate) area: Area,
    pub(crate) enabled: u32,
    pub(crate) flags: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) displays: [Display; 16],
    pub(crate) edid: Vec<u8>,
    /// What the device says its length is, if not the truth.
    pub(crate) edid_size: Option<u32>,
    /// How many bytes of an EDID answer are written, if not all.
    pub(crate) edid_written: Option<usize>,
    pub(crate) resources: BTreeMap<u32, Resource>,
    /// Resource and area of each display.
    pub(crate) shown: BTreeMap<u32, (u32, Area)>,
    /// What a user sees: pixels of the shown area at the last flush.
    pub(crate) glass: BTreeMap<u32, Vec<u8>>,
    pub(crate) cursors: BTreeMap<u32, Cursor>,
    pub(crate) seen: Vec<Seen>,
    /// For the n-th command of that type from now on (1 is the next).
    pub(crate) troubles: Vec<(u32, usize, Trouble)>,
    /// What the driver did wrong.
    pub(crate) complaints: Vec<String>,
}

/// The test's side of the device.
#[derive(Clone, Debug)]
pub(crate) struct FakeGpu {
    pub(crate) device: FakeDevice,
    host: Arc<Mutex<Host>>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |bytes| u32::from_le_bytes(bytes.try_into().unwrap()))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn area_at(bytes: &[u8], at: usize) -> Area {
    [0, 4, 8, 12].map(|step| u32_at(bytes, at + step))
}

impl Resource {
    /// Bytes of an area of the host's copy.
    fn part(&self, [x, y, width, height]: Area) -> Vec<u8> {
        (y..y + height)
            .flat_map(|row| {
                let start = 4 * (row as usize * self.width as usize + x as usize);
                self.pixels[start..start + 4 * width as usize].to_vec()
            })
            .collect()
    }

    fn contains(&self, [x, y, width, height]: Area) -> bool {
        let inside = |start: u32, len: u32, all: u32| start.checked_add(len).is_some_and(|end| end <= all);
        inside(x, width, self.width) && inside(y, height, self.height)
    }

    /// Reads guest memory through the backing.
    fn guest(&self, request: &Request, offset: usize, len: usize) -> Option<Vec<u8>> {
        let (mut skip, mut bytes) = (offset, Vec::new());
        for (address, stretch) in self.backing.as_ref()? {
            let stretch = *stretch as usize;
            if skip >= stretch {
                skip -= stretch;
                continue;
            }
            let take = (stretch - skip).min(len - bytes.len());
            let from = DeviceAddr::new(address + skip as u64);
            bytes.extend(request.memory.read_vec(from, take).ok()?);
            skip = 0;
        }
        (bytes.len() == len).then_some(bytes)
    }
}

impl Host {
    fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// What a reset does: the device knows of no resource any more, and shows nothing.
    fn power_on(&mut self) {
        self.resources.clear();
        self.shown.clear();
        self.glass.clear();
        self.cursors.clear();
    }

    fn note(&mut self, bytes: &[u8]) {
        let fenced = u32_at(bytes, 4) & 1 != 0;
        let id = u32_at(bytes, 24);
        let seen = match u32_at(bytes, 0) {
            GET_DISPLAY_INFO => Seen::DisplayInfo,
            GET_EDID => Seen::Edid { scanout: id },
            CREATE_2D => Seen::Create {
                id,
                format: u32_at(bytes, 28),
                width: u32_at(bytes, 32),
                height: u32_at(bytes, 36),
            },
            ATTACH => Seen::Attach { id, entries: u32_at(bytes, 28) as usize },
            DETACH => Seen::Detach { id, fenced },
            UNREF => Seen::Unref { id, fenced },
            SET_SCANOUT => Seen::SetScanout {
                area: area_at(bytes, 24),
                scanout: u32_at(bytes, 40),
                id: u32_at(bytes, 44),
            },
            TRANSFER => Seen::Transfer {
                area: area_at(bytes, 24),
                offset: u64_at(bytes, 40),
                id: u32_at(bytes, 48),
                fenced,
            },
            FLUSH => Seen::Flush { area: area_at(bytes, 24), id: u32_at(bytes, 40) },
            UPDATE_CURSOR => Seen::UpdateCursor {
                scanout: id,
                at: (u32_at(bytes, 28), u32_at(bytes, 32)),
                id: u32_at(bytes, 40),
                hot: (u32_at(bytes, 44), u32_at(bytes, 48)),
            },
            MOVE_CURSOR => Seen::MoveCursor {
                scanout: id,
                at: (u32_at(bytes, 28), u32_at(bytes, 32)),
                id: u32_at(bytes, 40),
            },
            other => Seen::Unknown(other),
        };
        self.seen.push(seen);
    }

    /// What the command must look like whatever it is: its length, fields that are zero, its fence.
    fn look_at(&mut self, bytes: &[u8]) {
        let kind = u32_at(bytes, 0);
        let flags = u32_at(bytes, 4);
        let (len, zeros): (usize, &[usize]) = match kind {
            GET_DISPLAY_INFO => (24, &[]),
            GET_EDID | UNREF | DETACH => (32, &[28]),
            CREATE_2D => (40, &[]),
            SET_SCANOUT => (48, &[]),
            FLUSH => (48, &[44]),
            TRANSFER => (56, &[52]),
            UPDATE_CURSOR | MOVE_CURSOR => (56, &[36, 52]),
            ATTACH => (32 + 16 * u32_at(bytes, 28) as usize, &[]),
            _ => (bytes.len(), &[]),
        };
        if bytes.len() != len {
            self.complain(format!("{kind:#x} has {} bytes instead of {len}", bytes.len()));
        }
        if zeros.iter().any(|at| u32_at(bytes, *at) != 0) || u32_at(bytes, 16) != 0 || u32_at(bytes, 20) != 0
        {
            self.complain(format!("{kind:#x}: padding or context is not 0"));
        }
        if matches!(kind, DETACH | UNREF | TRANSFER) && flags != 1 {
            self.complain(format!("{kind:#x} comes without a fence"));
        }
        if flags & 1 == 0 && u64_at(bytes, 8) != 0 {
            self.complain(format!("{kind:#x}: a fence id without a fence"));
        }
    }

    fn trouble(&mut self, kind: u32) -> Option<Trouble> {
        for (on, left, _) in &mut self.troubles {
            if *on == kind && *left > 0 {
                *left -= 1;
            }
        }
        let due = self.troubles.iter().position(|(on, left, _)| *on == kind && *left == 0)?;
        Some(self.troubles.remove(due).2)
    }

    /// Answers a command of the control queue.
    fn control(&mut self, request: &Request) -> Reply {
        let bytes = &request.readable;
        self.note(bytes);
        self.look_at(bytes);
        let kind = u32_at(bytes, 0);
        let trouble = self.trouble(kind);
        let (code, rest) = match trouble {
            Some(Trouble::Refuse(code)) => (code, Vec::new()),
            Some(Trouble::Silence) => return Reply::Hold,
            _ => match self.obey(kind, request) {
                Ok((code, rest)) => (code, rest),
                Err(code) => (code, Vec::new()),
            },
        };
        let mut answer = vec![0; 24];
        let code = if let Some(Trouble::Answer(other)) = trouble { other } else { code };
        answer[..4].copy_from_slice(&code.to_le_bytes());
        if u32_at(bytes, 4) & 1 != 0 && trouble != Some(Trouble::NoFence) {
            answer[4..16].copy_from_slice(&bytes[4..16]);
            if trouble == Some(Trouble::OtherFence) {
                answer[8] ^= 0x80;
            }
        }
        answer.extend(rest);
        if let Some(Trouble::Short(len)) = trouble {
            answer.truncate(len);
        }
        if answer.len() > request.writable {
            self.complain(format!("{kind:#x}: no room for an answer of {} bytes", answer.len()));
        }
        Reply::Write(answer)
    }

    fn resource(&mut self, id: u32) -> Result<&mut Resource, u32> {
        self.resources.get_mut(&id).ok_or(ERR_INVALID_RESOURCE_ID)
    }

    fn obey(&mut self, kind: u32, request: &Request) -> Result<(u32, Vec<u8>), u32> {
        let bytes = &request.readable;
        let id = u32_at(bytes, 24);
        match kind {
            GET_DISPLAY_INFO => {
                let fields = |display: &Display| {
                    let [x, y, width, height] = display.area;
                    [x, y, width, height, display.enabled, display.flags]
                };
                let rest = self.displays.iter().flat_map(fields).flat_map(u32::to_le_bytes).collect();
                return Ok((OK_DISPLAY_INFO, rest));
            }
            GET_EDID => {
                let size = self.edid_size.unwrap_or(self.edid.len() as u32);
                let mut rest = vec![0; 8 + 1024];
                rest[..4].copy_from_slice(&size.to_le_bytes());
                rest[8..8 + self.edid.len()].copy_from_slice(&self.edid);
                rest.truncate(self.edid_written.unwrap_or(rest.len()));
                return Ok((OK_EDID, rest));
            }
            CREATE_2D => {
                if id == 0 || self.resources.contains_key(&id) {
                    return Err(ERR_INVALID_RESOURCE_ID);
                }
                let (format, width, height) = (u32_at(bytes, 28), u32_at(bytes, 32), u32_at(bytes, 36));
                let known = [1, 2, 3, 4, 67, 68, 121, 134].contains(&format);
                if !known || width == 0 || height == 0 {
                    return Err(ERR_INVALID_PARAMETER);
                }
                let pixels = vec![0xee; 4 * width as usize * height as usize];
                self.resources.insert(id, Resource { width, height, pixels, backing: None });
            }
            UNREF => {
                self.resource(id)?;
                if self.shown.values().any(|(shown, _)| *shown == id) {
                    self.complain(format!("resource {id} is destroyed while it is shown"));
                }
                self.resources.remove(&id);
            }
            ATTACH => {
                let entries = (0..u32_at(bytes, 28) as usize)
                    .map(|entry| (u64_at(bytes, 32 + 16 * entry), u32_at(bytes, 40 + 16 * entry)));
                let entries = entries.collect();
                if self.resource(id)?.backing.replace(entries).is_some() {
                    self.complain(format!("resource {id} has a backing already"));
                }
            }
            DETACH => {
                self.resource(id)?.backing.take().ok_or(0x1200_u32)?;
            }
            SET_SCANOUT => {
                let (area, scanout, id) = (area_at(bytes, 24), u32_at(bytes, 40), u32_at(bytes, 44));
                if scanout >= 16 {
                    return Err(ERR_INVALID_SCANOUT_ID);
                }
                if id == 0 {
                    self.shown.remove(&scanout);
                } else if self.resource(id)?.contains(area) {
                    self.shown.insert(scanout, (id, area));
                } else {
                    return Err(ERR_INVALID_PARAMETER);
                }
            }
            TRANSFER => {
                let (area, offset, id) = (area_at(bytes, 24), u64_at(bytes, 40), u32_at(bytes, 48));
                let resource = self.resource(id)?;
                if !resource.contains(area) {
                    return Err(ERR_INVALID_PARAMETER);
                }
                let [x, y, width, height] = area;
                for row in 0..height as usize {
                    let stride = 4 * resource.width as usize;
                    let source = offset as usize + row * stride;
                    let Some(part) = resource.guest(request, source, 4 * width as usize) else {
                        return Err(0x1200);
                    };
                    let start = (y as usize + row) * stride + 4 * x as usize;
                    resource.pixels[start..start + part.len()].copy_from_slice(&part);
                }
            }
            FLUSH => {
                let (area, id) = (area_at(bytes, 24), u32_at(bytes, 40));
                if !self.resource(id)?.contains(area) {
                    return Err(ERR_INVALID_PARAMETER);
                }
                let shown: Vec<_> = self.shown.iter().filter(|(_, (shown, _))| *shown == id).collect();
                let parts: Vec<_> = shown
                    .into_iter()
                    .map(|(scanout, (_, area))| (*scanout, self.resources[&id].part(*area)))
                    .collect();
                self.glass.extend(parts);
            }
            _ => return Err(0x1200),
        }
        Ok((OK, Vec::new()))
    }

    /// Obeys a command of the cursor queue. No answer is written, as with QEMU.
    fn cursor(&mut self, request: &Request) -> Reply {
        let bytes = &request.readable;
        self.note(bytes);
        self.look_at(bytes);
        let kind = u32_at(bytes, 0);
        if self.trouble(kind) == Some(Trouble::Silence) {
            return Reply::Hold;
        }
        let id = u32_at(bytes, 40);
        let image = self.resources.get(&id).map(|resource| resource.pixels.clone());
        if kind == UPDATE_CURSOR && id != 0 && image.as_ref().map(Vec::len) != Some(64 * 64 * 4) {
            self.complain(format!("resource {id} is no cursor"));
        }
        let cursor = self.cursors.entry(u32_at(bytes, 24)).or_default();
        cursor.at = (u32_at(bytes, 28), u32_at(bytes, 32));
        // QEMU hides a cursor that is moved without a resource.
        cursor.visible = id != 0;
        if kind == UPDATE_CURSOR {
            cursor.hot = (u32_at(bytes, 44), u32_at(bytes, 48));
            cursor.image = image.unwrap_or_default();
        }
        Reply::Write(Vec::new())
    }
}

/// The configuration space of a device with so many displays.
pub(crate) fn config(scanouts: u32) -> Vec<u8> {
    [0, 0, scanouts, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect()
}

impl FakeGpu {
    /// One display of 64x48 pixels; offers EDID.
    pub(crate) fn new(hal: &TestHal) -> Self {
        Self::with(hal, |builder| builder)
    }

    pub(crate) fn with(hal: &TestHal, change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::with_queues(hal, [256, 16], change)
    }

    /// With queues of at most so many entries.
    pub(crate) fn with_queues(hal: &TestHal, max: [u16; 2], change: impl FnOnce(Builder) -> Builder) -> Self {
        let mut host = Host::default();
        host.displays[0] = Display { area: [0, 0, 64, 48], enabled: 1, flags: 0 };
        let host = Arc::new(Mutex::new(host));
        let (control, cursor, reset) = (host.clone(), host.clone(), host.clone());
        let builder = FakeDevice::builder(DeviceId::GPU)
            .features(Features::VERSION_1 | Features::bit(1))
            .config(config(1))
            // Also while a test unwinds that has failed with the host in its hands.
            .on_reset(move || reset.lock().unwrap_or_else(PoisonError::into_inner).power_on())
            .on_config_write(|space, offset, bytes| {
                // events_clear: ones clear bits of events_read.
                if offset == 4 {
                    let left = u32_at(space, 0) & !u32_at(bytes, 0);
                    space[..4].copy_from_slice(&left.to_le_bytes());
                    space[4..8].fill(0);
                }
            })
            .queue(0, max[0], move |request| control.lock().unwrap().control(&request))
            .queue(1, max[1], move |request| cursor.lock().unwrap().cursor(&request));
        Self { device: change(builder).build(hal), host }
    }

    pub(crate) fn host(&self) -> MutexGuard<'_, Host> {
        self.host.lock().unwrap()
    }

    pub(crate) fn transport(&self) -> FakeTransport {
        self.device.transport()
    }

    /// The commands since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.host().seen)
    }

    /// The n-th command of that type from now on goes wrong.
    pub(crate) fn trouble(&self, command: u32, nth: usize, trouble: Trouble) {
        self.host().troubles.push((command, nth, trouble));
    }

    /// What somebody sees who looks at a display: `None` if nothing is shown or was ever flushed.
    pub(crate) fn glass(&self, scanout: u32) -> Option<Vec<u8>> {
        let host = self.host();
        host.shown.get(&scanout)?;
        host.glass.get(&scanout).cloned()
    }

    /// Fails the test if the driver has done anything wrong.
    pub(crate) fn check(&self) {
        assert_eq!(self.host().complaints, Vec::<String>::new());
    }
}
