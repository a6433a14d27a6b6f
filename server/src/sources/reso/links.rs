//! The links from page to page: where they may lead, and how a link that counts rows is read safely.

use url::Url;

use super::ResoSettings;

/// The address of a link, found on the page `from`. Only the service itself and trusted origins get the
/// token.
pub(super) fn follow(settings: &ResoSettings, from: &Url, link: &str) -> Result<Url, String> {
    let root = &settings.url;
    // Servers resolve relative links against the service root or against the request.
    let base = if link.starts_with(['?', '/']) { from.clone() } else { directory(root) };
    let next = base.join(link).map_err(|error| format!("@odata.nextLink {link:?}: {error}"))?;
    let next = if next.origin() == root.origin() || is_trusted(settings, &next) {
        next
    } else {
        to_service(settings, &next).ok_or_else(|| {
            format!(
                "@odata.nextLink leads to another server: {}; if the service calls itself so, add it to \
                 internal_origins, and if it may receive the token, to trusted_origins",
                next.origin().ascii_serialization()
            )
        })?
    };
    if next == *from {
        return Err("@odata.nextLink leads back to its own page".to_owned());
    }
    Ok(next)
}

/// A link that counts rows (`$skip`), with fewer of them: rows that have left their place since the last
/// page move the others forward. `None` if the link does not count rows.
pub(super) fn overlapping(link: &Url, rows: u64) -> Option<Url> {
    let pairs: Vec<&str> = link.query()?.split('&').collect();
    let skip = |pair: &&str| {
        let (name, value) = pair.split_once('=')?;
        let is_skip = name.eq_ignore_ascii_case("$skip") || name.eq_ignore_ascii_case("%24skip");
        if is_skip { value.parse::<u64>().ok() } else { None }
    };
    let place = pairs.iter().position(|pair| skip(pair).is_some())?;
    let skipped = pairs.get(place).and_then(skip)?;
    let reduced = format!("$skip={}", skipped.saturating_sub(rows));
    let pairs: Vec<&str> = pairs
        .iter()
        .enumerate()
        .map(|(index, pair)| if index == place { reduced.as_str() } else { pair })
        .collect();
    let mut link = link.clone();
    link.set_query(Some(&pairs.join("&")));
    Some(link)
}

fn is_trusted(settings: &ResoSettings, link: &Url) -> bool {
    settings.trusted_origins.iter().any(|trusted| trusted.origin() == link.origin())
}

/// A link to the service under another name, as an address of the service: one with its host but another
/// scheme or port, as behind a proxy, or one with an internal origin.
fn to_service(settings: &ResoSettings, link: &Url) -> Option<Url> {
    let root = &settings.url;
    let internal = settings.internal_origins.iter().find(|it| it.origin() == link.origin());
    let path = match internal {
        Some(internal) => moved_path(internal, root, link.path())?,
        None if link.host() == root.host() => link.path().to_owned(),
        None => return None,
    };
    let mut address = root.clone();
    address.set_path(&path);
    address.set_query(link.query());
    Some(address)
}

/// An internal origin with a path stands for the whole address of the service.
fn moved_path(internal: &Url, root: &Url, path: &str) -> Option<String> {
    let internal = internal.path().trim_end_matches('/');
    if internal.is_empty() {
        return Some(path.to_owned());
    }
    let rest =
        path.strip_prefix(internal).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
    Some(format!("{}{rest}", root.path().trim_end_matches('/')))
}

fn directory(root: &Url) -> Url {
    let mut directory = root.clone();
    directory.set_path(&format!("{}/", root.path().trim_end_matches('/')));
    directory.set_query(None);
    directory
}
