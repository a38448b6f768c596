use super::*;
use alloc::vec::Vec;

const RED: Rgb = Rgb::new(200, 10, 20);
const FORMAT: Format = Format::X8R8G8B8;

/// Draws on 6x5 pixels; answers which were set to RED, and the damage.
fn drawn(draw: impl FnOnce(&mut Canvas<'_>)) -> (Vec<(u32, u32)>, Option<Rect>) {
    let (mut bytes, mut damage) = ([0; 6 * 5 * 4 + 3], Damage::none());
    let mut canvas = Canvas::new(&mut bytes, &mut damage, 6, 5, FORMAT).unwrap();
    draw(&mut canvas);
    let set =
        (0..5).flat_map(|y| (0..6).map(move |x| (x, y))).filter(|(x, y)| canvas.pixel(*x, *y) == Some(RED));
    let set = set.collect();
    assert_eq!(bytes[120..], [0; 3], "behind the last pixel");
    (set, damage.area())
}

fn cells(area: Rect) -> Vec<(u32, u32)> {
    (area.y..area.bottom()).flat_map(|y| (area.x..area.right()).map(move |x| (x, y))).collect()
}

#[test]
fn fills_are_clipped_and_remembered() {
    for (area, clipped) in [
        (Rect::new(0, 0, 6, 5), Some(Rect::new(0, 0, 6, 5))),
        (Rect::new(2, 1, 3, 2), Some(Rect::new(2, 1, 3, 2))),
        (Rect::new(5, 4, u32::MAX, u32::MAX), Some(Rect::new(5, 4, 1, 1))),
        (Rect::new(6, 0, 1, 1), None),
        (Rect::new(0, 5, 1, 1), None),
        (Rect::new(1, 1, 0, 3), None),
    ] {
        let (set, damage) = drawn(|canvas| canvas.fill(area, RED));
        assert_eq!(set, clipped.map(cells).unwrap_or_default(), "{area:?}");
        assert_eq!(damage, clipped, "{area:?}");
    }
}

#[test]
fn single_pixels() {
    assert_eq!(
        drawn(|canvas| canvas.set_pixel(5, 4, RED)),
        (cells(Rect::new(5, 4, 1, 1)), Some(Rect::new(5, 4, 1, 1)))
    );
    for (x, y) in [(6, 0), (0, 5), (u32::MAX, u32::MAX)] {
        assert_eq!(drawn(|canvas| canvas.set_pixel(x, y, RED)), (Vec::new(), None));
    }
}

#[test]
fn clearing_touches_all() {
    let all = Rect::new(0, 0, 6, 5);
    assert_eq!(drawn(|canvas| canvas.clear(RED)), (cells(all), Some(all)));
}

#[test]
fn colours_fall_where_they_belong_although_some_lie_outside() {
    // Every colour is its own, so that a shift shows.
    let color = |column: i64, row: i64| {
        Rgb::new(u8::try_from(column + 40).unwrap(), u8::try_from(row + 40).unwrap(), 7)
    };
    for (x, y, width, height) in [
        (0, 0, 6, 5),
        (1, 2, 3, 2),
        (-2, -1, 4, 3),
        (4, 3, 9, 9),
        (-3, -3, 20, 20),
        (0, 0, 1, 1),
        (-4, 0, 4, 2),
        (6, 0, 2, 2),
        (0, 5, 2, 2),
    ] {
        let (mut bytes, mut damage) = ([0; 6 * 5 * 4], Damage::none());
        let mut canvas = Canvas::new(&mut bytes, &mut damage, 6, 5, FORMAT).unwrap();
        let colors = (y..y + i64::from(height))
            .flat_map(|row| (x..x + i64::from(width)).map(move |column| color(column, row)));
        canvas.fill_with(x, y, width, height, colors);
        let mut around = Damage::none();
        for row in 0..5_u32 {
            for column in 0..6_u32 {
                let (c, r) = (i64::from(column), i64::from(row));
                let covered =
                    (x..x + i64::from(width)).contains(&c) && (y..y + i64::from(height)).contains(&r);
                let expected = if covered { color(c, r) } else { Rgb::BLACK };
                assert_eq!(
                    canvas.pixel(column, row),
                    Some(expected),
                    "{x},{y} {width}x{height} at {column},{row}"
                );
                if covered {
                    around.add(Rect::new(column, row, 1, 1));
                }
            }
        }
        assert_eq!(damage, around, "{x},{y} {width}x{height}");
    }
}

#[test]
fn too_few_colours_end_the_drawing() {
    for (count, last) in [(0, None), (1, Some((1, 1))), (3, Some((3, 1))), (4, Some((1, 2)))] {
        let (set, _) = drawn(|canvas| canvas.fill_with(1, 1, 3, 3, core::iter::repeat_n(RED, count)));
        assert_eq!(set.len(), count);
        assert_eq!(set.last().copied(), last);
    }
}

#[test]
fn where_nothing_lies_inside_no_colour_is_taken() {
    let low = -i64::from(u32::MAX);
    for (x, y, width, height) in [
        (0, low, 0, u32::MAX),
        (0, -(1 << 28), 0, u32::MAX),
        (0, low, 3, u32::MAX),
        (6, -(1 << 28), 3, u32::MAX),
        (-3, -(1 << 28), 3, u32::MAX),
        (0, 5, 3, u32::MAX),
        (0, 0, 3, 0),
    ] {
        let mut taken = 0_u32;
        let colors = core::iter::repeat_with(|| {
            taken += 1;
            RED
        });
        let (set, damage) = drawn(|canvas| canvas.fill_with(x, y, width, height, colors));
        assert_eq!((set, damage, taken), (Vec::new(), None, 0), "{x},{y} {width}x{height}");
    }
    // Rows without colours and without a width are not counted either: this would be 2³² of them.
    for row in (0..100).map(|row| low + row) {
        let (set, _) = drawn(|canvas| canvas.fill_with(0, row, 0, u32::MAX, []));
        assert_eq!(set, Vec::new());
    }
}

#[test]
fn extreme_places_draw_nothing() {
    for (x, y) in [(i64::MIN, i64::MIN), (i64::MAX, i64::MAX), (i64::MIN, 0), (i64::MAX, 0), (0, i64::MAX)] {
        let (set, damage) = drawn(|canvas| canvas.fill_with(x, y, 3, 3, core::iter::repeat_n(RED, 9)));
        assert_eq!((set, damage), (Vec::new(), None), "{x} {y}");
    }
}

#[test]
fn bytes_changed_by_hand_are_said_to_be() {
    let (set, damage) = drawn(|canvas| {
        canvas.bytes_mut()[4 * 7..4 * 8].copy_from_slice(&FORMAT.encode(RED));
        canvas.touch(Rect::new(1, 1, 1, 100));
        canvas.touch(Rect::new(100, 100, 1, 1));
    });
    assert_eq!((set, damage), (cells(Rect::new(1, 1, 1, 1)), Some(Rect::new(1, 1, 1, 4))));
}

#[test]
fn buffers_must_hold_all_pixels() {
    let mut damage = Damage::none();
    let refused = Canvas::new(&mut [0; 119], &mut damage, 6, 5, FORMAT).err();
    assert_eq!(refused, Some(GpuError::BufferTooSmall { len: 119, needed: 120 }));
    let refused = Canvas::new(&mut [0; 119], &mut damage, 6, 0, FORMAT).err();
    assert_eq!(refused, Some(GpuError::BadSize { width: 6, height: 0 }));
}

#[cfg(feature = "embedded-graphics")]
mod draw_target {
    use super::*;
    use embedded_graphics_core::Pixel;
    use embedded_graphics_core::draw_target::DrawTarget;
    use embedded_graphics_core::geometry::{OriginDimensions, Point, Size};
    use embedded_graphics_core::pixelcolor::Rgb888;
    use embedded_graphics_core::primitives::Rectangle;

    const RED888: Rgb888 = Rgb888::new(RED.r, RED.g, RED.b);

    #[test]
    fn pixels_with_negative_coordinates_are_left_out() {
        let points = [(-1, 0), (0, -1), (i32::MIN, i32::MIN), (6, 0), (i32::MAX, 3), (2, 3), (4, 1)];
        let (set, damage) = drawn(|canvas| {
            let pixels = points.map(|(x, y)| Pixel(Point::new(x, y), RED888));
            canvas.draw_iter(pixels).unwrap();
            assert_eq!(canvas.size(), Size::new(6, 5));
        });
        assert_eq!((set, damage), (alloc::vec![(4, 1), (2, 3)], Some(Rect::new(2, 1, 3, 3))));
    }

    #[test]
    fn solid_and_contiguous_agree_on_every_corner() {
        for x in -4..8 {
            for y in -4..8 {
                let area = Rectangle::new(Point::new(x, y), Size::new(3, 4));
                let solid = drawn(|canvas| canvas.fill_solid(&area, RED888).unwrap());
                let contiguous =
                    drawn(|canvas| canvas.fill_contiguous(&area, core::iter::repeat(RED888)).unwrap());
                assert_eq!(solid, contiguous, "{x},{y}");
                let covered = |(column, row): &(u32, u32)| {
                    (x..x + 3).contains(&i32::try_from(*column).unwrap())
                        && (y..y + 4).contains(&i32::try_from(*row).unwrap())
                };
                let expected: Vec<_> = cells(Rect::new(0, 0, 6, 5)).into_iter().filter(covered).collect();
                assert_eq!(solid.0, expected, "{x},{y}");
            }
        }
    }

    #[test]
    fn extreme_rectangles() {
        let all = Rectangle::new(Point::new(i32::MIN, i32::MIN), Size::new(u32::MAX, u32::MAX));
        assert_eq!(drawn(|canvas| canvas.fill_solid(&all, RED888).unwrap()).0.len(), 30);
        assert_eq!(drawn(|canvas| DrawTarget::clear(canvas, RED888).unwrap()).0.len(), 30);
    }
}
