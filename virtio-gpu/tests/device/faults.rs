//! A device that says no, or answers wrongly: every command, every way. The error keeps what the device said, and
//! whatever was half done is undone.

use crate::bench::{
    ATTACH, CREATE_2D, DETACH, FLUSH, FakeGpu, GET_DISPLAY_INFO, GET_EDID, SET_SCANOUT, Seen, TRANSFER,
    Trouble, UNREF,
};
use virtio_gpu::abi::{CommandType, ResponseType};
use virtio_gpu::{CursorImage, CursorPosition, Format, Gpu, GpuError, Kept, ScanoutId};
use virtio_testkit::{FakeTransport, TestHal};

const FIRST: ScanoutId = ScanoutId::new(0);
/// In the order in which a whole life sends them.
const COMMANDS: [u32; 9] =
    [GET_DISPLAY_INFO, GET_EDID, CREATE_2D, ATTACH, SET_SCANOUT, TRANSFER, FLUSH, DETACH, UNREF];
// Under Miri one of each kind has to do.
const ERRORS: &[u32] =
    if cfg!(miri) { &[0x1203] } else { &[0x1200, 0x1201, 0x1202, 0x1203, 0x1204, 0x1205, 0x1206, 0x12ff] };

static CURSOR: CursorImage = CursorImage::from_pattern(&["#"]);
/// Under Miri few, for every byte of them takes its time.
const WIDTH: u32 = if cfg!(miri) { 8 } else { 64 };
const HEIGHT: u32 = if cfg!(miri) { 6 } else { 48 };
const LEN: usize = 4 * WIDTH as usize * HEIGHT as usize;
static PIXELS: [u8; LEN] = [5; LEN];

type Fake = Gpu<FakeTransport, TestHal>;

/// Everything a GPU does, once. What is left of a screen that cannot be closed is forgotten.
fn life(gpu: &mut Fake) -> Result<(), GpuError> {
    gpu.display_info()?;
    gpu.edid(FIRST)?;
    let mut screen = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..])?;
    let flushed = gpu.flush(&mut screen);
    let closed = gpu.close(screen);
    flushed?;
    closed?;
    // Its 4096 pixels would be most of the time under Miri.
    if cfg!(miri) { Ok(()) } else { gpu.set_cursor(&CURSOR, 0, 0, CursorPosition::default()) }
}

fn edid() -> Vec<u8> {
    let mut block = vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0];
    block.resize(128, 0);
    block[127] = block.iter().fold(0_u8, |sum, byte| sum.wrapping_sub(*byte));
    block
}

/// Lives once with that trouble, and once more without: the GPU has to go on. Answers the error.
fn troubled(command: u32, trouble: Trouble) -> GpuError {
    let hal = TestHal::new();
    hal.set_max_segment(5000);
    let fake = FakeGpu::new(&hal);
    fake.host().edid = edid();
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    fake.trouble(command, 1, trouble);
    let error = life(&mut gpu).unwrap_err();
    assert_eq!(fake.host().troubles, []);
    life(&mut gpu).unwrap();
    fake.check();
    drop(gpu);
    assert!(hal.outstanding().is_none());
    hal.finish();
    error
}

#[test]
fn every_error_of_every_command_keeps_its_code() {
    for command in COMMANDS {
        for &code in ERRORS {
            let error = troubled(command, Trouble::Refuse(code));
            let (command, code) = (CommandType::new(command), ResponseType::new(code));
            assert_eq!(error, GpuError::Refused { command, code });
            assert_eq!(error.code(), Some(code));
            let text = error.to_string();
            assert!(text.contains(command.name().unwrap()) && text.contains(&code.to_string()), "{text}");
        }
    }
}

#[test]
fn answers_of_another_kind_are_named() {
    for command in COMMANDS {
        // An answer to something else, nothing at all, a command, noise.
        for answer in [u32::MAX, 0x1106, 0, command].into_iter().take(if cfg!(miri) { 1 } else { 4 }) {
            let error = troubled(command, Trouble::Answer(answer));
            let (command, answer) = (CommandType::new(command), ResponseType::new(answer));
            assert_eq!(error, GpuError::WrongResponse { command, answer });
        }
    }
}

