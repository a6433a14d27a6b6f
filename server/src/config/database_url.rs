//! Checks a database URL and turns it into options of a connection.
//!
//! sqlx ignores parameters that it does not know, and libpq has some that it does not support. A parameter that
//! has no effect may be one that somebody relies on, so each is used or refused by name. An error never contains
//! a value that may be a password.

use std::{env, fs};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

/// Parameters that sqlx uses, besides those of TLS and `options[…]`.
const USED: &[&str] = &[
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "statement-cache-capacity",
    "user",
];
/// Parameters of TLS, each with its names and its variable.
const SSL_MODE: [&str; 3] = ["sslmode", "ssl-mode", "PGSSLMODE"];
const SSL_FILES: [&[&str]; 3] = [
    &["sslrootcert", "ssl-root-cert", "ssl-ca", "PGSSLROOTCERT"],
    &["sslcert", "ssl-cert", "PGSSLCERT"],
    &["sslkey", "ssl-key", "PGSSLKEY"],
];
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// Value of `sslrootcert` for the certificates that the system trusts.
const SYSTEM: &str = "system";
const SEVERAL_HOSTS: &str =
    "several hosts are not supported; use one name that always leads to the primary";

/// The options for connecting to a database.
pub fn connect_options(text: &str) -> Result<PgConnectOptions, String> {
    let mut url = parse(text)?;
    let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let parameters = without_settled(parameters)?;
    check_tls(&parameters)?;
    let (parameters, trusts_system) = without_system(parameters);
    url.set_query(None);
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters.iter());
    }
    // sqlx's errors contain no value, except of numbers and addresses.
    let options: PgConnectOptions = url
        .as_str()
        .parse()
        .map_err(|error: sqlx::Error| format!("not a database URL: {error}"))?;
    let options = with_host(options)?;
    with_ssl_mode(options, &parameters, trusts_system)
}

fn parse(text: &str) -> Result<Url, String> {
    if authority(text).contains(',') {
        return Err(SEVERAL_HOSTS.to_owned());
    }
    let url = Url::parse(text).map_err(|error| match error {
        // It took what is before such a character for host and port.
        _ if has_unescaped(text) => unescaped(),
        error => format!("not a database URL: {error}"),
    })?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("a database URL must start with postgres://".to_owned());
    }
    let path = url.path().trim_start_matches('/');
    if url.fragment().is_some() || path.contains(['/', '@']) {
        return Err(unescaped());
    }
    Ok(url)
}

/// Whether the part before the host has a character that ends the host.
fn has_unescaped(text: &str) -> bool {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split_once(['/', '?', '#']).is_some_and(|(_, after)| after.contains('@'))
}

fn unescaped() -> String {
    let hint = "write these characters as %23, %2F, %3F and %40 in a name or password";
    format!("the database URL contains an unescaped #, /, ? or @; {hint}")
}

/// Hosts and ports, without the user.
fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts)
}

/// Refuses unknown parameters, and removes those that ask for nothing else than what happens anyway.
fn without_settled(parameters: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    let is_verified =
        parameters.iter().any(|(name, value)| is_ssl_mode(name) && value == "verify-full");
    let mut kept = Vec::new();
    for (name, value) in parameters {
        if is_used(&name) {
            kept.push((name, value));
        } else {
            check_settled(&name, &value, is_verified)?;
        }
    }
    Ok(kept)
}

fn is_ssl_mode(name: &str) -> bool {
    SSL_MODE.contains(&name)
}

fn is_used(name: &str) -> bool {
    let is_option = name.starts_with("options[") && name.ends_with(']');
    let tls = SSL_FILES.iter().copied().flatten().chain(&SSL_MODE);
    is_option
        || USED.contains(&name)
        || tls.filter(|name| !name.starts_with("PG")).any(|known| *known == name)
}

