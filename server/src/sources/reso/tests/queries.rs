//! Queries, links and settings.

use super::super::query::Range;
use super::*;

#[test]
fn a_location_becomes_a_filter() {
    let check = |location: &str, expected: &str| {
        let request = ScrapeRequest { location: location.to_owned(), ..request() };
        let url = query::page(&settings(""), &request, &Range::All, Order::ByChange).unwrap();
        assert_eq!(url.path(), "/reso/odata/Property");
        assert!(decoded(&url).starts_with(&format!("$filter={expected}&$orderby=")), "{url}");
        assert!(!url.query().unwrap().contains(['+', ' ', '\'']), "{url}");
    };
    check("46201", "PostalCode eq '46201'");
    check("Indianapolis, in", "City eq 'Indianapolis' and StateOrProvince eq 'IN'");
    check("O'Fallon, MO", "City eq 'O''Fallon' and StateOrProvince eq 'MO'");
    check("Carmel", "City eq 'Carmel'");
    check("462011", "City eq '462011'");
}

#[test]
fn listing_types_times_fields_and_limits_become_query_options() {
    let query = |request: ScrapeRequest, more: &str| {
        decoded(&query::page(&settings(more), &request, &Range::All, Order::ByChange).unwrap())
    };
    let sold = query(
        ScrapeRequest {
            listing_types: vec!["SOLD".to_owned(), "FOR_RENT".to_owned()],
            ..request()
        },
        "select = ['ListPrice']\nfilter = \"MlsStatus ne 'X'\"",
    );
    assert_eq!(
        sold,
        "$filter=PostalCode eq '46201' and (StandardStatus eq 'Closed' or (StandardStatus eq 'Active' \
         and PropertyType eq 'Residential Lease')) and (MlsStatus ne 'X')\
         &$select=ListingKey,ModificationTimestamp,ListPrice&$orderby=ModificationTimestamp,ListingKey"
    );
    let since = Some("2025-01-09T12:00:00Z".parse().unwrap());
    let days = query(ScrapeRequest { parameters: json!({ "past_days": 7 }), ..request() }, "");
    assert!(days.contains("ModificationTimestamp ge 2025-01-03T00:00:00.000Z"), "{days}");
    let later =
        ScrapeRequest { parameters: json!({ "past_days": 7 }), changed_since: since, ..request() };
    let later = query(later, "");
    assert!(later.contains("ModificationTimestamp ge 2025-01-09T11:55:00.000Z"), "{later}");
    let late = ScrapeRequest { changed_since: since, ..request() };
    let late = query(late, "overlap = '30m'");
    assert!(late.contains("ModificationTimestamp ge 2025-01-09T11:30:00.000Z"), "{late}");
    let few = query(ScrapeRequest { parameters: json!({ "limit": 5 }), limit: 5, ..request() }, "");
    assert!(few.ends_with("$orderby=ModificationTimestamp desc,ListingKey&$top=5"), "{few}");
    let many = ScrapeRequest { parameters: json!({ "limit": 10_000 }), ..request() };
    assert!(!query(many, "").contains("$top"), "services have a maximum");
    let near = ScrapeRequest { parameters: json!({ "radius": 5 }), ..request() };
    let near = query::page(&settings(""), &near, &Range::All, Order::ByChange);
    assert!(near.unwrap_err().contains("radius"));
}

#[test]
fn pages_become_ranges_of_changes_and_keys() {
    let at = |text: &str| text.parse().unwrap();
    let query = |range: &Range, order| {
        decoded(&query::page(&settings("filter = 'a eq b'"), &request(), range, order).unwrap())
    };
    let since = Range::Since(at("2025-01-02T00:00:00Z"));
    assert_eq!(
        query(&since, Order::ByChange),
        "$filter=PostalCode eq '46201' and ModificationTimestamp ge 2025-01-02T00:00:00.000Z and (a eq b)\
         &$orderby=ModificationTimestamp,ListingKey"
    );
    let (from, until) = (at("2025-01-02T00:00:00Z"), at("2025-01-02T00:00:02Z"));
    let within = Range::Within { from, until, after: Some("'O''7'".to_owned()) };
    assert_eq!(
        query(&within, Order::ByChange),
        "$filter=PostalCode eq '46201' and ModificationTimestamp ge 2025-01-02T00:00:00.000Z \
         and ModificationTimestamp lt 2025-01-02T00:00:02.000Z and ListingKey gt 'O''7' and (a eq b)\
         &$orderby=ListingKey"
    );
    assert!(!query(&Range::All, Order::Any).contains("$orderby"));
}

