//! The command `net`: an address, a ping of the gateway, and where the page is.

use crate::background::{Facts, Loss};
use crate::converse::Surroundings;
use crate::net::page::Mac;
use crate::net::{Lease, Progress, SERVED, Stack};
use crate::platform::Platform;
use crate::style::{PLAIN, WARN, field};
use core::fmt::{self, Write};
use core::future::poll_fn;
use core::task::Poll;
use core::time::Duration;
use virtio::Hal;

/// How long an address, and the answer to a ping, may take.
const LEASE: Duration = Duration::from_secs(15);
const PONG: Duration = Duration::from_secs(3);
/// The first ping also asks who the gateway is; the best of them is shown.
const PINGS: usize = 3;

/// Prints how the network is, once it is up.
///
/// # Errors
///
/// Those of `out`.
pub async fn print<P: Platform, H: Hal + Clone + 'static>(
    out: &mut impl Write,
    around: &mut Surroundings<'_, '_, P, H>,
) -> fmt::Result {
    let Some(now) = around.platform.hal().now() else {
        return writeln!(out, "  {WARN}without a clock there is no network{PLAIN}");
    };
    let seed = seed(around).await;
    let Some(card) = &mut around.background.card else {
        return writeln!(out, "  {WARN}there is no network card{PLAIN}");
    };
    let link = match card.net().link() {
        Ok(link) if link.up => "up",
        Ok(_) => "down",
        Err(_) => "unknown",
    };
    field(out, "card", format_args!("{}, link {link}", Mac(card.mac())))?;
    match card.begin(now, seed) {
        Ok(true) => {}
        Ok(false) => return writeln!(out, "  {WARN}there is no memory for it{PLAIN}"),
        Err(error) => return writeln!(out, "  {WARN}{error}{PLAIN}"),
    }
    match connect(out, around).await {
        Ok(said) => said,
        Err(loss) => writeln!(out, "  {WARN}{loss}{PLAIN}"),
    }
}

async fn connect<P: Platform, H: Hal + Clone + 'static>(
    out: &mut impl Write,
    around: &mut Surroundings<'_, '_, P, H>,
) -> Result<fmt::Result, Loss> {
    let Some(lease) = until(around, LEASE, |stack| stack.lease()).await? else {
        return Ok(writeln!(out, "  {WARN}no DHCP server answers{PLAIN}"));
    };
    let Lease { address, gateway, dns, server } = lease;
    let mut best: Option<Duration> = None;
    if let Some(gateway) = gateway {
        for _ in 0..PINGS {
            let now = around.platform.hal().now().unwrap_or_default();
            let sent = around.background.card.as_mut().and_then(|card| card.stack());
            if !sent.is_some_and(|stack| stack.send_ping(gateway, now)) {
                break;
            }
            // One that is lost is not the last.
            if let Some(time) = until(around, PONG, |stack| stack.pong()).await? {
                best = Some(best.map_or(time, |best| best.min(time)));
            }
        }
    }
    let mut said = field(out, "address", format_args!("{address} from {server}, by DHCP"));
    if let Some(gateway) = gateway {
        said = said.and_then(|()| match best {
            Some(time) => {
                let micros = time.as_micros();
                let (millis, rest) = (micros / 1000, micros % 1000);
                field(out, "gateway", format_args!("{gateway} answers a ping in {millis}.{rest:03} ms"))
            }
            None => field(out, "gateway", format_args!("{gateway} {WARN}answers no ping{PLAIN}")),
        });
    }
    if let Some(dns) = dns {
        said = said.and_then(|()| field(out, "names", format_args!("{dns}")));
    }
    let url = format_args!("http://{}/ {SERVED}", address.address());
    Ok(said.and_then(|()| field(out, "page", url)))
}

/// Numbers that others should not guess: of the entropy device, or of the time.
async fn seed<P: Platform, H: Hal + Clone>(around: &mut Surroundings<'_, '_, P, H>) -> u64 {
    let platform = around.platform;
    let now = platform.hal().now().unwrap_or_default();
    let random = match &mut around.entropy {
        Some(entropy) => entropy.read(platform).await.ok(),
        None => None,
    };
    random.map_or(u64::try_from(now.as_nanos()).unwrap_or(1), |bytes| bytes.number())
}

/// Goes on in the background until `look` finds something; `None` if it does not in so long.
async fn until<P: Platform, H: Hal + Clone + 'static, R>(
    around: &mut Surroundings<'_, '_, P, H>,
    limit: Duration,
    mut look: impl FnMut(&mut Stack) -> Option<R>,
) -> Result<Option<R>, Loss> {
    let (platform, polled) = (around.platform, around.polled);
    let hal = platform.hal();
    let deadline = hal.now().unwrap_or_default() + limit;
    poll_fn(|context| {
        // First of all: what happens from here on wakes the task.
        platform.handlers().other().register(context.waker());
        let now = hal.now().unwrap_or_default();
        let progress = around.go_on(now)?;
        let found = around.background.card.as_mut().and_then(|card| card.stack()).and_then(&mut look);
        if found.is_some() || now >= deadline {
            return Poll::Ready(Ok(found));
        }
        match progress {
            Progress::Until(next) if !polled => {
                around.rest.wake_at(Some(next.map_or(deadline, |next| next.min(deadline))));
            }
            _ => context.waker().wake_by_ref(),
        }
        Poll::Pending
    })
    .await
}

impl<P: Platform, H: Hal + Clone> Surroundings<'_, '_, P, H> {
    /// Goes on with what is done in the background.
    ///
    /// # Errors
    ///
    /// A device is lost.
    pub fn go_on(&mut self, now: Duration) -> Result<Progress, Loss> {
        let facts = Facts {
            inventory: self.inventory,
            disk: self.disk.as_ref().map(|disk| disk.describe()),
            polled: self.polled,
        };
        self.background.go_on(self.platform, facts, now)
    }
}
