//! The page that the kernel serves: the machine, its devices, and the features negotiated with each.
//!
//! Plain HTML with its style inside: nothing else is fetched. What comes from a device is escaped.

use super::http::{Content, Moment};
use super::stack::Lease;
use crate::banner::DeviceLine;
use crate::inventory::Inventory;
use core::fmt::{self, Write};

/// All that the page says.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The architecture's name.
    pub arch: &'a str,
    /// Every virtio device found.
    pub inventory: &'a Inventory,
    /// Our Ethernet address.
    pub mac: [u8; 6],
    /// What the DHCP server gave.
    pub lease: Option<Lease>,
    /// The disk's size in bytes, and what it calls itself.
    pub disk: Option<(u64, &'a str)>,
    /// How many console ports there are.
    pub ports: usize,
    /// No interrupts are used.
    pub polled: bool,
}

/// In the colours of the terminal.
const STYLE: &str = "\
:root{color-scheme:dark}\
*{box-sizing:border-box}\
body{margin:0;background:#0d1117;color:#d5dde6;font:16px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}\
header{background:linear-gradient(120deg,#1e4070,#142a4c);padding:2.2rem 1.2rem 2rem}\
header>div,main{max-width:64rem;margin:0 auto}\
h1{margin:0;font-size:1.9rem;font-weight:700;color:#fff;letter-spacing:-.01em}\
header p{margin:.3rem 0 0;color:#a8c4e8}\
main{padding:1.6rem 1.2rem 3rem}\
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:0 0 2rem}\
dl div{background:#151b23;border:1px solid #232c37;border-radius:.6rem;padding:.7rem .9rem}\
dt{color:#7c8796;font-size:.8rem}\
dd{margin:0;color:#fff;font-weight:600;overflow-wrap:anywhere}\
h2{font-size:1.1rem;color:#fff;margin:0 0 .7rem}\
section{background:#151b23;border:1px solid #232c37;border-radius:.6rem;padding:.8rem 1rem;margin-bottom:.7rem}\
section h3{margin:0;font-size:1rem;color:#6eb4f5;display:inline-block;min-width:7rem}\
section span{color:#9aa6b5;margin-right:1rem;font-size:.9rem}\
section.seen{opacity:.6}\
ul{list-style:none;margin:.5rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.35rem}\
li{font:.78rem/1.6 ui-monospace,Menlo,Consolas,monospace;background:#1c2733;color:#bcd3ec;border-radius:.35rem;padding:0 .5rem}\
footer{color:#7c8796;font-size:.85rem;margin-top:1.6rem}";

/// A green dot: no request of its own for the picture of the tab.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E\
%3Ccircle cx='4' cy='4' r='3' fill='%236eb4f5'/%3E%3C/svg%3E";

impl Content for Page<'_> {
    fn page(&self, out: &mut dyn Write, moment: Moment) -> fmt::Result {
        write!(
            out,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>virtio in Rust on {arch}</title><link rel=\"icon\" href=\"{ICON}\"><style>{STYLE}</style></head>\n\
             <body><header><div><h1>virtio in Rust</h1>\
             <p>This page is served by a kernel on {arch}: a driver for the network card, and nothing below it.</p>\
             </div></header>\n<main><dl>\n",
            arch = Escaped(self.arch),
        )?;
        self.facts(out, moment)?;
        writeln!(out, "</dl>\n<h2>Devices</h2>")?;
        self.inventory.with_lines(|lines| lines.iter().try_for_each(|line| device(out, line)))?;
        writeln!(
            out,
            "<footer>Made when it was asked for, without a heap. Load it again: the time goes on.</footer>\n\
             </main></body></html>"
        )
    }
}

impl Page<'_> {
    fn facts(&self, out: &mut dyn Write, moment: Moment) -> fmt::Result {
        let mut fact = |label: &str, value: fmt::Arguments<'_>| {
            writeln!(out, "<div><dt>{label}</dt><dd>{value}</dd></div>")
        };
        let seconds = moment.up.as_secs();
        fact("machine", format_args!("{}", Escaped(self.arch)))?;
        fact("up", format_args!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60))?;
        fact("pages served before", format_args!("{}", moment.served))?;
        fact("devices are", format_args!("{}", if self.polled { "polled" } else { "interrupting" }))?;
        fact("Ethernet", format_args!("{}", Mac(self.mac)))?;
        if let Some(lease) = self.lease {
            fact("address", format_args!("{}", lease.address))?;
            if let Some(gateway) = lease.gateway {
                fact("gateway", format_args!("{gateway}"))?;
            }
        }
        if let Some((bytes, id)) = self.disk {
            fact("disk", format_args!("{} MiB, {}", bytes >> 20, Escaped(id)))?;
        }
        if self.ports > 0 {
            fact("console ports", format_args!("{}", self.ports))?;
        }
        Ok(())
    }
}

