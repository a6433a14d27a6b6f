//! Listings that change while their pages are read.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;

/// Abilities and habits of a server.
#[derive(Clone, Copy)]
struct Habits {
    filters: bool,
    compares_keys: bool,
    /// Writes timestamps without fractions.
    cuts: bool,
    page_size: usize,
    /// The first listings that change after each page.
    changes: usize,
}

const GOOD: Habits =
    Habits { filters: true, compares_keys: true, cuts: false, page_size: 5, changes: 1 };

/// A service of listings, of which some change after each page. Its links count rows.
struct Feed {
    listings: Mutex<Vec<(DateTime<Utc>, String)>>,
    habits: Habits,
}

impl Feed {
    async fn start(count: i64, spacing: TimeDelta, habits: Habits) -> Fake {
        let begin: DateTime<Utc> = "2025-01-01T00:00:00.250Z".parse().unwrap();
        let listing = |number: i64| {
            (begin + spacing * i32::try_from(number).unwrap(), format!("L{number:03}"))
        };
        let feed = Self { listings: Mutex::new((0..count).map(listing).collect()), habits };
        Fake::start_with(move |request| feed.answer(request)).await
    }

    fn answer(&self, request: &Request) -> Answer {
        let uri: Url = format!("http://x{}", request.uri()).parse().unwrap();
        let query = percent_encoding::percent_decode_str(uri.query().unwrap_or_default());
        let query = query.decode_utf8().unwrap().into_owned();
        let after = |word: &str| {
            let (_, rest) = query.split_once(word)?;
            Some(rest.split([' ', '&']).next().unwrap().trim_matches('\'').to_owned())
        };
        let time = |word| after(word).map(|text| text.parse::<DateTime<Utc>>().unwrap());
        let (from, until) = (time("ModificationTimestamp ge "), time("ModificationTimestamp lt "));
        let key = after("ListingKey gt ");
        if key.is_some() && !self.habits.compares_keys {
            return status(StatusCode::BAD_REQUEST, "");
        }
        let mut listings = self.listings.lock().unwrap();
        let mut found: Vec<_> = listings.clone();
        if self.habits.filters {
            found.retain(|(changed, id)| {
                from.is_none_or(|from| *changed >= from)
                    && until.is_none_or(|until| *changed < until)
                    && key.as_ref().is_none_or(|key| id > key)
            });
        }
        if query.contains("$orderby=ListingKey") {
            found.sort_by_key(|(_, id)| id.clone());
        } else {
            found.sort();
        }
        let skip: usize = after("$skip=").map_or(0, |text| text.parse().unwrap());
        let size = self.habits.page_size;
        let is_last = found.len() <= skip + size;
        let page: Vec<_> = found.into_iter().skip(skip).take(size).collect();
        self.change(&mut listings, &page);
        let link = (!is_last).then(|| {
            let rest = query.split('&').filter(|pair| !pair.starts_with("$skip"));
            let rest = rest.collect::<Vec<_>>().join("&").replace(' ', "%20");
            format!("{}?{rest}&$skip={}", "Property", skip + size)
        });
        self.write(&page, link.as_deref())
    }

    /// Changes the first listings of a page: they move to the end.
    fn change(&self, all: &mut [(DateTime<Utc>, String)], page: &[(DateTime<Utc>, String)]) {
        let last = all.iter().map(|(changed, _)| *changed).max().unwrap();
        // Each changes once, or the end would never be reached.
        let unchanged = page.iter().filter(|(changed, _)| changed.timestamp() < 1_800_000_000);
        for (number, (_, id)) in (1..).zip(unchanged.take(self.habits.changes)) {
            let changed = all.iter_mut().find(|(_, other)| other == id).unwrap();
            let end: DateTime<Utc> = "2028-01-01T00:00:00Z".parse().unwrap();
            changed.0 = last.max(end) + TimeDelta::seconds(number * 10);
        }
    }

    fn write(&self, page: &[(DateTime<Utc>, String)], link: Option<&str>) -> Answer {
        let form = if self.habits.cuts { "%FT%TZ" } else { "%FT%T%.3fZ" };
        let listings: Vec<Value> = page
            .iter()
            .map(|(changed, id)| {
                json!({ "ListingKey": id, "ModificationTimestamp": changed.format(form).to_string() })
            })
            .collect();
        let mut page = json!({ "value": listings });
        if let Some(link) = link {
            page["@odata.nextLink"] = json!(link);
        }
        Answer::Status(StatusCode::OK, "", page.to_string())
    }
}

/// Every listing is read once; returns the log and the number of requests.
async fn check(count: i64, spacing: TimeDelta, habits: Habits) -> (Vec<String>, usize) {
    let fake = Feed::start(count, spacing, habits).await;
    let source = ResoSource::new(fake.settings());
    let (mut ids, result, log) = scrape_with_log(&source, request()).await;
    assert_eq!(result, Ok(()), "{log:?}");
    ids.sort();
    let all: Vec<String> = (0..count).map(|number| format!("L{number:03}")).collect();
    assert_eq!(ids, all, "{:#?}", fake.seen());
    (log, fake.seen().len())
}

#[tokio::test]
async fn a_change_between_pages_hides_no_listing() {
    let (log, requests) = check(40, TimeDelta::minutes(1), GOOD).await;
    assert!(log.is_empty() && requests < 24, "{requests} requests: {log:?}");
    check(40, TimeDelta::minutes(1), Habits { changes: 4, ..GOOD }).await;
    check(40, TimeDelta::minutes(1), Habits { cuts: true, ..GOOD }).await;
    check(40, TimeDelta::milliseconds(300), Habits { changes: 3, ..GOOD }).await;
}

#[tokio::test]
async fn many_listings_of_one_second_are_continued_by_key() {
    for spacing in [TimeDelta::zero(), TimeDelta::milliseconds(20)] {
        for cuts in [false, true] {
            let habits = Habits { cuts, changes: 2, ..GOOD };
            assert!(check(60, spacing, habits).await.0.is_empty());
        }
    }
}

#[tokio::test]
async fn links_that_count_rows_overlap_if_the_server_cannot_do_better() {
    let no_filters = Habits { filters: false, ..GOOD };
    let (log, _) = check(40, TimeDelta::minutes(1), no_filters).await;
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].contains("following the links"), "{log:?}");
    check(40, TimeDelta::minutes(1), Habits { changes: 3, ..no_filters }).await;
    let no_keys = Habits { compares_keys: false, changes: 1, ..GOOD };
    let (log, _) = check(40, TimeDelta::zero(), no_keys).await;
    assert!(log[0].contains("following the links"), "{log:?}");
}

#[tokio::test]
async fn servers_that_only_number_their_pages_are_read_by_their_links() {
    let numbered = |request: &Request| {
        let number = request.uri().query().unwrap().strip_prefix("page=");
        let number: usize = number.map_or(1, |text| text.parse().unwrap());
        let listing = |row: usize| {
            let changed = format!("2025-01-{:02}T00:00:00Z", number * 3 + row);
            json!({ "ListingKey": format!("{number}.{row}"), "ModificationTimestamp": changed })
        };
        let listings: Vec<Value> = (0..3).map(listing).collect();
        let mut page = json!({ "value": listings });
        if number < 4 {
            page["@odata.nextLink"] = json!(format!("Property?page={}", number + 1));
        }
        Answer::Status(StatusCode::OK, "", page.to_string())
    };
    let fake = Fake::start_with(numbered).await;
    let (ids, result) = fake.scrape().await;
    assert_eq!((ids.len(), result), (12, Ok(())));
    assert_eq!(fake.seen().len(), 5, "one query of our own");
}
