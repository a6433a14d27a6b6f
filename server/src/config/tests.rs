use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::environment::user_data_dir;
use super::*;

/// The origins of settings in one test.
#[derive(Default)]
struct Setup {
    flags: Flags,
    variables: BTreeMap<&'static str, OsString>,
    files: BTreeMap<&'static str, String>,
}

impl Setup {
    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.flags.set(name, value);
        self
    }

    fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    fn file(self, text: &str) -> Self {
        self.file_named("windrow.toml", text)
    }

    fn file_named(mut self, name: &'static str, text: &str) -> Self {
        self.files.insert(name, text.to_owned());
        self
    }

    fn resolve(&self) -> Result<Resolved, ConfigError> {
        let directory = TempDir::new().unwrap();
        for (name, text) in &self.files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let home = || OsString::from("/home/me");
        let environment =
            |name: &str| self.variables.get(name).cloned().or((name == "HOME").then(home));
        Resolved::resolve(&self.flags, &environment, directory.path())
    }

    fn config(&self) -> Config {
        self.resolve().map(|resolved| resolved.config).unwrap()
    }

    fn error(&self) -> String {
        self.resolve().err().unwrap().to_string()
    }

    fn render(&self) -> String {
        self.resolve().map(|resolved| resolved.render()).unwrap()
    }
}

fn setup() -> Setup {
    Setup::default()
}

#[test]
fn every_default_of_the_table_is_valid_and_applied() {
    for setting in SETTINGS {
        if let DefaultValue::Text(text) = setting.default {
            let mut config = Config::new(Database::Url(String::new()));
            assert_eq!((setting.set)(&mut config, text), Ok(()), "{}", setting.name);
        }
    }
    let config = setup().config();
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert_eq!(config.event_retention, Duration::from_hours(7 * 24));
    assert_eq!(config.max_watches_per_client, 1_000);
}

#[test]
fn flags_override_variables_and_variables_override_the_file() {
    let port = |setup: &Setup| setup.config().listen.port();
    let setup = setup().file("listen = '[::1]:3'");
    assert_eq!(port(&setup), 3);
    let setup = setup.variable("WINDROW_LISTEN", "");
    assert_eq!(port(&setup), 3, "an empty variable is not set");
    let setup = setup.variable("WINDROW_LISTEN", "[::1]:2");
    assert_eq!(port(&setup), 2);
    let setup = setup.flag("listen", "[::1]:1");
    assert_eq!(port(&setup), 1);
}

#[test]
fn a_named_file_replaces_windrow_toml_and_must_exist() {
    let setup = setup().file("max_connections = 3").file_named("other.toml", "max_connections = 2");
    let mut setup = setup.variable("WINDROW_CONFIG", "other.toml");
    assert_eq!(setup.config().max_connections, 2);
    setup.flags.config = Some("windrow.toml".to_owned());
    assert_eq!(setup.config().max_connections, 3);
    setup.flags.config = Some("none.toml".to_owned());
    assert!(setup.error().starts_with("--config: failed to read none.toml: "));
    setup.flags.config = None;
    let setup = setup.variable("WINDROW_CONFIG", "none.toml");
    assert!(setup.error().starts_with("WINDROW_CONFIG: failed to read none.toml: "));
}

#[test]
fn an_error_in_the_file_starts_with_its_line() {
    for (text, error) in [
        ("\nport = 1", "windrow.toml:2: unknown setting \"port\""),
        ("listen = 1", "windrow.toml:1: listen: expected a string"),
        ("\n\nmax_connections = '1'", "windrow.toml:3: max_connections: expected a whole number"),
        ("max_connections = 1", "windrow.toml:1: max_connections: 1 is too few"),
        ("max_connections = 0", "windrow.toml:1: max_connections: \"0\" is not a whole number"),
        ("lease = '20s'\nheartbeat = '0s'", "windrow.toml:2: heartbeat: must be greater than zero"),
        ("event_retention = '59m'", "windrow.toml:1: event_retention: \"59m\" is not between 1h"),
        (
            "max_connection_age = '59s'",
            "windrow.toml:1: max_connection_age: \"59s\" is shorter than",
        ),
        ("max_watches = 0", "windrow.toml:1: max_watches: \"0\" is not a whole number from 1 to"),
        ("insecure = 'true'", "windrow.toml:1: insecure: expected true or false, without quotes"),
        ("\ntls_key = 'k'", "windrow.toml:2: tls_key has no effect without tls_certificate"),
        ("tls_client_ca = 'c'", "windrow.toml:1: tls_client_ca has no effect without tls_certi"),
        ("log = 'a=b=c'", "windrow.toml:1: log: \"a=b=c\" is not a log filter"),
        ("log = 'debgu'", "windrow.toml:1: log: \"debgu\" is not a log filter"),
        ("log = 'info'\nlog = 'warn'", "windrow.toml:2: duplicate key"),
        ("log = 'info'\nlisten = ", "windrow.toml:2: "),
        ("sources = 1", "windrow.toml:1: sources must be tables"),
        ("[sources]\na = 1", "windrow.toml:2: source \"a\": "),
    ] {
        let found = setup().file(text).error();
        assert!(found.starts_with(error), "{text:?}: {found}");
    }
}

