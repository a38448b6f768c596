//! Bring-up.

use crate::bench::{DEVICE_ADD, DEVICE_READY, Driver, PORT_READY, SOON, Setup, ZERO, events};

use virtio_console::abi::{F_EMERG_WRITE, F_MULTIPORT, F_SIZE};
use virtio_console::{Console, ConsoleError, Event, Options, PortId};
use virtio_core::{DeviceId, Error, Features, Incompatible, QueueIndex};
use virtio_testkit::{Call, Event as Trace, FakeDevice, FakeTransport, TestHal};

type Wide<const PORTS: usize> = Console<FakeTransport, TestHal, &'static [u8], PORTS>;

fn enabled(hal: &TestHal) -> Vec<u16> {
    let enabled = |event: &Trace| match event {
        Trace::QueueEnabled { queue, .. } => Some(queue.get()),
        _ => None,
    };
    hal.trace().iter().filter_map(enabled).collect()
}

#[test]
fn wrong_devices_are_named() {
    let hal = TestHal::new();
    let other = FakeDevice::builder(DeviceId::GPU).build(&hal);
    let error = Console::new(other.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, ConsoleError::Core(Incompatible::WrongDevice(DeviceId::GPU).into()));
    let queueless = FakeDevice::builder(DeviceId::CONSOLE).build(&hal);
    let error = Console::new(queueless.transport(), hal.clone()).unwrap_err();
    assert_eq!(error, ConsoleError::Core(Incompatible::NoQueue(QueueIndex::new(0)).into()));
}

#[test]
fn features_are_accepted_as_offered() {
    let all = F_SIZE | F_MULTIPORT | F_EMERG_WRITE;
    for (setup, own) in [
        (Setup::MULTI, all),
        (Setup::SINGLE, all - F_MULTIPORT),
        (Setup { features: Features::empty(), ..Setup::SINGLE }, Features::empty()),
        // One that no console has.
        (Setup { features: Features::bit(3), ..Setup::SINGLE }, Features::empty()),
    ] {
        let bench = setup.build();
        let console = bench.drive();
        assert_eq!(console.features(), own | Features::VERSION_1);
        assert_eq!(bench.device.accepted(), console.features());
        assert_eq!(console.is_multiport(), own.contains(F_MULTIPORT));
        assert!(console.transport_info().is_ok());
    }
}

#[test]
fn a_device_without_multiport_has_one_port_and_no_control_queues() {
    for legacy in [false, true] {
        let bench = Setup { legacy, ..Setup::SINGLE }.build();
        let mut console = bench.drive();
        assert_eq!(enabled(&bench.hal), [0, 1]);
        assert_eq!(bench.device.held(0), 2, "receive buffers are with the device from the start");
        assert_eq!((console.max_ports(), console.next_event()), (1, Ok(None)));
        assert_eq!(console.present().collect::<Vec<_>>(), [ZERO]);
        assert!(console.is_open(ZERO) && console.is_console(ZERO));
        console.wait_for(ZERO, SOON).unwrap();
        console.wait_open(ZERO, SOON).unwrap();
        console.open(ZERO).unwrap();
        console.close(ZERO).unwrap();
        let beyond = ConsoleError::PortNotDriven { port: PortId::new(1), driven: 1 };
        assert_eq!(console.open(PortId::new(1)), Err(beyond));
        assert_eq!(console.port(PortId::new(1)).unwrap_err(), beyond);
        assert!(console.halves().unwrap().take_control().is_none());
    }
}

