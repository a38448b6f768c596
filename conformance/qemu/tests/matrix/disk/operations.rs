//! Reading, writing, flushing, names.

use qemu_bench::{Device, Machine, Way};
use virtio::blk::{BlkError, CacheMode, Disk, DiskOptions, Owned, Scattered, Sector, SectorRange, Unmap};
use virtio::{Error, Misuse};

use super::{down, image, owning, put, salt, sectors, span, up};

/// Borrowed slices of many lengths, one behind the other: written, looked at in the image, changed there, read.
pub(crate) fn borrowed<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    assert_eq!(disk.capacity() * 512, image(machine, device).len() as u64);
    assert!(!disk.is_read_only());
    assert_eq!(disk.id().unwrap().as_str(), Some(device.id.get(..20).unwrap_or(&device.id)));
    let salt = salt(machine, device, 1);
    let lengths = [1, 2, 3, 7, 8, 9, 64, 200, 400];
    let mut first = 3;
    for count in lengths {
        let data = sectors(count, salt + count);
        disk.write(Sector(first), &data).unwrap();
        disk.flush().unwrap();
        let range = span(first, count);
        assert!(image(machine, device)[range] == data, "{count} sectors of the image");
        let other = sectors(count, salt + count + 1);
        put(machine, device, first, &other);
        let mut back = vec![0; data.len()];
        disk.read(Sector(first), &mut back).unwrap();
        assert!(back == other, "{count} sectors as read");
        first += count as u64;
    }
    // The last one there is.
    let last = Sector(disk.capacity() - 1);
    disk.write(last, &sectors(1, salt)).unwrap();
    let mut back = [0; 512];
    disk.read(last, &mut back).unwrap();
    assert!(back == *sectors(1, salt));
    down(disk);
}

/// Buffers that the disk keeps meanwhile: as many as fit, in whatever order they are done.
pub(crate) fn owned<W: Way>(machine: &Machine, device: &Device) {
    const COUNT: usize = 60;
    let mut disk = owning::<W>(machine, device, DiskOptions::new());
    let salt = salt(machine, device, 2);
    let part = |number: usize| (Sector((number * (number + 1) / 2) as u64), number % 7 + 1);
    for write in [true, false] {
        let mut queue = disk.queue().unwrap();
        let (mut sent, mut done) = (Vec::new(), 0);
        let end = std::time::Instant::now() + crate::case::SOON;
        while done < COUNT {
            while sent.len() < COUNT {
                let number = sent.len();
                let (first, count) = part(number);
                let added = if write {
                    queue.add_write(first, sectors(count, salt + number))
                } else {
                    queue.add_read(first, vec![0; count * 512])
                };
                match added {
                    Ok(token) => sent.push(Some(token)),
                    Err(refused) if refused.error == BlkError::from(Error::from(Misuse::QueueFull)) => break,
                    Err(refused) => panic!("{}", refused.error),
                }
            }
            queue.kick();
            while let Some(answer) = queue.poll().unwrap() {
                let number = sent.iter().position(|known| *known == Some(answer.token)).unwrap();
                sent[number] = None;
                assert_eq!(answer.result, Ok(()));
                let expected = sectors(part(number).1, salt + number);
                assert!(answer.buffers.unwrap() == expected, "part {number}, write: {write}");
                done += 1;
            }
            assert!(std::time::Instant::now() < end, "{done} of {COUNT}");
        }
        assert_eq!(queue.in_flight(), 0);
        let image = image(machine, device);
        for number in 0..COUNT {
            let (first, count) = part(number);
            assert!(image[span(first.0, count)] == sectors(count, salt + number), "part {number}");
        }
    }
    let flush = disk.queue().unwrap().add_flush().unwrap();
    let mut queue = disk.queue().unwrap();
    queue.kick();
    assert_eq!(queue.wait(flush).unwrap().result, Ok(()));
    down(disk);
}

