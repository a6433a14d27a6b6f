//! Conditions of lists as arguments of statements; what is not asked for is null.

use serde_json::{Value, json};

use crate::domain::labels::Labels;
use crate::domain::wanted::LabelConditions;

/// The words that are accepted.
pub(super) fn words<T: Copy + Into<&'static str>>(
    accepted: Option<&[T]>,
) -> Option<Vec<&'static str>> {
    accepted.map(|all| all.iter().map(|one| (*one).into()).collect())
}

/// What is asked of labels.
pub(super) struct LabelArrays<'a> {
    /// An object that is contained.
    pub(super) equal: Option<Value>,
    /// Keys that are there.
    pub(super) have: Option<Vec<&'a str>>,
    /// Keys none of which is there.
    pub(super) lack: Option<Vec<&'a str>>,
    /// Objects none of which is contained.
    pub(super) differ: Option<Vec<Value>>,
}

impl<'a> LabelArrays<'a> {
    pub(super) fn of(conditions: &'a LabelConditions) -> Self {
        let LabelConditions { equal, differ, have, lack } = conditions;
        let some = |labels: &Labels| (!labels.is_empty()).then(|| json!(labels));
        Self {
            equal: some(equal),
            have: (!have.is_empty()).then(|| have.iter().map(String::as_str).collect()),
            lack: (!lack.is_empty()).then(|| lack.iter().map(String::as_str).collect()),
            differ: (!differ.is_empty())
                .then(|| differ.iter().map(|(key, value)| json!({ key: value })).collect()),
        }
    }
}
