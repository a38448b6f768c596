//! tmp
use virtio_core::device::{Init, Wanted};
use virtio_core::queue::{QueueSpec, Request};
use virtio_core::dma::{Readable, Writable};
use virtio_core::{DeviceId, Features};
use virtio_testkit::{FakeDevice, Reply, TestHal};
use std::time::Duration;
#[test]
fn smoke() {
    for legacy in [false, true] {
    let hal = TestHal::new();
    hal.scatter();
    let mut b = FakeDevice::builder(DeviceId::ENTROPY).features(Features::VERSION_1|Features::EVENT_IDX).queue(0, 8, |r| { let mut v = r.readable; v.resize(r.writable, 7); Reply::Write(v)});
    if legacy { b = b.legacy(); }
    let dev = b.build(&hal);
    let mut d = Init::start(dev.transport(), hal.clone(), DeviceId::ENTROPY).unwrap().negotiate(&Wanted::default()).unwrap().queues(&[QueueSpec::new::<(Readable<Vec<u8>>, Writable<Vec<u8>>)>(0, 8).header(16).response(16)]).unwrap().live().unwrap();
    let mut out = vec![0; 5000];
    assert_eq!(d.call(0, &[b"hello"], &mut [&mut out], Duration::from_secs(1)).unwrap(), 5000);
    assert_eq!(&out[..6], b"hello\x07");
    let mut p = d.port::<(Readable<Vec<u8>>, Writable<Vec<u8>>)>(0).unwrap();
    let t = p.submit(Request::new((Readable(vec![1,2,3]), Writable(vec![0; 10]))).header(b"hh").response(4)).unwrap();
    let mut done = p.poll_for(t).unwrap().unwrap();
    assert_eq!(done.written(), 14);
    let (_, w) = done.take_payload().unwrap();
    assert_eq!(w.0, b"hh\x01\x02\x03\x07\x07\x07\x07\x07");
    drop(done);
    drop(d);
    for e in hal.trace() { println!("{e:?}"); }
    }
}
