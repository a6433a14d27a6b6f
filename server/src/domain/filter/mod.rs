//! Filters of lists, watches and bulk cancellations: the syntax, the conditions on each resource's
//! fields, and their evaluation in memory. `store` evaluates the same conditions in SQL.

mod conditions;
mod label_conditions;
mod matches;
mod ranges;
pub mod syntax;

pub use self::conditions::{JobConditions, JobFilter, RunConditions, RunFilter};
pub use self::label_conditions::LabelConditions;
pub use self::matches::{FilteredState, Visibility};
pub use self::ranges::{CountRange, Period};
