//! Queries, links and settings.

use super::*;

#[test]
fn a_location_becomes_a_filter() {
    let check = |location: &str, expected: &str| {
        let request = ScrapeRequest { location: location.to_owned(), ..request() };
        let url = query::first_page(&settings(""), &request).unwrap();
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
        decoded(&query::first_page(&settings(more), &request).unwrap())
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
    let few = query(ScrapeRequest { parameters: json!({ "limit": 5 }), limit: 5, ..request() }, "");
    assert!(few.ends_with("$orderby=ModificationTimestamp desc,ListingKey&$top=5"), "{few}");
    let near = ScrapeRequest { parameters: json!({ "radius": 5 }), ..request() };
    assert!(query::first_page(&settings(""), &near).unwrap_err().contains("radius"));
}

#[test]
fn links_lead_only_to_the_same_server() {
    let root: Url = "https://mls.example/reso/odata".parse().unwrap();
    let from: Url = "https://mls.example/reso/odata/Property?$filter=x".parse().unwrap();
    let follow = |link: &str| query::follow(&root, &from, link).map(|url| url.to_string());
    let next = "https://mls.example/reso/odata/Property?$skiptoken=2";
    for link in
        [next, "Property?$skiptoken=2", "/reso/odata/Property?$skiptoken=2", "?$skiptoken=2"]
    {
        assert_eq!(follow(link).as_deref(), Ok(next), "{link}");
    }
    for link in [
        "https://evil.example/Property",
        "http://mls.example/x",
        "https://mls.example:8443/x",
        "//evil.example/x",
    ] {
        assert!(follow(link).unwrap_err().contains("another server"), "{link}");
    }
    assert!(follow(from.as_str()).unwrap_err().contains("its own page"));
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
    check("url = 'https://mls.example/'\ntoken = 'x'\npage_size = 0", "page_size must be");
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
