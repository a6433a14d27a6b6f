//! Aligned columns. What others typed cannot move the cursor of whoever reads it.

/// A header and rows, two spaces apart; the last column is not padded.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let head = header.map(str::to_owned);
    let rows: Vec<[String; N]> =
        std::iter::once(head).chain(rows).map(|row| row.map(|cell| clean(&cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.iter().map(|row| padded(row, &widths)).collect::<Vec<_>>().join("\n")
}

/// One line for each value that is not empty, values below each other.
pub(super) fn details(lines: Vec<(&str, String)>) -> String {
    let given: Vec<_> = lines.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = given.iter().map(|(name, _)| name.len() + 1).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        format!("{:<width$}  {}", format!("{name}:"), clean(value))
    };
    given.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Control characters become spaces: a name may not carry escape sequences into a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn padded(row: &[String], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).map(|(cell, &width)| format!("{cell:<width$}"));
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_harmless() {
        let rows = [["é\u{1b}[2J", "1"], ["long name", "2"]].map(|row| row.map(str::to_owned));
        let shown = table(["NAME", "N"], rows.into_iter());
        assert_eq!(shown, "NAME       N\né [2J      1\nlong name  2");
    }

    #[test]
    fn empty_details_are_left_out() {
        let shown =
            details(vec![("Id", "x".into()), ("Empty", String::new()), ("Name", "y".into())]);
        assert_eq!(shown, "Id:    x\nName:  y");
    }
}
