//! Random bytes awaited, rung for by an interrupt handler.

use crate::bench::{drive, holding};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};

use virtio_core::Misbehaved;
use virtio_core::queue::Bell;
use virtio_rng::RngError;
use virtio_testkit::{Lie, TestHal};

/// Counts how often it was woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

#[test]
fn a_slice_is_filled_in_as_many_answers_as_it_takes() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let source = rng.source(&bell).unwrap();
    let mut bytes = [0xee; 856];
    {
        let mut filling = pin!(source.fill(&mut bytes));
        // 512, then 100, none, and 244 of what is left.
        for (round, len) in [512, 100, 0, 244].into_iter().enumerate() {
            assert_eq!(poll(filling.as_mut(), &woken), Poll::Pending);
            assert_eq!(device.held(0), 1);
            device.complete(0, 0, &vec![u8::try_from(round).unwrap() + 1; len]);
            bell.ring();
            assert_eq!(woken.0.load(Ordering::Relaxed), round + 1);
        }
        assert_eq!(poll(filling, &woken), Poll::Ready(Ok(())));
    }
    assert_eq!(bytes[..], [&[1; 512][..], &[2; 100], &[4; 244]].concat());
}

// shows: entropy.op.2
#[test]
fn short_answers_and_long_claims() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let source = rng.source(&bell).unwrap();
    for (claim, kept) in [(0, 0), (3, 3), (8, 8), (9, 8), (u32::MAX, 8)] {
        let mut bytes = [0xee; 8];
        {
            let mut reading = pin!(source.read(&mut bytes));
            assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
            device.complete_claiming(0, 0, &[7; 8], claim);
            assert_eq!(poll(reading, &woken), Poll::Ready(Ok(kept)));
        }
        assert_eq!(bytes[..kept], vec![7; kept]);
        assert_eq!(bytes[kept..], vec![0; 8 - kept]);
    }
    assert_eq!(poll(pin!(source.read(&mut [])), &woken), Poll::Ready(Ok(0)));
    assert_eq!(poll(pin!(source.fill(&mut [])), &woken), Poll::Ready(Ok(())));
}

/// The bytes of one task must not turn up as those of another because a device claims what it has not written.
#[test]
fn an_answer_is_not_given_twice() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let source = rng.source(&bell).unwrap();
    for _ in 0..20 {
        for (written, expected) in [(&[7; 8][..], [7; 8]), (&[], [0; 8])] {
            let mut bytes = [0xee; 8];
            {
                let mut reading = pin!(source.read(&mut bytes));
                assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
                device.complete_claiming(0, 0, written, 8);
                assert_eq!(poll(reading, &woken), Poll::Ready(Ok(8)));
            }
            assert_eq!(bytes, expected);
        }
    }
}

#[test]
fn cancelling_frees_nothing_early_and_is_no_harm() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let source = rng.source(&bell).unwrap();
    let mut bytes = [0xee; 8];
    for _ in 0..5 {
        let mut reading = pin!(source.read(&mut bytes));
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
    }
    assert_eq!(bytes, [0; 8]);
    assert_eq!(device.held(0), 5, "the device has them all the same");
    {
        let mut reading = pin!(source.read(&mut bytes));
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        for _ in 0..5 {
            device.complete(0, 0, &[1; 8]);
        }
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending, "those were for nobody");
        device.complete(0, 0, &[2; 8]);
        bell.ring();
        assert_eq!(poll(reading, &woken), Poll::Ready(Ok(8)));
    }
    assert_eq!(bytes, [2; 8]);

    // One more in flight when everything goes.
    assert_eq!(poll(pin!(source.fill(&mut bytes)), &woken), Poll::Pending);
    drop(source);
    drop(rng);
    hal.finish();
}

