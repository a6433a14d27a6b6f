//! Conditions on labels.

use std::collections::BTreeSet;

use super::conditions::unsupported;
use super::syntax::{Comparison, Operator};
use crate::domain::labels::{self, Labels};

/// Conditions on labels. An absent label differs from every value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelConditions {
    /// Labels that must be present with these values.
    pub equal: Labels,
    /// Labels that must not be present with these values.
    pub differ: Vec<(String, String)>,
    /// Keys that must be present.
    pub have: BTreeSet<String>,
    /// Keys that must be absent.
    pub lack: BTreeSet<String>,
}

impl LabelConditions {
    pub(super) fn contain(&self, labels: &Labels) -> bool {
        let has = |key: &String, value: &String| labels.get(key) == Some(value);
        self.equal.iter().all(|(key, value)| has(key, value))
            && self.have.iter().all(|key| labels.contains_key(key))
            && !self.lack.iter().any(|key| labels.contains_key(key))
            && !self.differ.iter().any(|(key, value)| has(key, value))
    }

    /// Adds `labels.KEY = VALUE` or `labels:KEY`. Any other field is unknown; `fields` lists the
    /// valid ones.
    pub(super) fn add(&mut self, comparison: &Comparison, fields: &str) -> Result<(), String> {
        let Comparison { field, operator, value } = comparison;
        match field.strip_prefix("labels.") {
            Some(key) => self.add_value(key, comparison),
            None if field == "labels" => {
                check_key(value)?;
                let keys = match operator {
                    Operator::Has => &mut self.have,
                    Operator::Lacks => &mut self.lack,
                    other => return Err(unsupported(field, *other, ":")),
                };
                keys.insert(value.clone());
                Ok(())
            }
            None => Err(format!("unknown field '{field}'; expected one of {fields}")),
        }
    }

    fn add_value(&mut self, key: &str, comparison: &Comparison) -> Result<(), String> {
        let Comparison { field, operator, value } = comparison;
        check_key(key)?;
        match operator {
            Operator::Equal => {
                if self.equal.insert(key.to_owned(), value.clone()).is_some_and(|v| v != *value) {
                    return Err(format!("{field} cannot equal two values"));
                }
            }
            Operator::NotEqual => self.differ.push((key.to_owned(), value.clone())),
            other => return Err(unsupported(field, *other, "= or !=")),
        }
        Ok(())
    }
}

fn check_key(key: &str) -> Result<(), String> {
    if labels::is_key(key) {
        return Ok(());
    }
    Err(format!("'{key}' is not a valid label key; keys match [a-z][a-z0-9_-]{{0,62}}"))
}
