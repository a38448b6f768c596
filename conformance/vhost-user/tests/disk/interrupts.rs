//! Interrupts by eventfd, and futures that are woken by them (VIRTIO 1.4 §2.7.7, §2.7.10).

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use virtio_core::QueueIndex;
use virtio_core::interrupt::{Endpoint, Interrupts};
use virtio_core::queue::{AsyncPort, Bell, Request};
use virtio_core::transport::InterruptStatus;
use virtio_core::{Features, Misuse, Transport};

use crate::case::{Case, SOON, bring_up, contents, down, eventually, spec};
use crate::executor::block_on;
use crate::raw::{IN, Read, header};
use virtio_core::dma::Writable;

fn request() -> Read {
    Writable(vec![0; 512])
}

#[test]
fn a_queue_interrupts_when_it_is_asked_to_and_is_silent_otherwise() {
    for declined in [Features::empty(), Features::EVENT_IDX] {
        let case = Case::file(|disk| disk.queues(2));
        let transport = case.connect().without(declined);
        assert_eq!((transport.vectors(), transport.signals_by_message()), (2, true));
        let mut live = bring_up(transport, case.hal(), &[spec::<Read>(0), spec::<Read>(1)]).unwrap();
        let (zero, one) = (live.endpoint(0).unwrap(), live.endpoint(1).unwrap());
        assert_eq!(live.endpoint(2).unwrap_err(), Misuse::NoSuchVector.into());
        assert!(zero.serves(QueueIndex::new(0)) && !zero.serves(QueueIndex::new(1)));
        assert!(zero.ack().is_empty(), "nothing has happened yet");
        for queue in [1, 0, 1] {
            let (own, other) = if queue == 0 { (&zero, &one) } else { (&one, &zero) };
            let mut port = live.port::<Read>(queue).unwrap();
            assert!(!port.enable_interrupts());
            port.submit(Request::new(request()).header(&header(IN, 0)).response(1)).unwrap();
            assert!(own.wait(SOON), "no interrupt");
            assert_eq!(own.ack(), InterruptStatus::QUEUE);
            assert!(own.ack().is_empty(), "acknowledged");
            assert!(other.ack().is_empty(), "another queue's");
            assert!(port.poll().unwrap().is_some());
            // Nobody asks for one.
            port.disable_interrupts();
            port.submit(Request::new(request()).header(&header(IN, 0)).response(1)).unwrap();
            assert!(eventually(|| port.poll().unwrap().is_some()));
            assert!(!own.wait(Duration::from_millis(30)), "an interrupt that nobody asked for");
        }
        // The transport's own way is the same interrupt.
        let mut port = live.port::<Read>(0).unwrap();
        assert!(!port.enable_interrupts());
        port.submit(Request::new(request()).header(&header(IN, 0)).response(1)).unwrap();
        assert!(zero.wait(SOON));
        assert_eq!(live.ack_interrupt(), Ok(InterruptStatus::QUEUE));
        assert_eq!(live.ack_interrupt(), Ok(InterruptStatus::empty()));
        down(live);
        case.is_clean();
    }
}

#[test]
fn futures_are_woken_by_the_eventfd() {
    static BELL: Bell = Bell::new();
    let case = Case::file(|disk| disk);
    let mut live = case.up::<Read>();
    let call = live.endpoint(0).unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|threads| {
        // The interrupt handler.
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if call.wait(Duration::from_millis(20)) && call.ack().contains(InterruptStatus::QUEUE) {
                    BELL.ring();
                }
            }
        });
        let port = AsyncPort::new(live.port::<Read>(0).unwrap(), &BELL).unwrap();
        let expected = contents(0);
        block_on(async {
            for lap in 0..50 {
                let mut status = [[9]; 8];
                let mut requests = Vec::new();
                for (number, status) in status.iter_mut().enumerate() {
                    let header = header(IN, lap * 8 + number);
                    let request = Request::new(request()).header(&header).response(1);
                    requests.push(port.start(request, status).unwrap());
                }
                for (number, request) in requests.into_iter().enumerate() {
                    let completion = request.await.unwrap();
                    let bytes = completion.payload.0;
                    assert!(bytes == expected[(lap * 8 + number) * 512..][..512], "{lap} {number}");
                }
                assert_eq!(status, [[0]; 8]);
            }
        });
        over.store(true, Ordering::Relaxed);
    });
    let transport = down(live);
    assert_eq!(transport.info().to_string(), "vhost-user modern");
    case.is_clean();
}