#[test]
fn short_answers_are_named() {
    for command in COMMANDS {
        for written in [23, 0, 1].into_iter().take(if cfg!(miri) { 1 } else { 3 }) {
            let error = troubled(command, Trouble::Short(written));
            assert_eq!(
                error,
                GpuError::ShortResponse { command: CommandType::new(command), written, needed: 24 }
            );
        }
    }
    let error = troubled(GET_DISPLAY_INFO, Trouble::Short(407));
    let command = CommandType::GET_DISPLAY_INFO;
    assert_eq!(error, GpuError::ShortResponse { command, written: 407, needed: 408 });
}

#[test]
fn lost_fences_are_named() {
    for command in [TRANSFER, DETACH, UNREF] {
        for trouble in [Trouble::NoFence, Trouble::OtherFence] {
            let error = troubled(command, trouble);
            let GpuError::FenceLost { command: named, sent, echoed } = error else { panic!("{error}") };
            assert_eq!(named.get(), command);
            assert_eq!(echoed, (trouble == Trouble::OtherFence).then_some(sent ^ 0x80));
        }
    }
}

/// Makes a screen, which fails at `command`; answers what the device saw after that command, and whether the buffer is back.
fn failing_screen(command: u32, trouble: Trouble) -> (Vec<Seen>, bool) {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    fake.trouble(command, 1, trouble);
    let refused = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap_err();
    let back = refused.buffer.is_some();
    assert_eq!(hal.outstanding().shares, 0, "the buffer is not shared any more");
    let mut seen = fake.seen();
    let kind = |seen: &Seen| match seen {
        Seen::Create { .. } => CREATE_2D,
        Seen::Attach { .. } => ATTACH,
        Seen::SetScanout { .. } => SET_SCANOUT,
        _ => 0,
    };
    let at = seen.iter().position(|seen| kind(seen) == command).unwrap();
    let after = seen.split_off(at + 1);
    assert!(fake.host().resources.is_empty(), "no resource is left behind");
    assert!(fake.host().shown.is_empty());
    fake.check();
    drop(gpu);
    hal.finish();
    (after, back)
}

#[test]
fn half_made_screens_are_undone() {
    let unref = Seen::Unref { id: 1, fenced: true };
    let detach = Seen::Detach { id: 1, fenced: true };
    let hide = Seen::SetScanout { scanout: 0, id: 0, area: [0; 4] };
    let (refuse, garble) = (Trouble::Refuse(0x1201), Trouble::Answer(0x1104));
    // A plain no has no effect; after anything else it may be there all the same.
    assert_eq!(failing_screen(CREATE_2D, refuse), (vec![], true));
    assert_eq!(failing_screen(CREATE_2D, garble), (vec![unref.clone()], true));
    assert_eq!(failing_screen(ATTACH, refuse), (vec![unref.clone()], true));
    assert_eq!(failing_screen(ATTACH, garble), (vec![unref.clone()], true));
    assert_eq!(failing_screen(SET_SCANOUT, refuse), (vec![detach.clone(), unref.clone()], true));
    assert_eq!(failing_screen(SET_SCANOUT, garble), (vec![hide, detach, unref], true));
}

#[test]
fn a_backing_the_device_does_not_let_go_of_stays_until_the_reset() {
    // Neither "attached" nor "destroyed" is said clearly: the buffer may be in use.
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    fake.trouble(ATTACH, 1, Trouble::Short(3));
    fake.trouble(UNREF, 1, Trouble::NoFence);
    let refused = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap_err();
    assert!(matches!(
        refused.error,
        GpuError::ShortResponse { command: CommandType::RESOURCE_ATTACH_BACKING, .. }
    ));
    assert_eq!(refused.buffer, None);
    assert_ne!(hal.outstanding().shares, 0);
    drop(gpu);
    assert_eq!(hal.outstanding().shares, 0);
    hal.finish();
}

#[test]
fn a_screen_that_cannot_be_closed_is_kept_and_can_be_closed_again() {
    for (command, trouble) in [
        (SET_SCANOUT, Trouble::Refuse(0x1202)),
        (SET_SCANOUT, Trouble::Short(8)),
        (DETACH, Trouble::Refuse(0x1203)),
    ] {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let screen = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
        fake.trouble(command, 1, trouble);
        let failed = gpu.close(screen).unwrap_err();
        let Kept::Screen(screen) = failed.kept else { panic!("{:?}", failed.kept) };
        assert_ne!(hal.outstanding().shares, 0, "the device may still read it");
        assert_eq!(gpu.close(screen).unwrap(), PIXELS);
        assert!(fake.host().resources.is_empty());
        fake.check();
        drop(gpu);
        hal.finish();
    }
}