fn follow(more: &str, link: &str) -> Result<String, String> {
    let from: Url = "https://mls.example/reso/odata/Property?$filter=x".parse().unwrap();
    links::follow(&settings(more), &from, link).map(|url| url.to_string())
}

#[test]
fn links_lead_only_to_the_same_server() {
    let next = "https://mls.example/reso/odata/Property?$skiptoken=2";
    for link in [
        next,
        "Property?$skiptoken=2",
        "/reso/odata/Property?$skiptoken=2",
        "?$skiptoken=2",
        "http://mls.example/reso/odata/Property?$skiptoken=2",
        "http://mls.example:8080/reso/odata/Property?$skiptoken=2",
    ] {
        assert_eq!(follow("", link).as_deref(), Ok(next), "{link}");
    }
    for link in ["https://evil.example/Property", "//evil.example/x", "https://mls.example.evil/x"]
    {
        assert!(follow("", link).unwrap_err().contains("another server"), "{link}");
    }
    let own = "https://mls.example/reso/odata/Property?$filter=x";
    assert!(follow("", own).unwrap_err().contains("its own page"));
}

#[test]
fn links_to_named_origins_are_mapped_or_allowed() {
    let check = |more: &str, link: &str, expected: &str| {
        assert_eq!(follow(more, link).as_deref(), Ok(expected), "{more}");
    };
    let next = "https://mls.example/reso/odata/Property?a=1";
    let internal = "internal_origins = ['http://10.0.0.7:8080']";
    check(internal, "http://10.0.0.7:8080/reso/odata/Property?a=1", next);
    let moved = "internal_origins = ['http://feed.internal/v1/']";
    check(moved, "http://feed.internal/v1/Property?a=1", next);
    let trusted = "trusted_origins = ['https://pages.example']";
    check(trusted, "https://pages.example/p?a=1", "https://pages.example/p?a=1");
    for (more, link) in [
        (internal, "http://10.0.0.7/Property"),
        (moved, "http://feed.internal/v12/Property"),
        (trusted, "http://pages.example/p"),
        (trusted, "https://pages.example:444/p"),
    ] {
        assert!(follow(more, link).unwrap_err().contains("another server"), "{link}");
    }
}

#[test]
fn only_links_that_count_rows_can_overlap() {
    let overlapping = |link: &str| {
        let link: Url = format!("https://mls.example/Property?{link}").parse().unwrap();
        links::overlapping(&link, 10).map(|url| url.query().unwrap().to_owned())
    };
    assert_eq!(overlapping("$skip=200&$top=5").as_deref(), Some("$skip=190&$top=5"));
    assert_eq!(overlapping("a=%20b&%24skip=4").as_deref(), Some("a=%20b&$skip=0"));
    assert_eq!(overlapping("$skiptoken=200"), None);
}

#[test]
fn settings_that_leak_secrets_or_cannot_work_are_rejected() {
    let check = |text: &str, expected: &str| {
        let settings: Result<ResoSettings, _> = toml::from_str(text);
        let rejected = match settings {
            Ok(settings) => settings.validate().unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(rejected.contains(expected), "{text}: {rejected}");
    };
    check("url = 'http://mls.example/'\ntoken = 'x'", "url must be https");
    check("url = 'ftp://mls.example/'\ntoken = 'x'", "url must begin with https");
    check("url = 'https://mls.example/'", "set exactly one of token");
    check(
        "url = 'https://mls.example/'\ntoken = 'x'\ntoken_file = 'y'",
        "set exactly one of token",
    );
    check("url = 'https://mls.example/'\ntoken = 'x'\npage_size = 10001", "page_size must be");
    check("url = 'https://mls.example/'\ntoken = 'x'\noverlap = '8d'", "overlap must be at most");
    check(
        "url = 'https://mls.example/'\ntoken = 'x'\ntrusted_origins = ['http://a.example']",
        "trusted_origins must be https",
    );
    check("url = 'https://mls.example/'\ntoken = 'x'\nfull_every = 0", "full_every must be");
    check("url = 'https://mls.example/'\ntoken = 'x'\nselect = ['a b']", "not a field's name");
    check("url = 'https://mls.example/'\ntoken = 'x'\nresource = '../x'", "resource must be");
    check(
        "url = 'https://mls.example/'\n[oauth2]\ntoken_url = 'https://x/'\nclient_id = 'a'",
        "set exactly one of client_secret",
    );
    assert!(!format!("{:?}", settings("")).contains("token"));
    assert!(
        toml::from_str::<ResoSettings>("url = 'http://localhost:1/'\ntoken = 'x'")
            .unwrap()
            .validate()
            .is_ok()
    );
}
