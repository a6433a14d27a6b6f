//! Reproducible randomness, which spreads retries and starts of runs.

use sha2::{Digest, Sha256};

/// A number from 0 to 1 that depends on `seed` only, on every server and in every version. It is taken
/// from SHA-256 because the results of the standard library's hashers may change.
pub(super) fn fraction(seed: &str) -> f64 {
    let [a, b, c, d, ..] = Sha256::digest(seed).0;
    f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
}
