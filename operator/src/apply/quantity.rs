//! Amounts of resources: `500m` is `0.5`, and the API server chooses how it writes them.
//!
//! Owns the syntax of `resource.Quantity`. Must never be used for anything but comparing.

/// A unit of 10⁻⁹, the finest that Kubernetes keeps.
const PER_ONE: i128 = 1_000_000_000;
/// Most characters of an amount; a longer one is compared as text.
const MAX_LENGTH: usize = 32;

/// Whether both are the same amount.
pub(super) fn same(a: &str, b: &str) -> bool {
    a == b || parse(a).is_some_and(|a| parse(b) == Some(a))
}

/// In units of 10⁻⁹; `None` if it is not an amount, or is too large or too fine to compare.
fn parse(text: &str) -> Option<i128> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (factor, divisor) = scale(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let negative = whole.starts_with('-');
    let digits = format!("{}{fraction}", whole.trim_start_matches(['+', '-']));
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let divisor = divisor.checked_mul(10_i128.checked_pow(fraction.len().try_into().ok()?)?)?;
    let scaled = digits.parse::<i128>().ok()?.checked_mul(factor)?.checked_mul(PER_ONE)?;
    let amount = (scaled % divisor == 0).then_some(scaled / divisor)?;
    Some(if negative { -amount } else { amount })
}

/// Factor and divisor of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    const FINE: [&str; 4] = ["", "m", "u", "n"];
    let power = |units: &[&str]| units.iter().position(|unit| *unit == suffix).and_then(|n| u32::try_from(n).ok());
    if let Some(power) = power(&DECIMAL) {
        return Some((1000_i128.pow(power), 1));
    }
    if let Some(power) = power(&BINARY) {
        return Some((1024_i128.pow(power), 1));
    }
    if let Some(power) = power(&FINE) {
        return Some((1, 1000_i128.pow(power)));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 { (1, power) } else { (power, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_the_same_however_it_is_written() {
        for (a, b) in [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1", "1.0"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1e3", "1k"),
            ("100M", "100000000"),
            ("-1", "-1000m"),
            ("12E", "12e18"),
            ("1E3", "1000"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn different_amounts_and_other_texts_are_different() {
        for (a, b) in [("1", "1m"), ("1G", "1Gi"), ("1", "-1"), ("", "0"), ("one", "1"), ("1x", "1"), ("1.", "1m")] {
            assert!(!same(a, b), "{a} {b}");
        }
        let long = "9".repeat(40);
        assert!(same(&long, &long) && !same(&long, "9"));
    }
}