#[test]
fn an_error_in_a_source_starts_with_the_line_of_its_key() {
    for (text, error) in [
        ("\n[sources.a]\npace = '1s'", "windrow.toml:2: source \"a\": missing field `kind`"),
        ("\n[sources.a]\nkind = 'x'", "windrow.toml:3: source \"a\": kind: unknown variant `x`"),
        (
            "\n[sources.a]\nkind = 'sample'\nx = 1",
            "windrow.toml:4: source \"a\": unknown field `x`",
        ),
        (
            "\n[sources.a]\nkind = 'sample'\npace = '9m'",
            "windrow.toml:4: source \"a\": pace must be",
        ),
        (
            "[sources.a]\nkind = 'exec'\ncommand = ['x']\ntimeout = 60",
            "windrow.toml:4: source \"a\": timeout: invalid type: integer, expected a string",
        ),
        (
            "[sources.a]\nkind = 'exec'\ncommand = [\n'x',\n1]",
            "windrow.toml:5: source \"a\": command: invalid type: integer, expected a string",
        ),
        (
            "[sources.a]\nkind = 'exec'\ncommand = ['x']\ntimeout = 'soon'",
            "windrow.toml:4: source \"a\": timeout: \"soon\" is not a duration",
        ),
        ("[sources.a]\nkind = 'exec'", "windrow.toml:1: source \"a\": missing field `command`"),
        (
            "[sources.a]\nkind = 'reso'\nurl = 'https://h/'\n[sources.a.oauth2]\n\
             token_url = 'https://h/'\nclient_id = 7",
            "windrow.toml:6: source \"a\": oauth2.client_id: invalid type: integer, expected a string",
        ),
        (
            "[sources.a]\nkind = 'reso'\nurl = 'https://h/'\n[sources.a.oauth2]\n\
             client_id = 'x'\ntoken_url = 'http://h/'",
            "windrow.toml:6: source \"a\": oauth2.token_url must be https",
        ),
        ("\n[sources.' ']\nkind = 'sample'", "windrow.toml:2: source \" \": the name must"),
    ] {
        let found = setup().file(text).error();
        assert!(found.starts_with(error), "{text:?}: {found}");
    }
}

#[test]
fn a_bad_value_in_the_file_is_an_error_even_if_it_is_overridden() {
    let setup = setup().file("listen = 'x'").flag("listen", "[::1]:1");
    assert!(setup.error().starts_with("windrow.toml:1: listen: "));
}

#[test]
fn an_error_of_a_flag_or_a_variable_starts_with_its_name() {
    assert!(setup().flag("listen", "").error().starts_with("--listen: "));
    for name in SETTINGS.iter().filter_map(|setting| setting.variable) {
        let bad = setup().variable(name, "\0=");
        assert!(bad.error().starts_with(&format!("{name}: ")), "{name}: {}", bad.error());
    }
}

#[test]
fn a_variable_must_be_utf_8() {
    use std::os::unix::ffi::OsStringExt as _;

    for name in ["WINDROW_LOG", "WINDROW_CONFIG"] {
        let setup = setup().variable(name, OsString::from_vec(vec![0xff]));
        assert_eq!(setup.error(), format!("{name}: not valid UTF-8"));
    }
}

#[test]
fn secrets_are_never_printed() {
    for text in [
        "database_url = 'mysql://me:hush@host/db'",
        "database_url = ['postgres://me:hush@host/db']",
        "database_url = 'postgres://me:hush@host/db",
        "database_url = 'postgres://me:hush@host/db' x",
        "database_url = postgres://me:hush@host/db",
        "[sources.a]\nkind = 'exec'\ncommand = ['a']\nenvironment = 'hush'",
        "[sources.a]\nkind = 'exec'\ncommand = ['a']\nenvironment = { KEY = ['hush'] }",
        "[sources.a]\nkind = 'reso'\nurl = 'https://me:hush@host:x/'\ntoken = 'a'",
        "[sources.a]\nkind = 'reso'\nurl = 'https://host/'\noauth2 = 'hush'",
    ] {
        let error = setup().file(text).error();
        assert!(!error.contains("hush"), "{error}");
    }
    let setup = setup().flag("database_url", "postgres://me:hush@host/db");
    assert!(!format!("{:?}", setup.config()).contains("hush"));
    assert!(
        setup.render().contains("database_url = \"postgres://me:***@host/db\"  # --database-url")
    );
}

