//! A queue that breaks, or is given up: everybody is woken and gets the error, nothing is lost.

use std::sync::Arc;

use virtio_core::device::{Init, Wanted};
use virtio_core::queue::{AsyncPort, Bell, Failed, QueueSpec};
use virtio_core::{Error, Features, Misbehaved};
use virtio_testkit::{Lie, TestHal};

use crate::cancelled::{Counted, Counting, counted};
use crate::common::{ID, Q0, device, hold, up};
use crate::executor::Task;

async fn send(port: &Counting<'_>, payload: Arc<()>) -> (Error, bool) {
    let Failed { error, payload } = port.send(counted(&payload), &mut []).await.map(drop).unwrap_err();
    (error, payload.is_some())
}

#[test]
fn a_lie_wakes_everybody_and_the_payloads_come_back_or_stay() {
    let hal = TestHal::new();
    let device = device(4, hold).build(&hal);
    let mut live = up::<Counted>(&device, &hal, 4).unwrap();
    let bell = Bell::new();
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let payload = Arc::new(());
    let mut flying: Vec<_> = (0..3).map(|_| Task::waiting(send(&port, payload.clone()))).collect();
    let mut answered = Task::waiting(async { port.send(counted(&payload), &mut []).await.unwrap().written });
    let mut waiting: Vec<_> = (0..3).map(|_| Task::waiting(send(&port, payload.clone()))).collect();
    let mut receiving = Task::waiting(async { port.next(&mut []).await.map(drop) });
    // A good answer first; then something that was never in flight.
    device.complete(0, 3, &[5]);
    device.lie(0, Lie::UsedId { id: 77, len: 0 });
    bell.ring();
    assert_eq!(receiving.woken(), 1);
    let why = Error::Misbehaved(Misbehaved::UsedIdOutOfRange { queue: Q0, id: 77 });
    assert_eq!(receiving.poll(), Some(Err(why)));
    assert_eq!(answered.woken(), 1);
    assert_eq!(answered.poll(), Some(1));
    for task in &mut flying {
        assert_eq!((task.woken(), task.poll()), (1, Some((why, false))));
    }
    for task in &mut waiting {
        assert_eq!((task.woken(), task.poll()), (1, Some((why, true))));
    }
    // Nothing more is taken, and it says so at once, with the payload.
    assert_eq!(Task::new(send(&port, payload.clone())).poll(), Some((why, true)));
    assert_eq!(Task::new(async { port.next(&mut []).await.map(drop) }).poll(), Some(Err(why)));
    drop((flying, waiting, answered));
    // Those that the device may still hold.
    drop(receiving);
    assert_eq!(Arc::strong_count(&payload), 4);
    drop(port);
    drop(live);
    assert_eq!(Arc::strong_count(&payload), 1);
}

#[test]
fn a_reset_of_the_queue_gives_back_what_the_device_held() {
    let hal = TestHal::new();
    let device = device(4, hold).features(Features::VERSION_1 | Features::RING_RESET).build(&hal);
    let init = Init::start(device.transport(), hal.clone(), ID).unwrap();
    let wanted = Wanted { optional: Features::RING_RESET, ..Wanted::default() };
    let specs = [QueueSpec::new::<Counted>(0, 4).response(1).drains_on_reset()];
    let mut live = init.negotiate(&wanted).unwrap().queues(&specs).unwrap().live().unwrap();
    let bell = Bell::new();
    let payload = Arc::new(());
    for _ in 0..2 {
        let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
        let mut failed = Task::waiting(send(&port, payload.clone()));
        drop(Task::waiting(send(&port, payload.clone())));
        let token = port.start(counted(&payload), &mut []).unwrap();
        let forgotten = token.token();
        core::mem::forget(token);
        port.fail(Misbehaved::NeedsReset);
        assert_eq!(failed.woken(), 1);
        assert_eq!(failed.poll(), Some((Misbehaved::NeedsReset.into(), false)));
        drop(failed);
        drop(port);
        let mut back = Vec::new();
        live.reset_queue::<Counted>(0, |token, payload| back.push((token, payload))).unwrap();
        assert_eq!((back.len(), Arc::strong_count(&payload)), (3, 4));
        assert!(back.iter().any(|(token, _)| *token == forgotten));
        drop(back);
        assert_eq!(Arc::strong_count(&payload), 1);
    }
    // It works again.
    let port = AsyncPort::new(live.port::<Counted>(0).unwrap(), &bell).unwrap();
    let mut task = Task::waiting(async { port.send(counted(&payload), &mut []).await.is_ok() });
    device.complete(0, 0, &[1]);
    bell.ring();
    assert_eq!((task.woken(), task.poll()), (1, Some(true)));
}
