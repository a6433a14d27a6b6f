//! A part of the terminal that is drawn again and again in its place, and then removed.
//!
//! The cursor stays at the beginning of the line below it, and is never hidden: what the terminal echoes
//! (`^C`) or a killed process leaves behind spoils nothing.

use std::io::Write;

use console::{Term, measure_text_width, truncate_str};

pub(super) struct Area {
    terminal: Term,
    /// How wide each line was drawn.
    widths: Vec<usize>,
}

impl Area {
    pub(super) fn new(terminal: Term) -> Self {
        Self { terminal, widths: Vec::new() }
    }

    /// How many lines there are, if the terminal says.
    pub(super) fn rows(&self) -> Option<usize> {
        self.terminal.size_checked().map(|(rows, _)| rows.into())
    }

    /// Lines are cut to the terminal. In one piece, so that it does not flicker.
    pub(super) fn draw(&mut self, text: &str) {
        let columns = self.columns();
        let lines: Vec<_> = text.lines().map(|line| truncate_str(line, columns, "…")).collect();
        let shown: String = lines.iter().flat_map(|line| [line, "\x1b[K\n"]).collect();
        let drawn = format!("{}{shown}\x1b[J", self.back(columns));
        if self.terminal.is_term() {
            // A terminal that went away is noticed elsewhere.
            self.terminal.write_all(drawn.as_bytes()).ok();
        }
        self.widths = lines.iter().map(|line| measure_text_width(line)).collect();
    }

    pub(super) fn clear(&mut self) {
        self.draw("");
    }

    /// To where it begins. A terminal that became narrower has broken its lines.
    fn back(&self, columns: usize) -> String {
        let height: usize = self.widths.iter().map(|width| height(*width, columns)).sum();
        if height > 0 { format!("\r\x1b[{height}A") } else { "\r".to_owned() }
    }

    fn columns(&self) -> usize {
        self.terminal.size_checked().map_or(usize::MAX, |(_, columns)| columns.into())
    }
}

fn height(width: usize, columns: usize) -> usize {
    width.div_ceil(columns.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_broken_count_as_many() {
        for (width, columns, expected) in [(0, 80, 1), (80, 80, 1), (81, 80, 2), (81, 40, 3)] {
            assert_eq!(height(width, columns), expected);
        }
    }
}