/// One request over several buffers, of which some are no whole sectors.
pub(crate) fn scattered<W: Way>(machine: &Machine, device: &Device) {
    let salt = salt(machine, device, 3);
    let data = sectors(6, salt);
    let mut disk = up::<W>(machine, device);
    let (one, rest) = data.split_at(100);
    let (two, three) = rest.split_at(1412);
    disk.write_gathered(Sector(9), &[one, two, three]).unwrap();
    assert!(image(machine, device)[span(9, 6)] == data);
    let mut back = vec![0; data.len()];
    let (one, rest) = back.split_at_mut(1000);
    let (two, three) = rest.split_at_mut(24);
    disk.read_scattered(Sector(9), &mut [one, two, three]).unwrap();
    assert!(back == data);
    let transport = down(disk);

    let options = DiskOptions::new().segments(3);
    type Three = Owned<Scattered<[Vec<u8>; 3]>>;
    let mut disk = Disk::<_, _, Three>::open(transport, machine.hal(), options).unwrap();
    let data = sectors(6, salt + 1);
    let mut queue = disk.queue().unwrap();
    let parts = [&data[..200], &data[200..3000], &data[3000..]].map(<[u8]>::to_vec);
    let token = queue.add_write(Sector(20), Scattered(parts)).unwrap();
    queue.kick();
    assert_eq!(queue.wait(token).unwrap().result, Ok(()));
    assert!(image(machine, device)[span(20, 6)] == data);
    let room = [513, 511, 2048].map(|len| vec![0; len]);
    let token = queue.add_read(Sector(20), Scattered(room)).unwrap();
    queue.kick();
    let answer = queue.wait(token).unwrap();
    assert_eq!(answer.result, Ok(()));
    assert!(answer.buffers.unwrap().0.concat() == data);
    down(disk);
}

/// The mode of the cache: told, switched, and what QEMU makes of it.
pub(crate) fn cache<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    for mode in [CacheMode::WriteBack, CacheMode::WriteThrough, CacheMode::WriteBack] {
        disk.set_cache_mode(mode).unwrap();
        assert_eq!(disk.cache_mode().unwrap(), mode);
        let writes_back = machine.writes_back(&device.id).unwrap();
        assert_eq!(writes_back, mode == CacheMode::WriteBack, "{mode:?}");
        disk.write(Sector(0), &sectors(1, 5)).unwrap();
        disk.flush().unwrap();
    }
    let transport = down(disk);
    // Asked for at the start.
    let options = DiskOptions::new().cache_mode(CacheMode::WriteThrough);
    let disk = Disk::<_, _, ()>::open(transport, machine.hal(), options).unwrap();
    assert!(!machine.writes_back(&device.id).unwrap());
    assert_eq!(disk.cache_mode().unwrap(), CacheMode::WriteThrough);
    down(disk);
}

/// A disk without a write cache: nothing has to be flushed, and a cache can be had.
pub(crate) fn written_through<W: Way>(machine: &Machine, device: &Device) {
    let mut disk = up::<W>(machine, device);
    assert_eq!(disk.cache_mode().unwrap(), CacheMode::WriteThrough);
    disk.write(Sector(4), &sectors(2, 77)).unwrap();
    assert!(image(machine, device)[span(4, 2)] == sectors(2, 77));
    disk.flush().unwrap();
    disk.set_cache_mode(CacheMode::WriteBack).unwrap();
    assert!(machine.writes_back(&device.id).unwrap());
    down(disk);
}

/// A read-only disk is read; whatever would change it is refused before it is sent.
pub(crate) fn read_only<W: Way>(machine: &Machine, device: &Device) {
    let salt = salt(machine, device, 4);
    put(machine, device, 0, &sectors(8, salt));
    let before = image(machine, device);
    let mut disk = up::<W>(machine, device);
    assert!(disk.is_read_only());
    let mut back = vec![0; 4096];
    disk.read(Sector(0), &mut back).unwrap();
    assert!(back == sectors(8, salt));
    let accesses = machine.qtest().count();
    let all = [SectorRange::new(Sector(0), 8)];
    assert_eq!(disk.write(Sector(0), &back).unwrap_err().error, BlkError::ReadOnly);
    assert_eq!(disk.discard(&all).unwrap_err().error, BlkError::ReadOnly);
    assert_eq!(disk.write_zeroes(&all, Unmap::Allow).unwrap_err().error, BlkError::ReadOnly);
    assert_eq!(machine.qtest().count(), accesses, "nothing was sent");
    disk.flush().unwrap();
    down(disk);
    assert!(image(machine, device) == before);
}
