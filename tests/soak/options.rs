//! Environment variables of the suites.

/// A number, or the default.
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}

/// The seed of a suite's random choices. Prints it, so that a failure can be repeated.
pub fn seed(variable: &str) -> u64 {
    let seed = number(variable, rand::random());
    eprintln!("{variable}={seed}");
    seed
}