fn check_settled(name: &str, value: &str, is_verified: bool) -> Result<(), String> {
    let accepted: &[&str] = match name {
        // A standby is always refused.
        "target_session_attrs" => &["any", "read-write", "primary"],
        // It protects from a server in the middle, and so does a verified certificate.
        "channel_binding" if is_verified => &["disable", "prefer", "require"],
        "channel_binding" if value == "require" => {
            return Err("channel_binding=require is not supported without sslmode=verify-full, \
                        which protects as well"
                .to_owned());
        }
        "channel_binding" | "gssencmode" => &["disable", "prefer"],
        _ => return Err(unknown(name)),
    };
    if accepted.contains(&value) {
        return Ok(());
    }
    Err(format!("{name}={value} is not supported; use {}", accepted.join(" or ")))
}

fn unknown(name: &str) -> String {
    let used = USED.iter().copied().chain(["sslmode", "sslrootcert", "sslcert", "sslkey"]);
    let used: Vec<&str> = used.collect();
    format!(
        "the parameter {name:?} of the database URL is not supported; remove it. Supported are {}",
        used.join(", ")
    )
}

/// Checks modes and files of the URL, and of variables that the URL does not replace: sqlx ignores an invalid
/// mode there.
fn check_tls(parameters: &[(String, String)]) -> Result<(), String> {
    if let Some((name, mode)) = setting(parameters, &SSL_MODE)
        && !SSL_MODES.contains(&mode.as_str())
    {
        return Err(format!("{name}={mode} is not supported; use {}", SSL_MODES.join(", ")));
    }
    for names in SSL_FILES {
        if let Some((name, file)) = setting(parameters, names)
            && file != SYSTEM
            && !file.trim_start().starts_with("-----BEGIN")
        {
            fs::read(&file).map_err(|error| format!("failed to read {name} {file:?}: {error}"))?;
        }
    }
    Ok(())
}

/// The last value in the URL, else that of the variable.
fn setting(parameters: &[(String, String)], names: &[&str]) -> Option<(String, String)> {
    let mut given = parameters.iter().rev();
    let given = given.find(|(name, _)| names.contains(&name.as_str())).cloned();
    given.or_else(|| {
        let variable = names.last()?;
        let value = env::var(variable).ok().filter(|value| !value.is_empty())?;
        Some(((*variable).to_owned(), value))
    })
}

/// Without `sslrootcert=system`, which sqlx would read as a file. The certificates of the system are always trusted.
fn without_system(parameters: Vec<(String, String)>) -> (Vec<(String, String)>, bool) {
    let before = parameters.len();
    let [roots, ..] = SSL_FILES;
    let is_system = |name: &str, value: &str| roots.contains(&name) && value == SYSTEM;
    let kept: Vec<_> =
        parameters.into_iter().filter(|(name, value)| !is_system(name, value)).collect();
    let trusts_system = kept.len() < before;
    (kept, trusts_system)
}

fn with_host(options: PgConnectOptions) -> Result<PgConnectOptions, String> {
    let host = options.get_host().to_owned();
    if host.contains(',') {
        return Err(SEVERAL_HOSTS.to_owned());
    }
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Ok(inner.map_or(options.clone(), |inner| options.host(inner)))
}

