//! What was probably meant by a word that is not known.
//!
//! Owns the wording and the distance. Must never correct anything by itself.

use super::Problem;

/// Beginning of the message about an unknown field.
const UNKNOWN: &str = "unknown field";
/// Most changes of single letters by which two words may differ.
const MAX_DISTANCE: usize = 3;

/// The problem of a field that the schema does not have.
pub(super) fn unknown_field<'a>(path: String, name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    Problem { path, message: format!("{UNKNOWN}, which the API server would drop{}", did_you_mean(name, known)) }
}

/// Whether the problem is only that a field is unknown.
pub(super) fn is_about_unknown_field(problem: &Problem) -> bool {
    problem.message.starts_with(UNKNOWN)
}

/// `: did you mean …?` if a known word is close, else a full stop's worth of nothing.
pub(super) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let nearest = known.map(|other| (distance(&word.to_lowercase(), &other.to_lowercase()), other)).min();
    match nearest {
        Some((distance, other)) if distance <= MAX_DISTANCE.min(word.len() / 2) => format!(": did you mean {other}?"),
        _ => String::new(),
    }
}

/// Changes of single letters that lead from one word to the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = || ["replicas", "publicAccess", "topic"].into_iter();
        assert_eq!(did_you_mean("replica", known()), ": did you mean replicas?");
        assert_eq!(did_you_mean("publicaccess", known()), ": did you mean publicAccess?");
        assert_eq!(did_you_mean("colour", known()), "");
        assert_eq!(did_you_mean("x", known()), "");
    }
}
