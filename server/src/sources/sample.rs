//! The `sample` source: synthetic listings, so that a new server has something to scrape.
//!
//! A location, listing type and position always give the same property, so a second run finds everything
//! unchanged. Every property contains `"sample": true`.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::time::sleep;

use super::{Property, SampleSettings, Source, SourceError, Task};

const DEFAULT_LISTING_TYPE: &str = "FOR_SALE";
/// Time in addition to the pauses, for a slow receiver.
const TIMEOUT_SLACK: Duration = Duration::from_mins(10);
const STREETS: [&str; 8] =
    ["Alder Way", "Birch St", "Cedar Ave", "Elm St", "Juniper Ln", "Maple Dr", "Oak St", "Pine Rd"];

pub(super) struct SampleSource {
    settings: SampleSettings,
}

impl SampleSource {
    pub(super) fn new(settings: SampleSettings) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Source for SampleSource {
    fn timeout(&self) -> Duration {
        self.settings
            .pace
            .saturating_mul(self.settings.listings_per_location)
            .saturating_add(TIMEOUT_SLACK)
    }

    async fn scrape(&self, task: &Task) -> Result<(), SourceError> {
        let types = distinct_types(&task.request().listing_types);
        let total = u64::from(task.request().limit.min(self.settings.listings_per_location));
        let rounds = (0_u64..).flat_map(|round| std::iter::repeat_n(round, types.len()));
        for (count, (round, listing_type)) in (0..total).zip(rounds.zip(types.iter().cycle())) {
            if count > 0 {
                sleep(self.settings.pace).await;
            }
            task.push(listing(task.location(), listing_type, round)).await?;
        }
        Ok(())
    }
}

/// Removes repeated types, or their listings would appear twice.
fn distinct_types(requested: &[String]) -> Vec<&str> {
    let mut types: Vec<&str> = Vec::new();
    for listing_type in requested {
        if !types.contains(&listing_type.as_str()) {
            types.push(listing_type);
        }
    }
    if types.is_empty() {
        types.push(DEFAULT_LISTING_TYPE);
    }
    types
}

fn listing(location: &str, listing_type: &str, position: u64) -> Property {
    let mut dice = Dice::new(location, listing_type, position);
    let id = format!("sample-{:016x}", dice.roll());
    let city = location.split(',').next().unwrap_or(location).trim();
    let beds = dice.below(5) + 1;
    let sqft = 450 + beds * 320 + dice.below(300);
    let price = match listing_type {
        "FOR_RENT" => 600 + beds * 450 + dice.below(40) * 10,
        _ => sqft * (120 + dice.below(380)),
    };
    let fields = [
        ("address", json!(address(&mut dice))),
        ("city", json!(city)),
        ("location", json!(location)),
        ("list_price", json!(price)),
        ("beds", json!(beds)),
        ("baths", json!(1 + beds / 2)),
        ("sqft", json!(sqft)),
        ("year_built", json!(1920 + dice.below(105))),
        ("listing_type", json!(listing_type)),
        ("status", json!(listing_type.to_uppercase())),
        ("sample", json!(true)),
    ];
    let body: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Property::new(id, body)
}

fn address(dice: &mut Dice) -> String {
    let number = 100 + dice.below(9_900);
    let street = usize::try_from(dice.below(8)).ok().and_then(|pick| STREETS.get(pick));
    format!("{number} {}", street.unwrap_or(&"Main St"))
}

/// Pseudo-random numbers seeded by a listing's identity, equal on every machine and in every release.
struct Dice {
    state: u64,
}

impl Dice {
    fn new(location: &str, listing_type: &str, position: u64) -> Self {
        let mut hash = Sha256::new();
        // Lengths keep ("ab", "c") apart from ("a", "bc").
        for part in [location, listing_type] {
            hash.update(part.len().to_string());
            hash.update(":");
            hash.update(part);
        }
        hash.update(position.to_be_bytes());
        let state = hash.finalize().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Self { state }
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.roll().checked_rem(bound).unwrap_or(0)
    }
}
