//! Settings of a benchmark, from its environment.

use std::fmt::Debug;
use std::str::FromStr;

pub(crate) fn setting<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    std::env::var(name).map_or(default, |text| text.parse().expect(name))
}