#[test]
fn an_unclear_answer_leaves_no_screen_shown_after_its_end() {
    // The device shows the screen, but does not say so properly; or says so of the other one.
    for (trouble, refused) in
        [(Trouble::Answer(0x1104), false), (Trouble::Short(8), false), (Trouble::Refuse(0x1202), true)]
    {
        for first_to_close in [0, 1] {
            let hal = TestHal::new();
            let fake = FakeGpu::new(&hal);
            let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
            let back = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
            let front = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
            fake.trouble(SET_SCANOUT, 1, trouble);
            assert!(gpu.show(&back).is_err());
            assert_eq!(fake.host().shown[&0].0, if refused { 2 } else { 1 });
            let mut screens = [back, front];
            screens.rotate_left(first_to_close);
            for screen in screens {
                gpu.close(screen).unwrap();
            }
            assert!(fake.host().shown.is_empty() && fake.host().resources.is_empty());
            // The host complains of a resource that is destroyed while it is shown.
            fake.check();
            drop(gpu);
            hal.finish();
        }
    }
}

#[test]
fn a_display_that_may_not_be_dark_is_darkened_again() {
    // The device does not say clearly that it shows nothing: neither the second try nor another screen takes its word.
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let screen = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
    fake.trouble(SET_SCANOUT, 1, Trouble::Answer(0x1104));
    let Kept::Screen(screen) = gpu.close(screen).unwrap_err().kept else { panic!("it was not closed") };
    fake.seen();
    gpu.close(screen).unwrap();
    let hide = Seen::SetScanout { scanout: 0, id: 0, area: [0; 4] };
    let (detach, unref) = (Seen::Detach { id: 1, fenced: true }, Seen::Unref { id: 1, fenced: true });
    assert_eq!(fake.seen(), [hide, detach, unref]);
    fake.check();
    drop(gpu);
    hal.finish();
}

#[test]
fn a_fence_that_is_lost_does_not_free_anything() {
    // The device detaches, but does not say so properly: it is not believed.
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let screen = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
    fake.trouble(DETACH, 1, Trouble::OtherFence);
    let failed = gpu.close(screen).unwrap_err();
    assert!(matches!(failed.kept, Kept::Screen(_)));
    assert_ne!(hal.outstanding().shares, 0);
    drop((gpu, failed));
    assert!(hal.outstanding().is_none());
    hal.finish();
}

#[test]
fn after_an_unref_that_fails_the_buffer_is_back_all_the_same() {
    let hal = TestHal::new();
    let fake = FakeGpu::new(&hal);
    let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
    let screen = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
    fake.trouble(UNREF, 1, Trouble::Refuse(0x1200));
    let failed = gpu.close(screen).unwrap_err();
    let Kept::Buffer(buffer) = failed.kept else { panic!("{:?}", failed.kept) };
    assert_eq!(buffer, PIXELS);
    assert_eq!(hal.outstanding().shares, 0);
    drop(gpu);
    hal.finish();
}

#[test]
fn what_could_not_be_flushed_is_flushed_next_time() {
    for command in [TRANSFER, FLUSH] {
        let hal = TestHal::new();
        let fake = FakeGpu::new(&hal);
        let mut gpu = Gpu::new(fake.transport(), hal.clone()).unwrap();
        let mut screen = gpu.screen_over(FIRST, WIDTH, HEIGHT, Format::B8G8R8X8, &PIXELS[..]).unwrap();
        fake.trouble(command, 1, Trouble::Refuse(0x1200));
        assert!(gpu.flush(&mut screen).is_err());
        assert_eq!(screen.damage().map(|area| (area.width, area.height)), Some((WIDTH, HEIGHT)));
        gpu.flush(&mut screen).unwrap();
        assert_eq!(fake.glass(0).unwrap(), PIXELS);
        gpu.close(screen).unwrap();
        drop(gpu);
        hal.finish();
    }
}