// shows: console.op.multiport.1
#[test]
fn the_device_is_told_first_that_the_driver_is_ready() {
    for legacy in [false, true] {
        let bench = Setup { legacy, ..Setup::MULTI }.build();
        let mut console = bench.drive();
        assert_eq!(bench.told(), [(0, DEVICE_READY, 1)]);
        assert_eq!(enabled(&bench.hal), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((console.max_ports(), console.present().count()), (3, 0));
        assert_eq!((bench.device.held(0), bench.device.held(2), bench.device.held(4)), (2, 16, 2));
        assert_eq!(events(&mut console), []);
        assert_eq!(console.port(ZERO).unwrap_err(), ConsoleError::NoSuchPort(ZERO));
        let late = Err(ConsoleError::TimedOut { port: ZERO, done: 0 });
        assert_eq!(console.wait_for(ZERO, SOON), late);
    }
}

#[test]
fn a_device_that_says_it_has_no_ports_is_named() {
    for legacy in [false, true] {
        let bench = Setup { ports: Some(0), legacy, ..Setup::SINGLE }.build();
        let error = Console::new(bench.device.transport(), bench.hal.clone()).unwrap_err();
        let none = Incompatible::ConfigOutOfRange { offset: 4, value: 0 };
        assert_eq!(error, ConsoleError::Core(none.into()));
    }
}

#[test]
fn a_configuration_space_that_ends_too_early_is_named() {
    let hal = TestHal::new();
    let device = FakeDevice::builder(DeviceId::CONSOLE)
        .features(Features::VERSION_1 | F_MULTIPORT | F_SIZE)
        .config([80, 0, 25])
        .event_queue(0, 8)
        .event_queue(1, 8)
        .build(&hal);
    let error = Console::new(device.transport(), hal.clone()).unwrap_err();
    let small = Incompatible::ConfigTooSmall { offset: 4, len: 4 };
    assert_eq!(error, ConsoleError::Core(small.into()));
}

/// 40 of them have queues; the driver makes those of the first eight, or as many as it is told to.
#[test]
fn more_ports_than_are_driven_are_declined_by_name() {
    for max in [33, 40, 0x8000, u32::MAX] {
        let bench = Setup { ports: Some(max), ..Setup::MULTI }.build();
        let mut console = bench.drive();
        assert_eq!(enabled(&bench.hal), (0..18).collect::<Vec<_>>());
        assert_eq!(console.max_ports(), max);
        bench.say(7, DEVICE_ADD, 0);
        bench.say(8, DEVICE_ADD, 0);
        bench.say(32, DEVICE_ADD, 0);
        let port = |number| ConsoleError::PortNotDriven { port: PortId::new(number), driven: 8 };
        assert_eq!(console.next_event(), Ok(Some(Event::Added(PortId::new(7)))));
        assert_eq!(console.next_event(), Err(port(8)));
        assert_eq!(console.next_event(), Err(port(32)));
        assert_eq!(console.next_event(), Ok(None));
        // Those that are driven, when nothing more waits to be read.
        let told = [(0, DEVICE_READY, 1), (8, PORT_READY, 0), (32, PORT_READY, 0), (7, PORT_READY, 1)];
        assert_eq!(bench.told(), told);
        assert_eq!(console.wait_for(PortId::new(8), SOON), Err(port(8)));
        assert_eq!(console.port(PortId::new(8)).unwrap_err(), port(8));
    }

    let bench = Setup { ports: Some(40), ..Setup::MULTI }.build();
    let options = Options::default();
    let console = Wide::<32>::with_options(bench.device.transport(), bench.hal.clone(), options).unwrap();
    assert_eq!(enabled(&bench.hal), (0..66).collect::<Vec<_>>());
    drop(console);
    bench.hal.clear_trace();
    let mut console = Wide::<1>::with_options(bench.device.transport(), bench.hal.clone(), options).unwrap();
    assert_eq!(enabled(&bench.hal), [0, 1, 2, 3]);
    bench.say(0, DEVICE_ADD, 0);
    assert_eq!(console.next_event(), Ok(Some(Event::Added(ZERO))));
}

#[test]
fn options_say_how_much_a_port_receives() {
    let bench = Setup::SINGLE.build();
    let with = |buffers, buffer_len| {
        let options = Options { buffers, buffer_len, ..Options::default() };
        Driver::with_options(bench.device.transport(), bench.hal.clone(), options)
    };
    for (buffers, len) in [(0, 1), (1, 0), (0, 0)] {
        assert_eq!(with(buffers, len).unwrap_err(), ConsoleError::BadOptions);
    }
    for (buffers, len, due) in [(1, 1, 1), (4, 10_000, 4), (8, 64, 8), (200, 64, 8)] {
        let mut console = with(buffers, len).unwrap();
        assert_eq!(bench.device.held(0), due, "no more than the queue holds");
        let sent = vec![7; len + 3];
        bench.send(0, &sent);
        let mut bytes = vec![0; len + 3];
        let read = console.port(ZERO).unwrap().read(&mut bytes).unwrap();
        assert_eq!((read, &bytes[..read]), (len, &sent[..len]), "a device writes no more than fits");
    }
}

/// Whichever allocation fails: an error, and nothing is left behind (the Hal's own check at its end).
#[test]
fn every_failed_allocation_is_survived() {
    for setup in [Setup::SINGLE, Setup::MULTI] {
        let mut failures = 0;
        for n in 1.. {
            let bench = setup.build();
            bench.hal.fail_nth(n);
            match Console::new(bench.device.transport(), bench.hal.clone()) {
                Err(error) => {
                    assert!(matches!(error, ConsoleError::Core(Error::Platform(_))), "{error}");
                    failures += 1;
                }
                Ok(_) => {
                    assert!(!bench.hal.has_failed());
                    break;
                }
            }
        }
        assert!(failures > 5, "{failures}");
    }
    // And one call by name, so that the loop above is known to have failed something.
    let bench = Setup::SINGLE.build();
    bench.hal.fail_nth_of(Call::DmaAlloc, 1);
    assert!(Console::new(bench.device.transport(), bench.hal.clone()).is_err());
}
