//! Tables that fit the terminal.
//!
//! A table is never cut at the right edge and never wraps, unless its ids alone are wider than the terminal.
//! Below its natural width it shortens long free text and leaves out columns, the one with the highest rank
//! first. Ids are shown whole, because people copy them.

use console::{Alignment, measure_text_width, pad_str, style, truncate_str};

use super::escape::clean;
use super::{Layout, NONE};

pub(super) const GAP: usize = 2;
/// Maximum width of free text in a table that does not fit the terminal otherwise.
const MAX_TEXT: usize = 40;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    /// 0 is never left out; the highest rank is left out first.
    rank: u8,
    kind: Kind,
    /// Left out if all its cells are empty.
    is_optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Id,
    Text,
    Number,
    /// A number that is red unless it is 0.
    Failures,
    /// A word with a color.
    State,
}

impl Column {
    pub(super) const fn id(name: &'static str) -> Self {
        Self { name, rank: 0, kind: Kind::Id, is_optional: false }
    }

    /// An id that may be left out, but is not shortened.
    pub(super) const fn whole(name: &'static str, rank: u8) -> Self {
        Self { rank, ..Self::id(name) }
    }

    pub(super) const fn text(name: &'static str, rank: u8) -> Self {
        Self { name, rank, kind: Kind::Text, is_optional: false }
    }

    pub(super) const fn number(name: &'static str, rank: u8) -> Self {
        Self { name, rank, kind: Kind::Number, is_optional: false }
    }

    pub(super) const fn failures(name: &'static str, rank: u8) -> Self {
        Self { name, rank, kind: Kind::Failures, is_optional: false }
    }

    pub(super) const fn state(name: &'static str, rank: u8) -> Self {
        Self { name, rank, kind: Kind::State, is_optional: false }
    }

    /// Leaves the column out if all its cells are empty or dashes.
    pub(super) const fn if_any(self) -> Self {
        Self { is_optional: true, ..self }
    }
}

/// A rendered table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) text: String,
    left_out: usize,
}

impl Table {
    /// The table and a last line, which also says if columns were left out.
    pub(super) fn with_footer(self, footer: &str) -> String {
        match self.left_out {
            0 => format!("{}\n{footer}", self.text),
            1 => format!("{}\n{footer} (--wide shows 1 more column)", self.text),
            n => format!("{}\n{footer} (--wide shows {n} more columns)", self.text),
        }
    }
}

