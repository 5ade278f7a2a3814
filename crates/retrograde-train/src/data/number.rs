//! Numbers of a table: text to `f32`, correctly rounded.
//!
//! Short decimals are exact as a quotient or product of two `f64` that are exact, which costs a few nanoseconds; every other
//! text goes to the standard library, which is also what decides what a number is.
//!
//! Source: W. D. Clinger, How to read floating point numbers accurately, PLDI 1990, section 3 (the exact case).

/// The number that a text stands for, rounded to nearest, as `str::parse` reads it; `None` for other text.
pub(super) fn number(text: &[u8]) -> Option<f32> {
    short_decimal(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())
}

/// Powers of ten that `f64` holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// Digits with a point among them and an exponent after, as far as the result is sure.
fn short_decimal(text: &[u8]) -> Option<f32> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (mut mantissa, mut n_digits, mut exponent) = (0_u64, 0, 0_i32);
    let mut point = None;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
                n_digits += 1;
            }
            b'.' if point.is_none() => point = Some(n_digits),
            b'e' | b'E' => {
                exponent = small_integer(&text[at + 1..])?;
                break;
            }
            _ => return None,
        }
        at += 1;
    }
    // 19 digits do not overflow; more than 2^53 is not exact.
    if n_digits == 0 || n_digits > 19 || mantissa > 1 << 53 {
        return None;
    }
    exponent -= point.map_or(0, |before| n_digits - before);
    let power = POWERS.get(exponent.unsigned_abs() as usize)?;
    let value = if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
    // One rounding to f64 and one to f32 are as good as one, unless the first lands in the middle of two f32. Where f32 are
    // subnormal, or end, the middles lie elsewhere.
    const DROPPED: u64 = (1 << 29) - 1;
    let is_middle = value.to_bits() & DROPPED == 1 << 28;
    let is_normal = (f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&value);
    if is_middle || !(is_normal || mantissa == 0) {
        return None;
    }
    let value = value as f32;
    Some(if is_negative { -value } else { value })
}

/// An exponent of at most three digits.
fn small_integer(text: &[u8]) -> Option<i32> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        _ => (1, text),
    };
    if digits.is_empty() || digits.len() > 3 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(sign * digits.iter().fold(0, |value, &digit| 10 * value + i32::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use retrograde_array::rng::{Key, random_bits};

    use super::*;

    #[track_caller]
    fn check(text: &str) {
        let expected = text.parse::<f32>().ok().map(f32::to_bits);
        assert_eq!(number(text.as_bytes()).map(f32::to_bits), expected, "{text}");
    }

    #[test]
    fn edges_are_read_as_the_standard_library_reads_them() {
        for text in [
            "",
            "-",
            "+",
            ".",
            "-.",
            "1.",
            ".5",
            "-0",
            "0.0",
            "-0e9",
            "+1",
            "1e",
            "1e+",
            "e5",
            "1.2.3",
            "1e5.5",
            "--1",
            "1e1e1",
            "inf",
            "NaN",
            "infinity",
            "1e38",
            "3.4028235e38",
            "3.4028236e38",
            "1e39",
            "1e-38",
            "1.1754944e-38",
            "1e-45",
            "1e-46",
            "9007199254740993",
            "99999999999999999999",
            "0.00000000000000000000001",
            "1e-22",
            "1e22",
            "1e23",
            "1e0022",
            "16777217",
            "16777217.0000000001",
            "1_0",
            "0x10",
            " 1",
            "1 ",
            "１",
        ] {
            check(text);
        }
        assert_eq!(number(b"\xff1"), None);
    }

    /// Random decimals, among them many near the middle of two `f32`, where two roundings would differ from one.
    #[test]
    fn random_decimals_are_rounded_once() {
        let words = random_bits(Key::from_seed(3), 200_000);
        let mut n_short = 0;
        for (i, word) in words.into_iter().enumerate() {
            let digits = word >> (8 + word % 50);
            let exponent = (word >> 40) as i32 % 30;
            let text = match i % 4 {
                0 => format!("{}e{exponent}", digits % 100_000_000),
                1 => format!("-{}.{:06}", digits % 1000, word % 1_000_000),
                2 => format!("{digits}e-{exponent}"),
                _ => {
                    // The middle of two neighbours, exactly or nearly.
                    let low = f32::from_bits((0x3f80_0000_u32).wrapping_add(word as u32 % 0x0800_0000));
                    let middle = (f64::from(low) + f64::from(low.next_up())) / 2.0;
                    format!("{:.*}", (word >> 60) as usize, middle)
                }
            };
            check(&text);
            n_short += usize::from(short_decimal(text.as_bytes()).is_some());
        }
        assert!(n_short > 100_000, "{n_short} of 200000 were short");
    }
}