fn device(out: &mut dyn Write, line: &DeviceLine<'_>) -> fmt::Result {
    let (class, usage) =
        if line.features.is_some() { ("driven", "driven") } else { ("seen", "seen, not driven") };
    write!(
        out,
        "<section class=\"{class}\" data-device=\"{name}\"><h3>{name}</h3><span>{}</span><span>{}</span>\
         <span>{usage}</span>",
        line.location,
        line.transport,
        name = Escaped(line.name),
    )?;
    if let Some(features) = line.features {
        write!(out, "<ul>")?;
        for feature in features {
            write!(out, "<li>{}</li>", Escaped(feature))?;
        }
        write!(out, "</ul>")?;
    }
    writeln!(out, "</section>")
}

/// An Ethernet address, in the usual way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for byte in self.0 {
            write!(f, "{gap}{byte:02x}")?;
            gap = ":";
        }
        Ok(())
    }
}

/// Text that means nothing else in HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::banner::{Location, Transport};
    use crate::discover::{Devices, Found};
    use crate::wiring::Wiring;
    use alloc::string::{String, ToString};
    use core::time::Duration;
    use virtio::{DeviceId, Features};

    fn inventory() -> Inventory {
        let mut devices: Devices<()> = Devices::new();
        for (number, id) in (0..).zip([DeviceId::GPU, DeviceId::NET, DeviceId::new(999)]) {
            let location = Location::Address(0x0a00_0000 + number * 0x200);
            let (kind, wiring) = (Transport::Mmio, Wiring::None);
            devices.push(Found { id, location, kind, transport: None, wiring });
        }
        let mut inventory = Inventory::new(&devices);
        inventory.driven(1, DeviceId::NET, Features::EVENT_IDX | Features::VERSION_1, None);
        inventory
    }

    fn page(id: &str) -> String {
        let inventory = inventory();
        let page = Page {
            arch: "aarch64",
            inventory: &inventory,
            mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
            lease: None,
            disk: Some((16 << 20, id)),
            ports: 3,
            polled: false,
        };
        let mut text = String::new();
        page.page(&mut text, Moment { up: Duration::from_secs(3725), served: 4 }).unwrap();
        text
    }

    #[test]
    fn every_device_has_its_place_and_its_features() {
        let text = page("demo-disk");
        for part in [
            "<title>virtio in Rust on aarch64</title>",
            "<dd>1:02:05</dd>",
            "<dd>52:54:00:12:34:56</dd>",
            "<dd>16 MiB, demo-disk</dd>",
            "<li>EVENT_IDX</li><li>VERSION_1</li>",
            "class=\"seen\" data-device=\"gpu\"",
            "class=\"seen\" data-device=\"unknown\"",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert_eq!(text.matches("data-device=").count(), 3);
        assert!(!text.contains("address</dt>"), "there is none yet");
        if let Some(folder) = std::env::var_os("DEMO_PICTURES") {
            std::fs::write(std::path::Path::new(&folder).join("page.html"), &text).unwrap();
        }
    }

    #[test]
    fn what_a_device_says_is_text_and_nothing_else() {
        let text = page("<script>alert('&\"')</script>");
        assert!(text.contains("16 MiB, &lt;script&gt;alert(&#39;&amp;&quot;&#39;)&lt;/script&gt;</dd>"));
        assert!(!text.contains("<script"));
    }

    #[test]
    fn tags_close() {
        let text = page("x");
        for tag in [
            "html", "head", "style", "body", "header", "main", "dl", "div", "section", "ul", "li", "footer",
            "h1",
        ] {
            let open = text.matches(&alloc::format!("<{tag}>")).count()
                + text.matches(&alloc::format!("<{tag} ")).count();
            assert_eq!(open, text.matches(&alloc::format!("</{tag}>")).count(), "{tag}");
        }
        assert_eq!(Mac([0xab; 6]).to_string(), "ab:ab:ab:ab:ab:ab");
    }
}
