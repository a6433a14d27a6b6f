//! Lengths and counts as fixed-width integers: the maximum stands for anything larger, which no length of
//! ours reaches. Not for negative numbers.

/// Converts a non-negative number, or returns `i64::MAX` if it is larger.
pub fn saturating_i64(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Converts a non-negative number, or returns `i32::MAX` if it is larger.
pub fn saturating_i32(number: impl TryInto<i32>) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}
