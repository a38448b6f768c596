//! The driver's threads: the real thing, over [`Port`].

use std::sync::Arc;

use virtio_core::device::{Device, Init, Wanted};
use virtio_core::queue::{Port, QueueSpec, Request};
use virtio_core::{DeviceId, Features, Status};

use crate::SIZE;
use crate::hal::RaceHal;
use crate::wire::{Registers, Wake, Wire};

type RacePort<'d> = Port<'d, (), Registers, RaceHal>;

/// Brings the device up, with all that it offers.
pub(crate) fn up(hal: &RaceHal, wire: &Arc<Wire>, features: Features) -> Device<Registers, RaceHal> {
    let transport = Registers {
        wire: Arc::clone(wire),
        offered: features,
        accepted: Features::empty(),
        status: Status::empty(),
    };
    let init = Init::start(transport, hal.clone(), DeviceId::ENTROPY).unwrap();
    let init = init.negotiate(&Wanted::default()).unwrap();
    init.queues(&[QueueSpec::new::<()>(0, SIZE).header(4).response(4)]).unwrap().live().unwrap()
}

/// Adds a batch, shows it, and kicks if the device wants it.
fn submit(port: &mut RacePort<'_>, wire: &Wire, from: u32, round: u32) -> u32 {
    let to = from + Wire::batch(round);
    for request in from..to {
        port.add(Request::new(()).header(&request.to_ne_bytes()).response(4)).unwrap();
    }
    port.publish();
    port.kick();
    wire.bell.decided(to);
    to
}

/// Takes what is there, and checks it.
fn take(port: &mut RacePort<'_>, taken: &mut u32) {
    while let Some(done) = port.poll().unwrap() {
        let mut answer = [0; 4];
        assert_eq!(done.copy_response(&mut answer), 4);
        assert_eq!(u32::from_ne_bytes(answer), !*taken);
        *taken += 1;
    }
}

/// Makes requests and polls for the answers.
pub(crate) fn poller(port: &mut RacePort<'_>, wire: &Wire) -> u32 {
    let (mut sent, mut taken) = (0, 0);
    for round in 0..wire.rounds {
        sent = submit(port, wire, sent, round);
        while taken < sent {
            take(port, &mut taken);
            std::thread::yield_now();
        }
    }
    0
}

/// Makes requests, and sleeps until it is interrupted. Answers how many interrupts were lost.
pub(crate) fn sleeper(port: &mut RacePort<'_>, wire: &Wire) -> u32 {
    let (mut sent, mut taken, mut lost) = (0, 0, 0);
    for round in 0..wire.rounds {
        sent = submit(port, wire, sent, round);
        loop {
            take(port, &mut taken);
            if taken == sent {
                break;
            }
            if !port.enable_interrupts() {
                lost += u32::from(wire.line.sleep(taken) == Wake::Lost);
            }
            port.disable_interrupts();
        }
    }
    lost
}
