//! A part of the terminal that is redrawn in place, and finally removed.
//!
//! The cursor stays at the start of the line below the area and is never hidden, so that echoed input (`^C`) or
//! a killed process does not damage the terminal.

use std::io::Write;

use console::{Term, measure_text_width, truncate_str};

use crate::render::printable;

pub(super) struct Area {
    terminal: Term,
    /// Widths of the drawn lines.
    widths: Vec<usize>,
}

impl Area {
    pub(super) fn new(terminal: Term) -> Self {
        Self { terminal, widths: Vec::new() }
    }

    /// Rows and columns of the terminal, if known.
    pub(super) fn size(&self) -> Option<(usize, usize)> {
        self.terminal.size_checked().map(|(rows, columns)| (rows.into(), columns.into()))
    }

    /// Replaces the area. Lines are shortened to the terminal. One write, because several would flicker.
    pub(super) fn draw(&mut self, text: &str) {
        let columns = self.size().map_or(usize::MAX, |(_, columns)| columns);
        let text = printable(text);
        let lines: Vec<_> = text.lines().map(|line| truncate_str(line, columns, "…")).collect();
        let shown: String = lines.iter().flat_map(|line| [line, "\x1b[K\n"]).collect();
        let drawn = format!("{}{shown}\x1b[J", self.back_to_start(columns));
        if self.terminal.is_term() {
            // If the terminal is gone, the process gets a signal.
            self.terminal.write_all(drawn.as_bytes()).ok();
        }
        self.widths = lines.iter().map(|line| measure_text_width(line)).collect();
    }

    pub(super) fn clear(&mut self) {
        self.draw("");
    }

    /// Moves the cursor to the start of the area. A terminal that became narrower has wrapped its lines.
    fn back_to_start(&self, columns: usize) -> String {
        let height: usize = self.widths.iter().map(|width| height(*width, columns)).sum();
        if height > 0 { format!("\r\x1b[{height}A") } else { "\r".to_owned() }
    }
}

fn height(width: usize, columns: usize) -> usize {
    width.div_ceil(columns.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_line_has_several_rows() {
        for (width, columns, expected) in [(0, 80, 1), (80, 80, 1), (81, 80, 2), (81, 40, 3)] {
            assert_eq!(height(width, columns), expected);
        }
    }
}
