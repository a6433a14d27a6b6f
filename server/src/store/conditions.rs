//! Conditions of lists, appended to a statement. Values are bound, never written into the SQL; the
//! names of columns are constants of this crate.

use serde_json::json;
use sqlx::{Postgres, QueryBuilder};

use crate::domain::filter::{CountRange, LabelConditions, Period};
use crate::domain::labels::Labels;

/// A statement built for one list. It is not kept as a prepared statement: there are too many
/// combinations of conditions to keep a plan for each, and the best plan depends on the values.
pub(super) type Statement = QueryBuilder<Postgres>;

/// Accepts the values of an enum; `None` accepts all.
pub(super) fn push_accepted<T: Copy + Into<&'static str>>(
    sql: &mut Statement,
    column: &'static str,
    accepted: Option<&[T]>,
) {
    if let Some(accepted) = accepted {
        let words: Vec<&str> = accepted.iter().map(|one| (*one).into()).collect();
        sql.push(" and ").push(column).push(" = any(").push_bind(words).push(")");
    }
}

pub(super) fn push_equal(sql: &mut Statement, column: &'static str, value: Option<&str>) {
    if let Some(value) = value {
        sql.push(" and ").push(column).push(" = ").push_bind(value);
    }
}

pub(super) fn push_period(sql: &mut Statement, column: &'static str, period: Period) {
    if let Some(from) = period.from {
        sql.push(" and ").push(column).push(" >= ").push_bind(from);
    }
    if let Some(until) = period.until {
        sql.push(" and ").push(column).push(" < ").push_bind(until);
    }
}

/// Compares the length of a JSON array.
pub(super) fn push_length(sql: &mut Statement, column: &'static str, range: &CountRange) {
    let CountRange { at_least, at_most, other_than } = range;
    if at_least.is_some_and(|bound| bound > 0) {
        // The condition of a partial index.
        sql.push(" and ").push(column).push(" <> '[]'");
    }
    let mut push = |operator: &'static str, bound: i64| {
        let length = sql.push(" and jsonb_array_length(").push(column).push(")");
        length.push(operator).push_bind(bound);
    };
    if let Some(bound) = *at_least {
        push(" >= ", bound);
    }
    if let Some(bound) = *at_most {
        push(" <= ", bound);
    }
    for count in other_than {
        push(" <> ", *count);
    }
}

pub(super) fn push_labels(sql: &mut Statement, column: &'static str, conditions: &LabelConditions) {
    let LabelConditions { equal, differ, have, lack } = conditions;
    if !equal.is_empty() {
        sql.push(" and ").push(column).push(" @> ").push_bind(json!(equal));
    }
    if !have.is_empty() {
        let keys: Vec<&str> = have.iter().map(String::as_str).collect();
        sql.push(" and ").push(column).push(" ?& ").push_bind(keys);
    }
    if !lack.is_empty() {
        let keys: Vec<&str> = lack.iter().map(String::as_str).collect();
        sql.push(" and not ").push(column).push(" ?| ").push_bind(keys);
    }
    for (key, value) in differ {
        let label = Labels::from([(key.clone(), value.clone())]);
        sql.push(" and not ").push(column).push(" @> ").push_bind(json!(label));
    }
}