#[test]
fn a_database_url_replaces_the_embedded_postgres() {
    let setup = setup().file("data_dir = 'here'\npostgres_bin_dir = 'there'");
    let (data_dir, postgres_bin_dir) = ("here".into(), Some("there".into()));
    assert_eq!(setup.config().database, Database::Embedded { data_dir, postgres_bin_dir });
    let setup = setup.variable("DATABASE_URL", "postgres:///db");
    assert_eq!(setup.config().database, Database::Url("postgres:///db".to_owned()));
    let rendered = setup.render();
    assert!(
        rendered.contains("# data_dir = \"here\"  # windrow.toml:1, not used because"),
        "{rendered}"
    );
}

#[test]
fn data_is_kept_in_xdg_data_home_or_home() {
    let place = |xdg: &'static str, home: &'static str| {
        user_data_dir(&|name| Some(if name == "HOME" { home } else { xdg }.into()))
    };
    assert_eq!(place("/data", "/home/me"), Ok("/data/windrow".into()));
    assert_eq!(place("data", "/home/me"), Ok("/home/me/.local/share/windrow".into()));
    assert_eq!(place("", "/home/me"), Ok("/home/me/.local/share/windrow".into()));
    assert!(place("", "").unwrap_err().to_string().starts_with("--data-dir: required"));
}

#[test]
fn the_heartbeat_must_be_less_than_half_of_the_lease() {
    assert_eq!(
        setup().file("\nlease = '10s'").error(),
        "windrow.toml:2: heartbeat 5s (default) must be less than half of lease 10s (windrow.toml:2)"
    );
    assert_eq!(
        setup().flag("heartbeat", "10s").error(),
        "--heartbeat: heartbeat 10s (--heartbeat) must be less than half of lease 20s (default)"
    );
    assert_eq!(setup().file("lease = '10001ms'").config().lease.as_millis(), 10_001);
}

#[test]
fn settings_are_printed_with_their_origins() {
    let setup = setup()
        .flag("listen", "[::1]:1")
        .variable("WINDROW_LOG", "warn")
        .variable("WINDROW_DATA_DIR", "/data")
        .file(
            "\nmax_connections = 7\n[sources.'my site']\nkind = 'exec'\ncommand = ['a', '-b']\n\
             environment = { API_KEY = 'hush' }",
        );
    assert_eq!(
        setup.render(),
        r#"listen = "[::1]:1"  # --listen
# metrics_listen is not set: metrics are not served
# tls_certificate is not set: no TLS
# tls_key is not set: no TLS
# tls_client_ca is not set: clients need no certificate
insecure = false  # default
max_connections_per_address = 1000  # default
# max_connection_age is not set: no limit
# database_url is not set: the embedded Postgres
max_connections = 7  # windrow.toml:2
data_dir = "/data"  # WINDROW_DATA_DIR
# postgres_bin_dir is not set: searched in PATH, /usr/lib/postgresql and pg_config --bindir
max_concurrent_runs = 4  # default
stop_grace = "20s"  # default
lease = "20s"  # default
heartbeat = "5s"  # default
event_retention = "7d"  # default
max_watches = 10000  # default
max_watches_per_client = 1000  # default
time_zone_data = "newest"  # default
log = "warn"  # WINDROW_LOG
log_format = "text"  # default

[sources."my site"]  # windrow.toml:3
kind = "exec"
command = ["a", "-b"]
timeout = "10m"
# working_dir is not set
environment.API_KEY = "***"
pass_environment = []
# user is not set

[sources.sample]  # default
kind = "sample"
listings_per_location = 20
pace = "50ms"
"#
    );
}

#[test]
fn ignored_fields_are_read_for_every_kind() {
    let text = "[sources.a]\nkind = 'worker'\nignore_fields = ['days_on_mls', 'a b', 'a b']";
    let setup = setup().file(text);
    let expected = ["a b".to_owned(), "days_on_mls".to_owned()].into();
    assert_eq!(setup.config().ignored_fields["a"], expected);
    assert!(setup.render().contains(r#"ignore_fields = ["a b", "days_on_mls"]"#));
    let wrong = Setup::default().variable("WINDROW_DATA_DIR", "/data");
    let wrong = wrong.file("[sources.a]\nkind = 'worker'\nignore_fields = 'x'").error();
    assert_eq!(wrong, "windrow.toml:3: source \"a\": ignore_fields must be a list of strings");
}

#[test]
fn secrets_of_sources_are_not_printed() {
    let text = "[sources.a]\nkind = 'exec'\ncommand = ['a', '--token', 'hush', '--api-key=hush']\n\
        [sources.b]\nkind = 'reso'\nurl = 'https://me:hush@host/'\ntoken = 'hush'";
    let rendered = setup().variable("WINDROW_DATA_DIR", "/data").file(text).render();
    assert!(!rendered.contains("hush"), "{rendered}");
}

#[test]
fn printed_settings_can_be_read_again() {
    let setup = setup().variable("WINDROW_DATA_DIR", "/a \"b\"\\\n\u{7f}\u{85}c");
    let rendered = setup.render();
    let again = Setup::default().file(&rendered);
    assert_eq!(again.config().database, setup.config().database, "{rendered}");
    assert_eq!(again.config().sources.len(), 1);
}