fn with_ssl_mode(
    options: PgConnectOptions,
    parameters: &[(String, String)],
    trusts_system: bool,
) -> Result<PgConnectOptions, String> {
    let is_local = options.get_socket().is_some() || options.get_host().starts_with('/');
    let [roots, ..] = SSL_FILES;
    let mode = match options.get_ssl_mode() {
        // As libpq: a socket of this machine needs no encryption.
        _ if is_local => PgSslMode::Disable,
        // libpq refuses weaker modes, which would accept every server that anybody certifies.
        PgSslMode::VerifyFull => PgSslMode::VerifyFull,
        _ if trusts_system => {
            return Err("sslrootcert=system needs sslmode=verify-full".to_owned());
        }
        // As libpq: a root certificate is there to be used.
        PgSslMode::Require if setting(parameters, roots).is_some() => PgSslMode::VerifyCa,
        // sqlx would never encrypt.
        PgSslMode::Allow => PgSslMode::Prefer,
        mode @ (PgSslMode::Disable
        | PgSslMode::Prefer
        | PgSslMode::Require
        | PgSslMode::VerifyCa) => mode,
    };
    Ok(options.ssl_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> PgConnectOptions {
        connect_options(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn mode(url: &str) -> String {
        format!("{:?}", options(url).get_ssl_mode())
    }

    #[test]
    fn parameters_are_used_or_refused_by_name() {
        for (url, refused) in [
            ("postgres://a/db?sslmod=require", "\"sslmod\""),
            ("postgres://a/db?connect_timeout=10", "\"connect_timeout\""),
            ("postgres://a/db?keepalives=1&sslmode=require", "\"keepalives\""),
            ("postgres://a/db?sslmode=verify", "sslmode=verify "),
            (
                "postgres://a/db?sslmode=verify-full&sslrootcert=/no/such.pem",
                "sslrootcert \"/no/such.pem\"",
            ),
            ("postgres://a/db?sslcert=/no/such.pem", "sslcert \"/no/such.pem\""),
            ("postgres://a/db?sslmode=require&sslrootcert=system", "sslmode=verify-full"),
            ("postgres://a/db?target_session_attrs=standby", "target_session_attrs=standby"),
            ("postgres://a/db?sslmode=require&channel_binding=require", "channel_binding=require"),
            ("postgres://a,b/db", "several hosts"),
            ("postgres://me:hush@a:5432,b:5433/db", "several hosts"),
            ("postgres:///db?host=a,b", "several hosts"),
            ("postgres://me:12#hush@host/db", "unescaped"),
            ("postgres://me:12/hush@host/db", "unescaped"),
            ("postgres://me:hu#sh@host/db", "unescaped"),
            ("postgres://me:hu/sh@host/db", "unescaped"),
            ("postgres://me:hu?sh@host/db", "unescaped"),
            ("postgres://me@host:port/db", "not a database URL"),
        ] {
            let error = connect_options(url).expect_err(url);
            assert!(error.contains(refused), "{url}: {error}");
            assert!(!error.contains("hush"), "{url}: {error}");
        }
    }

    #[test]
    fn parameters_for_what_happens_anyway_are_accepted() {
        for url in [
            "postgres://a/db?target_session_attrs=read-write",
            "postgres://a/db?target_session_attrs=primary&gssencmode=disable",
            "postgres://a/db?sslmode=verify-full&channel_binding=require&sslrootcert=system",
            "postgres://a/db?channel_binding=prefer",
            "postgres://a/db?application_name=x&statement-cache-capacity=10&options[work_mem]=64MB",
        ] {
            options(url);
        }
    }

    #[test]
    fn an_address_of_ipv6_is_read_without_its_brackets() {
        let options = options("postgres://me@[::1]:5433/db");
        assert_eq!((options.get_host(), options.get_port()), ("::1", 5433));
    }

    #[test]
    fn modes_of_tls_mean_what_they_mean_in_libpq() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let roots = file.path().display();
        assert_eq!(mode("postgres://a/db"), "Prefer");
        assert_eq!(mode("postgres://a/db?sslmode=allow"), "Prefer");
        assert_eq!(mode("postgres://a/db?sslmode=require"), "Require");
        assert_eq!(
            mode(&format!("postgres://a/db?sslmode=require&sslrootcert={roots}")),
            "VerifyCa"
        );
        assert_eq!(
            mode(&format!("postgres://a/db?sslmode=verify-full&sslrootcert={roots}")),
            "VerifyFull"
        );
        assert_eq!(mode("postgres:///db?host=/tmp&sslmode=require"), "Disable");
    }
}
