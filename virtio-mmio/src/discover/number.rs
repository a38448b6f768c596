//! Numbers as Linux reads them on its command line.

/// An address: hexadecimal behind `0x`, octal behind `0`, decimal otherwise.
pub(super) fn address(text: &str) -> Option<u64> {
    let (value, rest) = leading(text)?;
    rest.is_empty().then_some(value)
}

/// A size: as an address, and perhaps `K`, `M`, `G`, `T`, `P` or `E` behind it, in either case, for powers of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let (value, rest) = leading(text)?;
    let shift = match rest {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        "T" | "t" => 40,
        "P" | "p" => 50,
        "E" | "e" => 60,
        _ => return None,
    };
    value.checked_mul(1_u64.checked_shl(shift)?)
}

/// A number in decimal, whatever it begins with. No sign: `from_str_radix` would take one.
pub(super) fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// As [`decimal`], with a minus sign or without.
pub(super) fn signed(text: &str) -> Option<i32> {
    decimal(text.strip_prefix('-').unwrap_or(text))?;
    // The digits are in order, but there may be too many for a signed number.
    text.parse().ok()
}

/// The number at the beginning, and what is behind it.
fn leading(text: &str) -> Option<(u64, &str)> {
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (radix, digits) = match hexadecimal {
        Some(digits) => (16, digits),
        None if text.starts_with('0') => (8, text),
        None => (10, text),
    };
    let end = digits.find(|letter: char| !letter.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    Some((u64::from_str_radix(digits, radix).ok()?, rest))
}