#[test]
fn more_tasks_than_the_queue_holds_take_turns() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let source = rng.source(&bell).unwrap();
    let mut slices = vec![[0; 4]; 11];
    let mut tasks: Vec<_> = slices.iter_mut().map(|bytes| Box::pin(source.read(bytes))).collect();
    for task in &mut tasks {
        assert_eq!(poll(task.as_mut(), &woken), Poll::Pending);
    }
    assert_eq!(device.held(0), 8);
    for number in 1..=8 {
        device.complete(0, 0, &[number; 4]);
    }
    let mut later = tasks.split_off(8);
    for task in &mut tasks {
        assert_eq!(poll(task.as_mut(), &woken), Poll::Ready(Ok(4)));
    }
    for task in &mut later {
        assert_eq!(poll(task.as_mut(), &woken), Poll::Pending, "those in line move up");
    }
    assert_eq!(device.held(0), 3);
    for (number, task) in (9..).zip(&mut later) {
        device.complete(0, 0, &[number; 4]);
        assert_eq!(poll(task.as_mut(), &woken), Poll::Ready(Ok(4)));
    }
    drop((tasks, later));
    for (number, slice) in (1..).zip(&slices) {
        assert_eq!(slice, &[number; 4]);
    }
}

#[test]
fn what_is_wrong_with_answers_or_the_queue_is_said() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    let source = rng.source(&bell).unwrap();
    let mut bytes = [0xee; 8];
    {
        let mut filling = pin!(source.fill(&mut bytes));
        assert_eq!(poll(filling.as_mut(), &woken), Poll::Pending);
        device.complete(0, 0, &[1; 4]);
        for _ in 0..16 {
            assert_eq!(poll(filling.as_mut(), &woken), Poll::Pending);
            device.complete(0, 0, &[]);
        }
        assert_eq!(poll(filling, &woken), Poll::Ready(Err(RngError::NoEntropy { answers: 16 })));
    }
    assert_eq!(bytes, [0; 8], "half a key is none");
    {
        let mut filling = pin!(source.fill(&mut bytes));
        assert_eq!(poll(filling.as_mut(), &woken), Poll::Pending);
        device.complete(0, 0, &[1; 4]);
        assert_eq!(poll(filling.as_mut(), &woken), Poll::Pending);
        device.lie(0, Lie::UsedIndex(1000));
        assert!(matches!(poll(filling, &woken), Poll::Ready(Err(RngError::Core(_)))));
    }
    assert_eq!(bytes, [0; 8]);
}

#[test]
fn a_source_that_is_given_up_wakes_everybody() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    {
        let source = rng.source(&bell).unwrap();
        let mut bytes = [0; 8];
        let mut reading = pin!(source.read(&mut bytes));
        assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
        source.fail(Misbehaved::NeedsReset);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let lost = RngError::Core(Misbehaved::NeedsReset.into());
        assert_eq!(poll(reading, &woken), Poll::Ready(Err(lost)));
    }
    let mut rng = rng.recover().unwrap();
    let source = rng.source(&bell).unwrap();
    let mut bytes = [0; 8];
    let mut reading = pin!(source.read(&mut bytes));
    assert_eq!(poll(reading.as_mut(), &woken), Poll::Pending);
    device.complete(0, 0, &[3; 8]);
    assert_eq!(poll(reading, &woken), Poll::Ready(Ok(8)));
}

#[test]
fn waiting_and_awaiting_take_turns() {
    let hal = TestHal::new();
    let device = holding(&hal);
    let (mut rng, bell, woken) = (drive(&device, &hal), Bell::new(), Arc::<Woken>::default());
    // Cancelled, and still with the device.
    {
        let source = rng.source(&bell).unwrap();
        assert_eq!(poll(pin!(source.fill(&mut [0; 8])), &woken), Poll::Pending);
    }
    let other = device.clone();
    hal.on_relax(move || {
        while other.held(0) > 0 {
            other.complete(0, 0, &[5; 8]);
        }
    });
    let mut bytes = [0; 8];
    rng.fill(&mut bytes).unwrap();
    assert_eq!(bytes, [5; 8]);
    assert_eq!(rng.fill(&mut [0; 4]), Ok(()));
}

#[test]
fn a_bell_serves_one_device() {
    let hal = TestHal::new();
    let devices = [holding(&hal), holding(&hal)];
    let [mut one, mut two] = devices.each_ref().map(|device| drive(device, &hal));
    let bell = Bell::new();
    let source = one.source(&bell).unwrap();
    assert_eq!(two.source(&bell).unwrap_err(), RngError::BellTaken);
    drop(source);
    assert!(two.source(&bell).is_ok());
}
