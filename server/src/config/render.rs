//! Prints the settings in effect as a `windrow.toml`, with their origins as comments and without secrets.

use std::{fmt::Write as _, time::Duration};

use url::Url;

use crate::sources::{
    ExecSettings, OAuth2Settings, ResoSettings, SAMPLE, SampleSettings, SourceSettings,
};

use super::overrides::Origin;
use super::{Database, DefaultValue, Group, Kind, Resolved, SETTINGS, Setting, parse};

impl Resolved {
    /// One line per setting, then one table per source.
    pub fn render(&self) -> String {
        let mut lines: Vec<String> = SETTINGS.iter().map(|setting| self.line(setting)).collect();
        let mut sources = self.config.sources.clone();
        sources
            .entry(SAMPLE.to_owned())
            .or_insert_with(|| SourceSettings::Sample(SampleSettings::default()));
        for (name, settings) in &sources {
            let origin = self.sources.get(name).unwrap_or(&Origin::Default);
            lines.push(format!("\n[sources.{}]  # {origin}", table_key(name)));
            lines.extend(source(settings));
            let limit = self.config.source_limits.get(name);
            lines.extend(limit.map(|limit| format!("max_concurrent_runs = {limit}")));
            let ignored = self.config.ignored_fields.get(name).map(|fields| {
                let fields: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
                format!("ignore_fields = [{}]", fields.join(", "))
            });
            lines.extend(ignored);
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn line(&self, setting: &Setting) -> String {
        let name = setting.name;
        let (text, origin) = match (self.overrides.get(name), setting.default) {
            (Some(value), _) => (value.text.as_str(), &value.origin),
            (None, DefaultValue::Text(text)) => (text, &Origin::Default),
            (None, DefaultValue::Described(effect)) => {
                return format!("# {name} is not set: {effect}");
            }
        };
        let value = match setting.kind {
            Kind::Count | Kind::Switch => text.to_owned(),
            Kind::Url => quoted(&parse::hide_passwords(text)),
            Kind::Address
            | Kind::Directory
            | Kind::File
            | Kind::Duration
            | Kind::Filter
            | Kind::Choice
            | Kind::Format => quoted(text),
        };
        match (&self.config.database, setting.group) {
            (Database::Url(_), Group::EmbeddedPostgres) => {
                format!("# {name} = {value}  # {origin}, not used because database_url is set")
            }
            _ => format!("{name} = {value}  # {origin}"),
        }
    }
}

fn source(settings: &SourceSettings) -> Vec<String> {
    match settings {
        SourceSettings::Exec(settings) => exec(settings),
        SourceSettings::Reso(settings) => reso(settings),
        SourceSettings::Sample(settings) => vec![
            "kind = \"sample\"".to_owned(),
            format!("listings_per_location = {}", settings.listings_per_location),
            format!("pace = {}", duration(settings.pace)),
        ],
        SourceSettings::Worker(_) => vec!["kind = \"worker\"".to_owned()],
    }
}

fn exec(settings: &ExecSettings) -> Vec<String> {
    let command = settings.shown_command(parse::HIDDEN);
    let command: Vec<String> = command.iter().map(|argument| quoted(argument)).collect();
    let mut lines = vec![
        "kind = \"exec\"".to_owned(),
        format!("command = [{}]", command.join(", ")),
        format!("timeout = {}", duration(settings.timeout)),
    ];
    lines.push(match &settings.working_dir {
        Some(directory) => format!("working_dir = {}", quoted(&directory.to_string_lossy())),
        None => "# working_dir is not set".to_owned(),
    });
    for name in settings.environment.keys() {
        lines.push(format!("environment.{} = {}", table_key(name), quoted(parse::HIDDEN)));
    }
    let passed: Vec<String> = settings.pass_environment.iter().map(|name| quoted(name)).collect();
    lines.push(format!("pass_environment = [{}]", passed.join(", ")));
    lines.push(match &settings.user {
        Some(user) => format!("user = {}", quoted(user)),
        None => "# user is not set".to_owned(),
    });
    // In the smallest unit, which every size is a multiple of.
    let memory = settings.max_memory.map(|bytes| format!("max_memory = \"{}KiB\"", bytes / 1024));
    lines.extend(memory);
    lines.extend(settings.max_processes.map(|number| format!("max_processes = {number}")));
    lines
}

fn reso(settings: &ResoSettings) -> Vec<String> {
    let select: Vec<String> = settings.select.iter().map(|field| quoted(field)).collect();
    let mut lines = vec![
        "kind = \"reso\"".to_owned(),
        format!("url = {}", quoted(&parse::hide_passwords(settings.url.as_str()))),
        format!("resource = {}", quoted(&settings.resource)),
        format!("timeout = {}", duration(settings.timeout)),
        format!("page_size = {}", settings.page_size),
        format!("page_delay = {}", duration(settings.page_delay)),
        format!("select = [{}]", select.join(", ")),
        format!("full_every = {}", settings.full_every),
        format!("overlap = {}", duration(settings.overlap)),
        format!("ordered = {}", settings.ordered),
        format!("internal_origins = [{}]", urls(&settings.internal_origins)),
        format!("trusted_origins = [{}]", urls(&settings.trusted_origins)),
        format!("allow_http = {}", settings.allow_http),
    ];
    lines.extend(settings.filter.as_ref().map(|filter| format!("filter = {}", quoted(filter))));
    lines.extend(settings.token.as_ref().map(|_| format!("token = {}", quoted(parse::HIDDEN))));
    let file = settings.token_file.as_ref();
    lines.extend(file.map(|file| format!("token_file = {}", quoted(&file.to_string_lossy()))));
    lines.extend(settings.oauth2.iter().flat_map(oauth2));
    lines
}

fn urls(urls: &[Url]) -> String {
    let urls: Vec<String> =
        urls.iter().map(|url| quoted(&parse::hide_passwords(url.as_str()))).collect();
    urls.join(", ")
}

fn oauth2(settings: &OAuth2Settings) -> Vec<String> {
    let mut lines = vec![
        format!(
            "oauth2.token_url = {}",
            quoted(&parse::hide_passwords(settings.token_url.as_str()))
        ),
        format!("oauth2.client_id = {}", quoted(&settings.client_id)),
    ];
    lines.push(match &settings.client_secret_file {
        Some(file) => format!("oauth2.client_secret_file = {}", quoted(&file.to_string_lossy())),
        None => format!("oauth2.client_secret = {}", quoted(parse::HIDDEN)),
    });
    lines.extend(settings.scope.as_ref().map(|scope| format!("oauth2.scope = {}", quoted(scope))));
    lines
}

fn duration(duration: Duration) -> String {
    quoted(&humantime::format_duration(duration).to_string())
}

/// A key of a table, quoted unless it consists of plain characters.
fn table_key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quoted(name) }
}

/// A TOML string on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => _ = write!(quoted, "\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
