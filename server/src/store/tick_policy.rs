//! Tick policies as JSON: the protobuf JSON form of the fields `catch_up`, `overlap` and `jitter`, with the
//! short words for enum values.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::parameters::{duration, duration_text};
use crate::domain::tick_policy::{CatchUp, TickPolicy};

/// A tick policy in its JSON form.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct TickPolicyRow {
    catch_up: CatchUpRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct CatchUpRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace: Option<String>,
}

impl From<&TickPolicy> for TickPolicyRow {
    fn from(policy: &TickPolicy) -> Self {
        let text = |length: Option<Duration>| length.map(duration_text);
        let catch_up = &policy.catch_up;
        Self {
            catch_up: CatchUpRow {
                mode: catch_up.mode.map(|mode| mode.into_str().to_owned()),
                limit: catch_up.limit,
                window: text(catch_up.window),
                grace: text(catch_up.grace),
            },
            overlap: policy.overlap.map(|overlap| overlap.into_str().to_owned()),
            jitter: text(policy.jitter),
        }
    }
}

impl TryFrom<TickPolicyRow> for TickPolicy {
    type Error = String;

    fn try_from(row: TickPolicyRow) -> Result<Self, String> {
        let length = |text: Option<String>| text.as_deref().map(duration).transpose();
        Ok(Self {
            catch_up: CatchUp {
                mode: known("catch-up mode", row.catch_up.mode)?,
                limit: row.catch_up.limit,
                window: length(row.catch_up.window)?,
                grace: length(row.catch_up.grace)?,
            },
            overlap: known("overlap", row.overlap)?,
            jitter: length(row.jitter)?,
        })
    }
}

fn known<T: FromStr>(what: &str, word: Option<String>) -> Result<Option<T>, String> {
    word.map(|word| word.parse().map_err(|_| format!("{what} '{word}' is not known"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tick_policy::{CatchUpMode, Overlap};

    #[test]
    fn tick_policies_survive_the_round_trip() {
        let whole = TickPolicy {
            catch_up: CatchUp {
                mode: Some(CatchUpMode::All),
                limit: Some(5),
                window: Some(Duration::from_hours(2)),
                grace: Some(Duration::from_millis(1_500)),
            },
            overlap: Some(Overlap::CancelRunning),
            jitter: Some(Duration::from_mins(3)),
        };
        for policy in [TickPolicy::default(), whole] {
            let text = serde_json::to_string(&TickPolicyRow::from(&policy)).unwrap();
            let row: TickPolicyRow = serde_json::from_str(&text).unwrap();
            assert_eq!(TickPolicy::try_from(row).unwrap(), policy);
        }
    }

    #[test]
    fn a_word_that_is_not_known_is_told() {
        let row: TickPolicyRow = serde_json::from_str(r#"{"overlap": "maybe"}"#).unwrap();
        assert_eq!(TickPolicy::try_from(row).unwrap_err(), "overlap 'maybe' is not known");
    }
}
