//! Layout of text: the width of the terminal, and times in a zone and relative to now.

use std::time::Duration;

use chrono::{DateTime, Local, SecondsFormat};
use console::Term;
use prost_types::Timestamp;

use super::NONE;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// Columns of the terminal; `None` if there is no limit.
    pub(crate) width: Option<usize>,
    pub(crate) zone: Zone,
    clock: Clock,
}

/// Zone of times for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Local,
    Utc,
}

#[derive(Clone, Copy, Debug)]
enum Clock {
    System,
    #[cfg(test)]
    Fixed(i64),
}

impl Layout {
    /// For stdout. Without a terminal, or if everything is to be shown, there is no limit.
    pub(crate) fn new(is_wide: bool, zone: Zone) -> Self {
        let width = Term::stdout().size_checked().map(|(_, columns)| columns.into());
        Self { width: width.filter(|_| !is_wide), zone, clock: Clock::System }
    }

    /// UTC, at the given seconds since 1970.
    #[cfg(test)]
    pub(crate) fn fixed(width: Option<usize>, now: i64) -> Self {
        Self { width, zone: Zone::Utc, clock: Clock::Fixed(now) }
    }

    /// RFC 3339 without fractions, as flags accept it: `2026-12-01T06:00:00Z`.
    pub(crate) fn instant(&self, at: &Timestamp) -> String {
        let utc = || Timestamp { seconds: at.seconds, nanos: 0 }.to_string();
        match self.zone {
            Zone::Utc => utc(),
            Zone::Local => DateTime::from_timestamp(at.seconds, 0).map_or_else(utc, |at| {
                at.with_timezone(&Local).to_rfc3339_opts(SecondsFormat::Secs, true)
            }),
        }
    }

    /// A sentence of the server, whose times are in UTC, with its times as all others are shown.
    pub(crate) fn localized(&self, sentence: &str) -> String {
        let localized = |word: &str| {
            let time = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            match utc(time) {
                Some(at) => word.replacen(time, &self.instant(&at), 1),
                None => word.to_owned(),
            }
        };
        sentence.split_inclusive(' ').map(localized).collect()
    }

    /// The instant, or a dash.
    pub(crate) fn time(&self, at: Option<&Timestamp>) -> String {
        at.map_or_else(|| NONE.to_owned(), |at| self.instant(at))
    }

    /// `5m ago` or `in 2h`, or a dash.
    pub(crate) fn relative(&self, at: Option<&Timestamp>) -> String {
        let Some(at) = at else { return NONE.to_owned() };
        let seconds = at.seconds.saturating_sub(self.now());
        let distance = distance(seconds);
        if seconds > 0 { format!("in {distance}") } else { format!("{distance} ago") }
    }

    /// Age as `5m`, or a dash.
    pub(crate) fn age(&self, at: Option<&Timestamp>) -> String {
        at.map_or_else(
            || NONE.to_owned(),
            |at| distance(self.now().saturating_sub(at.seconds).max(0)),
        )
    }

    /// The instant and its distance from now, or a dash.
    pub(crate) fn time_and_distance(&self, at: Option<&Timestamp>) -> String {
        match at {
            Some(_) => format!("{} ({})", self.time(at), self.relative(at)),
            None => NONE.to_owned(),
        }
    }

    /// Time from `start` to `end` or, if that is absent, to now; a dash without a start.
    pub(crate) fn span(&self, start: Option<&Timestamp>, end: Option<&Timestamp>) -> String {
        let Some(start) = start else { return NONE.to_owned() };
        let end = end.map_or_else(|| self.now(), |end| end.seconds);
        // Negative if the server's clock is ahead of ours.
        let seconds = u64::try_from(end.saturating_sub(start.seconds)).unwrap_or_default();
        duration(Duration::from_secs(seconds))
    }

    #[expect(clippy::disallowed_methods, reason = "ages are by the clock of the reader")]
    fn now(&self) -> i64 {
        match self.clock {
            #[cfg(test)]
            Clock::Fixed(now) => now,
            Clock::System => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                let seconds = since.ok().map(|since| since.as_secs());
                seconds.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_default()
            }
        }
    }
}

/// The instant of `2026-12-01T06:00:00Z`; `None` of any other text.
fn utc(text: &str) -> Option<Timestamp> {
    let at = DateTime::parse_from_rfc3339(text).ok().filter(|_| text.ends_with('Z'))?;
    Some(Timestamp { seconds: at.timestamp(), nanos: 0 })
}

/// `1h 5m 3s`, as flags accept it.
pub(crate) fn duration(duration: Duration) -> String {
    let days = duration.as_secs() / (24 * 60 * 60);
    let rest = duration.saturating_sub(Duration::from_secs(days * 24 * 60 * 60));
    let text = humantime::format_duration(rest);
    match (days, rest.is_zero()) {
        (0, _) => text.to_string(),
        (_, true) => format!("{days}d"),
        (_, false) => format!("{days}d {text}"),
    }
}

/// Whole units, the largest that gives at least two of them from two days on: 47 hours, 2 days.
fn distance(seconds: i64) -> String {
    match seconds.saturating_abs() {
        seconds if seconds < MINUTE => format!("{seconds}s"),
        seconds if seconds < HOUR => format!("{}m", seconds / MINUTE),
        seconds if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        seconds => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn at(seconds: i64) -> Timestamp {
        Timestamp { seconds: NOW + seconds, nanos: 999 }
    }

    #[test]
    fn distances_are_in_whole_units() {
        let layout = Layout::fixed(None, NOW);
        for (seconds, expected) in [
            (0, "0s ago"),
            (-59, "59s ago"),
            (61, "in 1m"),
            (-3_599, "59m ago"),
            (-7_300, "2h ago"),
            (47 * HOUR, "in 47h"),
            (-5 * DAY - 1, "5d ago"),
        ] {
            assert_eq!(layout.relative(Some(&at(seconds))), expected);
        }
    }

    #[test]
    fn times_show_their_zone_and_absent_ones_are_dashes() {
        let layout = Layout::fixed(None, NOW);
        assert_eq!(layout.time_and_distance(Some(&at(0))), "2023-11-14T22:13:20Z (0s ago)");
        let absent = [layout.time(None), layout.relative(None), layout.time_and_distance(None)];
        assert_eq!(absent, ["-", "-", "-"]);
    }

    #[test]
    fn times_in_sentences_of_the_server_are_shown_like_all_others() {
        let layout = Layout::fixed(None, NOW);
        let said = "Paused until 2026-01-01T02:00:00.123Z (see 2026-01-02, 1Z). Not 2026-01-01T02:00:00+01:00.";
        let shown = "Paused until 2026-01-01T02:00:00Z (see 2026-01-02, 1Z). Not 2026-01-01T02:00:00+01:00.";
        assert_eq!(layout.localized(said), shown);
        let local = Layout { zone: Zone::Local, ..layout };
        let instant = local.instant(&utc("2026-01-01T02:00:00Z").unwrap());
        assert_eq!(local.localized("(2026-01-01T02:00:00Z);"), format!("({instant});"));
    }

    #[test]
    fn local_times_have_an_offset() {
        let local = Layout { zone: Zone::Local, ..Layout::fixed(None, NOW) };
        let shown = local.time(Some(&at(0)));
        assert!(crate::flags::time(&shown).unwrap().seconds == NOW, "{shown}");
    }
}