/// Renders a header and rows, two spaces apart.
pub(super) fn table<const N: usize>(
    layout: &Layout,
    columns: [Column; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Table {
    let mut filled = Vec::from(columns.map(Filled::new));
    let mut height = 0_usize;
    for row in rows {
        height += 1;
        for (column, cell) in filled.iter_mut().zip(row) {
            column.push(&cell);
        }
    }
    filled.retain(|column| !column.column.is_optional || column.has_content());
    let before = filled.len();
    fit(&mut filled, layout.width);
    let header = joined(filled.iter().map(|column| column.padded(column.column.name)));
    let row = |number| joined(filled.iter().map(|column| column.cell(number)));
    let lines: Vec<_> = std::iter::once(header).chain((0..height).map(row)).collect();
    Table { text: lines.join("\n"), left_out: before - filled.len() }
}

/// A column and its cells.
#[derive(Clone, Debug)]
struct Filled {
    column: Column,
    cells: Vec<String>,
    width: usize,
}

impl Filled {
    fn new(column: Column) -> Self {
        Self { column, cells: Vec::new(), width: column.name.len() }
    }

    fn push(&mut self, cell: &str) {
        let cell = clean(cell);
        self.width = self.width.max(measure_text_width(&cell));
        self.cells.push(cell);
    }

    fn shorten(&mut self) {
        if self.column.kind == Kind::Text {
            for cell in &mut self.cells {
                *cell = truncate_str(cell, MAX_TEXT, "…").into_owned();
            }
            self.width = self.width.min(MAX_TEXT.max(self.column.name.len()));
        }
    }

    fn has_content(&self) -> bool {
        self.cells.iter().any(|cell| !cell.is_empty() && cell != NONE)
    }

    fn cell(&self, number: usize) -> String {
        let cell = self.cells.get(number).map(String::as_str).unwrap_or_default();
        let painted = match self.column.kind {
            Kind::State => colored(cell),
            Kind::Failures if !["0", "", NONE].contains(&cell) => style(cell).red().to_string(),
            Kind::Id | Kind::Text | Kind::Number | Kind::Failures => cell.to_owned(),
        };
        self.padded(&painted)
    }

    fn padded(&self, text: &str) -> String {
        let alignment = match self.column.kind {
            Kind::Number | Kind::Failures => Alignment::Right,
            Kind::Id | Kind::Text | Kind::State => Alignment::Left,
        };
        pad_str(text, self.width, alignment, None).into_owned()
    }
}

/// Shortens free text, and then leaves out the column with the highest rank until the rest fits.
fn fit(columns: &mut Vec<Filled>, width: Option<usize>) {
    let Some(width) = width else { return };
    if total_width(columns) > width {
        columns.iter_mut().for_each(Filled::shorten);
    }
    while total_width(columns) > width {
        let ranks = columns.iter().enumerate().map(|(number, column)| (column.column.rank, number));
        match ranks.max() {
            Some((rank, number)) if rank > 0 => drop(columns.remove(number)),
            _ => return,
        }
    }
}

fn total_width(columns: &[Filled]) -> usize {
    let gaps = GAP * columns.len().saturating_sub(1);
    columns.iter().map(|column| column.width).sum::<usize>() + gaps
}

fn joined(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
}

/// A state in its color, if colors are on.
pub(super) fn colored(state: &str) -> String {
    let styled = style(state);
    match state.split([' ', ',']).next().unwrap_or_default() {
        "completed" | "active" | "fired" => styled.green().to_string(),
        "failed" | "invalid" => styled.red().to_string(),
        "running" => styled.cyan().to_string(),
        "pending" | "paused" => styled.yellow().to_string(),
        "cancelled" | "inactive" | "missed" | "skipped_overlap" => styled.dim().to_string(),
        _ => state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::id("JOB ID"),
        Column::state("STATUS", 1),
        Column::number("SAVED", 3),
        Column::text("NOTE", 2).if_any(),
    ];

    fn shown(width: Option<usize>, rows: &[[&str; 4]]) -> Table {
        let rows = rows.iter().map(|row| row.map(str::to_owned));
        table(&Layout::fixed(width, 0), COLUMNS, rows)
    }

    #[test]
    fn columns_are_aligned_and_numbers_stand_to_the_right() {
        let rows = [["é\u{1b}[2J", "running", "7", ""], ["long name", "東京", "1234", "-"]];
        let expected =
            "JOB ID      STATUS   SAVED\né\\u001b[2J  running      7\nlong name   東京      1234";
        assert_eq!(shown(None, &rows).text, expected);
    }

    #[test]
    fn a_narrow_terminal_has_fewer_columns_and_whole_ids() {
        let id = "triggered_sample_sold_daily_1736841234_0123456789ab";
        let rows = [[id, "completed", "1234", "its turn"]];
        for (width, expected) in [
            (Some(200), "JOB ID STATUS SAVED NOTE"),
            (Some(79), "JOB ID STATUS SAVED NOTE"),
            (Some(78), "JOB ID STATUS NOTE"),
            (Some(70), "JOB ID STATUS"),
            (Some(60), "JOB ID"),
            (Some(20), "JOB ID"),
            (None, "JOB ID STATUS SAVED NOTE"),
        ] {
            let table = shown(width, &rows);
            let header = table.text.lines().next().unwrap();
            let words: Vec<_> = header.split_whitespace().collect();
            assert_eq!(words.join(" "), expected, "{width:?}");
            assert!(table.text.contains(id), "{}", table.text);
            let widest = table.text.lines().map(measure_text_width).max().unwrap();
            assert!(widest <= width.unwrap_or(1_000).max(id.len()), "{}", table.text);
        }
        assert!(
            shown(Some(70), &rows)
                .with_footer("1 run")
                .ends_with("1 run (--wide shows 2 more columns)")
        );
    }

    #[test]
    fn free_text_is_shortened_only_if_it_does_not_fit() {
        let long = "x".repeat(100);
        let rows = [["a", "b", "1", long.as_str()]];
        assert!(shown(Some(100), &rows).text.contains(&format!(" {}…", "x".repeat(39))));
        assert!(shown(Some(200), &rows).text.contains(&long));
        assert!(shown(None, &rows).text.contains(&long));
    }
}
