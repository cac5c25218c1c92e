//! Columns of text for people, as kubectl prints them.

use std::fmt::Write as _;

/// Spaces between columns.
const GAP: usize = 3;

/// Lines of the table, without blanks at their ends. An empty cell is shown as `-`.
pub(crate) fn lines<const COLUMNS: usize>(headings: [&str; COLUMNS], rows: &[[String; COLUMNS]]) -> Vec<String> {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut lines = vec![line(&headings, &widths)];
    lines.extend(rows.iter().map(|row| {
        let cells = row.each_ref().map(|cell| if cell.is_empty() { "-" } else { cell });
        line(&cells, &widths)
    }));
    lines
}

fn line(cells: &[&str], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(line, "{cell:<0$}", width + GAP);
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), String::new()], ["ünder".to_owned(), "x".to_owned()]];
        assert_eq!(lines(["N", "STATE"], &rows), ["N       STATE", "a       -", "ünder   x"]);
    }
}
