//! Aligned columns that fit the terminal. What others typed cannot move the cursor of whoever reads it.

use console::{Term, measure_text_width, pad_str, style, truncate_str};

/// Between two columns.
const GAP: usize = 2;
/// A column is not cut to less.
const NARROWEST: usize = 8;

/// A header and rows, two spaces apart; the last column is not padded. On a terminal the widest columns
/// are cut until a row is a line, and states have their colours.
pub(super) fn table<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    // Nobody knows how wide a file or a pipe is.
    let room = Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    fitted(header, rows, room)
}

fn fitted<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    room: Option<usize>,
) -> String {
    let head = header.map(str::to_owned);
    let rows: Vec<[String; N]> =
        std::iter::once(head).chain(rows).map(|row| row.map(|cell| clean(&cell))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(measure_text_width(cell));
        }
    }
    if let Some(room) = room {
        shrink(&header, &mut widths, room.saturating_sub(GAP * N.saturating_sub(1)));
    }
    let line = |(number, row): (usize, &[String; N])| padded(&header, row, &widths, number > 0);
    rows.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// One line for each value that is not empty, values below each other.
pub(super) fn details(lines: Vec<(&str, String)>) -> String {
    let given: Vec<_> = lines.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let width = given.iter().map(|(name, _)| name.len() + 1).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        let value = clean(value);
        let value = if is_state(name) { colored(&value) } else { value };
        format!("{:<width$}  {value}", format!("{name}:"))
    };
    given.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Control characters become spaces: a name may not carry escape sequences into a terminal.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Takes from the widest column until all fit, or none can give more. Ids stay whole: people copy them.
fn shrink(header: &[&str], widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        let cut = header.iter().zip(widths.iter_mut()).filter(|(name, _)| !name.ends_with("ID"));
        let widest = cut.map(|(_, width)| width).max().filter(|width| **width > NARROWEST);
        let Some(widest) = widest else { return };
        *widest -= 1;
    }
}

fn padded(header: &[&str], row: &[String], widths: &[usize], is_row: bool) -> String {
    let cells = header.iter().zip(row).zip(widths).map(|((name, cell), &width)| {
        let cut = truncate_str(cell, width, "…");
        let cut = if is_row && is_state(name) { colored(&cut) } else { cut.into_owned() };
        pad_str(&cut, width, console::Alignment::Left, None).into_owned()
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

fn is_state(name: &str) -> bool {
    ["STATUS", "DECISION", "Status"].contains(&name)
}

/// A state in its colour, where colours are on.
fn colored(state: &str) -> String {
    let word = state.split([' ', ',']).next().unwrap_or_default();
    let styled = style(state);
    let styled = match word {
        "completed" | "active" | "fired" => styled.green(),
        "failed" | "problem" => styled.red(),
        "running" => styled.cyan(),
        "pending" | "paused" => styled.yellow(),
        "cancelled" | "inactive" | "missed" | "skipped" => styled.dim(),
        _ => styled,
    };
    styled.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> impl Iterator<Item = [String; 2]> {
        [["é\u{1b}[2J", "1"], ["long name", "2"]].map(|row| row.map(str::to_owned)).into_iter()
    }

    #[test]
    fn columns_are_aligned_and_harmless() {
        let shown = fitted(["NAME", "N"], rows(), None);
        assert_eq!(shown, "NAME       N\né [2J      1\nlong name  2");
    }

    #[test]
    fn the_widest_column_is_cut_to_the_terminal() {
        let shown = fitted(["NAME", "N"], rows(), Some(11));
        assert_eq!(shown, "NAME      N\né [2J     1\nlong na…  2");
        let narrow = fitted(["NAME", "N"], rows(), Some(3));
        assert!(narrow.contains("long na…"), "{narrow}");
        let whole = fitted(["JOB ID", "N"], rows(), Some(3));
        assert!(whole.contains("long name  2"), "{whole}");
    }

    #[test]
    fn wide_characters_take_two_places() {
        let rows = [["東京", "1"], ["abcd", "2"]].map(|row| row.map(str::to_owned));
        assert_eq!(fitted(["A", "N"], rows.into_iter(), None), "A     N\n東京  1\nabcd  2");
    }

    #[test]
    fn empty_details_are_left_out() {
        let shown =
            details(vec![("Id", "x".into()), ("Empty", String::new()), ("Name", "y".into())]);
        assert_eq!(shown, "Id:    x\nName:  y");
    }
}
