//! Plays on a table made of Rust: the driver, start to end, on any host. `cargo run --example play`

use std::process::ExitCode;

use toy_device::{Dice, DiceError};
use virtio_core::Features;
use virtio_testkit::{FakeDevice, FakeTransport, Reply, TestHal};

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play() -> Result<(), DiceError> {
    // What a kernel has instead: its own Hal, and a transport from virtio-mmio or virtio-pci.
    let hal = TestHal::new();
    let mut state = 1_u32;
    let table = FakeDevice::builder(Dice::<FakeTransport, TestHal>::ID)
        .features(Features::VERSION_1 | Features::bit(0))
        .config([5, 0, 20, 0])
        .queue(0, 8, move |request| {
            // A generator of the simplest kind: what comes out is the same each time.
            let eyes = core::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                u8::try_from((state >> 16) % 20 + 1).unwrap_or(1)
            });
            Reply::Write(eyes.take(request.writable.saturating_sub(1)).chain([0]).collect())
        })
        .event_queue(1, 8)
        .build(&hal);

    let mut dice = Dice::new(table.transport(), hal.clone())?;
    println!("{} dice of {} sides", dice.max_dice(), dice.sides());

    let mut eyes = [0; 5];
    dice.throw(&mut eyes)?;
    let ours: u32 = eyes.iter().copied().map(u32::from).sum();
    println!("we throw {eyes:?}, together {ours}");

    table.send(1, &[7_u32.to_le_bytes(), 52_u32.to_le_bytes()].concat());
    while let Some(thrown) = dice.next_event()? {
        let won = if thrown.sum > ours { "wins" } else { "loses" };
        println!("player {} throws {} and {won}", thrown.player, thrown.sum);
    }

    match dice.throw(&mut [0; 6]) {
        Err(error @ DiceError::TooMany { .. }) => println!("six dice: {error}"),
        other => return other,
    }

    // Reset, confirmed, and only then freed; the Hal checks that nothing is left.
    drop(dice);
    hal.finish();
    println!("the table is cleared");
    Ok(())
}
