//! Names of settings, variables and arguments whose values are secret.

/// Ends of words that name a secret, as in `API_KEY`, `PGPASSWORD` and `--access-token`.
const ENDS: [&str; 17] = [
    "auth",
    "authorization",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "key",
    "keys",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secrets",
    "token",
    "tokens",
];

/// Whether a value of this name is secret: one of its words, separated by `_` or `-`, names a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    name.split(['_', '-', '.']).any(|word| ENDS.iter().any(|end| word.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_recognized() {
        for name in
            ["API_KEY", "MLS_TOKEN_2", "PGPASSWORD", "--client-secret", "HTTP_AUTH", "apikey"]
        {
            assert!(is_secret(name), "{name}");
        }
        for name in ["WINDROW_SALES_CSV", "REGION", "DATABASE_URL", "AUTHOR", "KEYWORDS"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
