//! Keeps the table in `server/SETTINGS.md` true to [`SETTINGS`].

use std::fs;
use std::path::Path;

use super::{DefaultValue, SETTINGS, Setting};

/// Set it to rewrite the table: `WINDROW_UPDATE_DOCS=1 cargo test -p windrow-server --lib reference`.
const UPDATE: &str = "WINDROW_UPDATE_DOCS";
const BEGIN: &str = "<!-- The table is generated from server/src/config/settings.rs. -->\n";
const END: &str = "<!-- End of the generated table. -->";

#[test]
fn the_reference_lists_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SETTINGS.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", expected())).unwrap();
    } else {
        assert_eq!(table, expected(), "set {UPDATE}=1 to rewrite the table");
    }
}

fn expected() -> String {
    let head = "| flag and key | variable | default | meaning |\n| --- | --- | --- | --- |\n";
    head.to_owned() + &SETTINGS.iter().map(row).collect::<String>()
}

fn row(setting: &Setting) -> String {
    let variable = setting.variable.map(|name| format!("`{name}`")).unwrap_or_default();
    let default = match setting.default {
        DefaultValue::Text(text) => format!("`{text}`"),
        DefaultValue::Described(effect) => effect.to_owned(),
    };
    let meaning = format!("{}. {}", setting.help, setting.details);
    format!(
        "| `--{}`<br>`{}` | {variable} | {default} | {} |\n",
        setting.flag,
        setting.name,
        meaning.trim_end()
    )
}
