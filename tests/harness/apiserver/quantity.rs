//! Quantities in the form in which a server stores them.
//!
//! Owns the arithmetic. Must never lose precision: a quantity that it cannot bring into the form stays as it is.

/// Suffixes of powers of ten, with their exponents to 1000.
const DECIMAL: &[(&str, u32)] = &[("E", 6), ("P", 5), ("T", 4), ("G", 3), ("M", 2), ("k", 1)];
/// Suffixes of powers of two, with their exponents to 1024.
const BINARY: &[(&str, u32)] = &[("Ei", 6), ("Pi", 5), ("Ti", 4), ("Gi", 3), ("Mi", 2), ("Ki", 1)];

/// The canonical form: no fraction, the largest suffix of the same family that needs none.
pub fn canonical(text: &str) -> String {
    parse(text).map_or_else(|| text.to_owned(), |(thousandths, binary)| format(thousandths, binary))
}

/// Thousandths, and whether the suffix is of a power of two.
fn parse(text: &str) -> Option<(i128, bool)> {
    for (suffix, exponent) in BINARY {
        if let Some(number) = text.strip_suffix(suffix) {
            return Some((scaled(number)?.checked_mul(1024_i128.pow(*exponent))?, true));
        }
    }
    for (suffix, exponent) in DECIMAL {
        if let Some(number) = text.strip_suffix(suffix) {
            return Some((scaled(number)?.checked_mul(1000_i128.pow(*exponent))?, false));
        }
    }
    match text.strip_suffix('m') {
        Some(number) => number.parse().ok().map(|thousandths| (thousandths, false)),
        None => scaled(text).map(|thousandths| (thousandths, false)),
    }
}

/// A decimal number in thousandths.
fn scaled(number: &str) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let fraction: i128 = format!("{fraction:0<3}").parse().ok()?;
    Some(whole * 1000 + fraction)
}

fn format(thousandths: i128, binary: bool) -> String {
    if thousandths % 1000 != 0 {
        return format!("{thousandths}m");
    }
    let number = thousandths / 1000;
    let (suffixes, base) = if binary { (BINARY, 1024_i128) } else { (DECIMAL, 1000_i128) };
    let fits = |(_, exponent): &&(&str, u32)| number != 0 && number % base.pow(*exponent) == 0;
    match suffixes.iter().find(fits) {
        Some((suffix, exponent)) => format!("{}{suffix}", number / base.pow(*exponent)),
        None => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_stored_in_their_canonical_form() {
        for (written, stored) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("100m", "100m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("1000000", "1M"),
            ("128Mi", "128Mi"),
            ("134217728", "134217728"),
            ("0", "0"),
            ("2", "2"),
        ] {
            assert_eq!(canonical(written), stored, "{written}");
        }
    }
}
