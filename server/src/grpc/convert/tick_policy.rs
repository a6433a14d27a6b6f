//! Tick policies: catch-up, overlap and jitter.

use prost_types::Duration as ProtoDuration;
use windrow::v1 as proto;

use super::primitives::{duration, to_duration};
use crate::app::AppError;
use crate::domain::tick_policy::{CatchUp, CatchUpMode, Overlap, TickPolicy};
use crate::grpc::status::within;

/// The tick policy of a job. Paths are relative to the job.
pub(in crate::grpc) fn tick_policy(
    catch_up: Option<proto::CatchUpPolicy>,
    overlap: i32,
    jitter: Option<ProtoDuration>,
) -> Result<TickPolicy, AppError> {
    Ok(TickPolicy {
        catch_up: self::catch_up(catch_up.unwrap_or_default()).map_err(within("catch_up"))?,
        overlap: self::overlap(overlap)?,
        jitter: duration("jitter", jitter)?,
    })
}

fn catch_up(policy: proto::CatchUpPolicy) -> Result<CatchUp, AppError> {
    let mode = match proto::CatchUpMode::try_from(policy.mode) {
        Ok(proto::CatchUpMode::Unspecified) => None,
        Ok(proto::CatchUpMode::LatestOnly) => Some(CatchUpMode::LatestOnly),
        Ok(proto::CatchUpMode::Skip) => Some(CatchUpMode::Skip),
        Ok(proto::CatchUpMode::All) => Some(CatchUpMode::All),
        Err(_) => {
            return Err(AppError::invalid("mode", format!("{} is not a mode", policy.mode)));
        }
    };
    Ok(CatchUp {
        mode,
        limit: policy.limit,
        window: duration("window", policy.window)?,
        grace: duration("grace", policy.grace)?,
    })
}

fn overlap(number: i32) -> Result<Option<Overlap>, AppError> {
    match proto::OverlapPolicy::try_from(number) {
        Ok(proto::OverlapPolicy::Unspecified) => Ok(None),
        Ok(proto::OverlapPolicy::Skip) => Ok(Some(Overlap::Skip)),
        Ok(proto::OverlapPolicy::Queue) => Ok(Some(Overlap::Queue)),
        Ok(proto::OverlapPolicy::Allow) => Ok(Some(Overlap::Allow)),
        Ok(proto::OverlapPolicy::CancelRunning) => Ok(Some(Overlap::CancelRunning)),
        Err(_) => Err(AppError::invalid("overlap", format!("{number} is not an overlap policy"))),
    }
}

/// Absent if no field is set.
pub(in crate::grpc) fn to_catch_up(catch_up: &CatchUp) -> Option<proto::CatchUpPolicy> {
    let mode = match catch_up.mode {
        None => proto::CatchUpMode::Unspecified,
        Some(CatchUpMode::LatestOnly) => proto::CatchUpMode::LatestOnly,
        Some(CatchUpMode::Skip) => proto::CatchUpMode::Skip,
        Some(CatchUpMode::All) => proto::CatchUpMode::All,
    };
    (*catch_up != CatchUp::default()).then(|| proto::CatchUpPolicy {
        mode: mode.into(),
        limit: catch_up.limit,
        window: catch_up.window.and_then(to_duration),
        grace: catch_up.grace.and_then(to_duration),
    })
}

/// Unspecified if not set.
pub(in crate::grpc) fn to_overlap(overlap: Option<Overlap>) -> i32 {
    let overlap = match overlap {
        None => proto::OverlapPolicy::Unspecified,
        Some(Overlap::Skip) => proto::OverlapPolicy::Skip,
        Some(Overlap::Queue) => proto::OverlapPolicy::Queue,
        Some(Overlap::Allow) => proto::OverlapPolicy::Allow,
        Some(Overlap::CancelRunning) => proto::OverlapPolicy::CancelRunning,
    };
    overlap.into()
}
