//! Durations of this side as the contract has them.

use std::time::Duration;

/// The maximum of `google.protobuf.Duration`, about 10,000 years.
const LONGEST_SECONDS: i64 = 315_576_000_000;

pub(crate) fn to_proto(duration: Duration) -> prost_types::Duration {
    let longest = prost_types::Duration { seconds: LONGEST_SECONDS, nanos: 0 };
    prost_types::Duration::try_from(duration).unwrap_or(longest)
}
