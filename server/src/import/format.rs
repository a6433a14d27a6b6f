//! Recognises files that are not UTF-8 JSON by their first bytes.

/// The first bytes of files that have to be decompressed first.
const COMPRESSED: [(&[u8], &str); 5] = [
    (b"\x1f\x8b", "compressed twice with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
    (b"BZh", "compressed with bzip2"),
    (b"PK\x03\x04", "a zip archive"),
];
const MONGODUMP_ARCHIVE: [u8; 4] = [0x6d, 0xe2, 0x99, 0x81];
/// MongoDB limits a document to 16 MiB.
const MAX_BSON_BYTES: u32 = 17 * 1024 * 1024;

/// What the file is instead of UTF-8 JSON, and the remedy; `None` if it may be JSON.
pub(super) fn foreign(head: &[u8]) -> Option<String> {
    if let Some((_, name)) = COMPRESSED.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Some(format!("is {name}; decompress it first"));
    }
    let problem = if is_utf16(head) {
        "is UTF-16 text, as PowerShell's > writes it; use mongoexport --out FILE, or convert it with \
         iconv -f UTF-16 -t UTF-8"
    } else if head.starts_with(&MONGODUMP_ARCHIVE) || is_bson(head) {
        "is BSON, as mongodump writes it; export with mongoexport, or convert it with bsondump"
    } else if is_table(head) {
        "is CSV or TSV, which has no types; export with mongoexport --type=json"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

/// By its byte order mark, or as the first character of JSON is ASCII.
fn is_utf16(head: &[u8]) -> bool {
    matches!(
        head,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..]
    )
}

/// A length, and an element with a type and a name that ends with NUL.
fn is_bson(head: &[u8]) -> bool {
    let [a, b, c, d, kind, name @ ..] = head else { return false };
    let length = u32::from_le_bytes([*a, *b, *c, *d]);
    let end = name.iter().position(|byte| *byte == 0);
    let is_named = end
        .and_then(|end| name.get(..end))
        .is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_graphic));
    (1..=0x13).contains(kind) && (5..=MAX_BSON_BYTES).contains(&length) && is_named
}

/// A first line of at least two field names.
fn is_table(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let first = text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default();
    let is_name = |word: &str| {
        let word = word.trim().trim_matches('"');
        let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && word.chars().all(is_inner)
    };
    let separated =
        |separator: char| first.contains(separator) && first.split(separator).all(is_name);
    [',', ';', '\t'].into_iter().any(separated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_format_is_recognised_by_its_first_bytes() {
        let utf16: Vec<u8> = "{\"job_id\"".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let with_mark = [vec![0xff, 0xfe], utf16.clone()].concat();
        let check = |head: &[u8], expected: &str| {
            let problem = foreign(head).unwrap_or_default();
            assert!(
                problem.starts_with(expected) && problem.is_empty() == expected.is_empty(),
                "{problem}"
            );
        };
        check(&utf16, "is UTF-16");
        check(&with_mark, "is UTF-16");
        check(b"\x00{\x00\"", "is UTF-16");
        check(b"\x16\x00\x00\x00\x02hello\x00\x06\x00\x00\x00world\x00\x00", "is BSON");
        check(b"\x6d\xe2\x99\x81rest", "is BSON");
        check(b"_id,job_id,status\r\nx,y,z\n", "is CSV");
        check(b"\xef\xbb\xbf\"_id\",\"result.total\"\n", "is CSV");
        check(b"job_id\tstatus\n", "is CSV");
        check(b"PK\x03\x04", "is a zip archive");
        check(b"\x28\xb5\x2f\xfd...", "is compressed with zstd");
        check(b"", "");
        check(b"{\"a\":1}\n", "");
        check(b"\xef\xbb\xbf[{\"a\":1},", "");
        check(b"2025-01-13T02:00:00 connected to: localhost\n{\"a\":1}\n", "");
        check(b"a, b\xff {", "");
    }
}
