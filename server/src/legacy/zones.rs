//! Time zones as systems other than IANA's database write them.

use super::windows_zones::WINDOWS_ZONES;
use crate::domain::time_zones::time_zones;

const UTC: &str = "UTC";

/// The IANA name for an IANA name in any case, a Windows name, or an offset in whole hours; empty means UTC.
/// The error says why there is none.
pub(super) fn iana_name(old: &str) -> Result<String, &'static str> {
    let old = old.trim();
    if old.is_empty() {
        return Ok(UTC.to_owned());
    }
    if let Some(offset) = offset(old) {
        return of_offset(offset);
    }
    let name = old.replace(' ', "_");
    let zones = time_zones();
    let iana = zones.names().find(|iana| iana.eq_ignore_ascii_case(&name));
    let windows = || WINDOWS_ZONES.iter().find(|(windows, _)| windows.eq_ignore_ascii_case(old));
    let found = iana.or_else(|| windows().map(|(_, iana)| *iana));
    found.map(str::to_owned).ok_or("is neither an IANA nor a Windows time zone")
}

/// The minutes east of UTC in `+05:30`, `-0500`, `UTC-5`, `GMT+2` or `Z`.
fn offset(text: &str) -> Option<i32> {
    let text = text.to_ascii_uppercase();
    if text == "Z" {
        return Some(0);
    }
    let text = text.strip_prefix("UTC").or(text.strip_prefix("GMT")).unwrap_or(&text).trim();
    let text = text.replace('\u{2212}', "-");
    let (sign, digits) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(digits), _) => (1, digits),
        (_, Some(digits)) => (-1, digits),
        (None, None) => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() > 2 => digits.split_at_checked(digits.len() - 2)?,
        None => (digits, "0"),
    };
    let number = |digits: &str| {
        let is_short =
            (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        is_short.then(|| digits.parse::<i32>().ok()).flatten()
    };
    Some(sign * (number(hours)? * 60 + number(minutes)?))
}

/// IANA's zones of fixed offsets count west of Greenwich.
fn of_offset(minutes: i32) -> Result<String, &'static str> {
    match (minutes / 60, minutes % 60) {
        (0, 0) => Ok(UTC.to_owned()),
        (hours @ 1..=14, 0) => Ok(format!("Etc/GMT-{hours}")),
        (hours @ -12..=-1, 0) => Ok(format!("Etc/GMT+{}", -hours)),
        _ => Err("is an offset that no IANA time zone has"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_systems_become_iana_names() {
        let check =
            |old: &str, expected: &str| assert_eq!(iana_name(old).unwrap(), expected, "{old}");
        check("", "UTC");
        check("America/Indiana/Indianapolis", "America/Indiana/Indianapolis");
        check("america/new_york", "America/New_York");
        check(" America/New York ", "America/New_York");
        check("utc", "UTC");
        check("est5edt", "EST5EDT");
        check("Eastern Standard Time", "America/New_York");
        check("eastern standard time", "America/New_York");
        check("W. Europe Standard Time", "Europe/Berlin");
        check("UTC-11", "Etc/GMT+11");
        check("-05:00", "Etc/GMT+5");
        check("+0200", "Etc/GMT-2");
        check("UTC+14", "Etc/GMT-14");
        check("GMT-12", "Etc/GMT+12");
        check("gmt +2", "Etc/GMT-2");
        check("UTC+0", "UTC");
        check("Z", "UTC");
        check("GMT0", "GMT0");
    }

    #[test]
    fn a_zone_without_an_iana_name_has_a_reason() {
        let unknown = "is neither an IANA nor a Windows time zone";
        for (old, expected) in [
            ("Mars/Olympus", unknown),
            ("PST", unknown),
            ("5", unknown),
            ("+5:3x", unknown),
            ("+12345", unknown),
            ("+05:30", "is an offset that no IANA time zone has"),
            ("UTC-13", "is an offset that no IANA time zone has"),
            ("+15", "is an offset that no IANA time zone has"),
        ] {
            assert_eq!(iana_name(old), Err(expected), "{old}");
        }
    }

    #[test]
    fn every_windows_zone_is_a_zone_of_the_database() {
        for (windows, iana) in WINDOWS_ZONES {
            assert!(time_zones().get(iana).is_some(), "{windows}: {iana}");
            assert!(iana_name(windows).is_ok(), "{windows}");
        }
    }
}
