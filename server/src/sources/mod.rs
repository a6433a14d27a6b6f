//! Sources: the adapters that scrape, found by the `source` of a run.
//!
//! Contains the kinds that the server executes itself; [`Source`] is their contract. Of a source of kind
//! `worker` the server knows only the name: workers on other machines execute its runs.

mod exec;
mod property;
mod reso;
mod sample;
mod secret_names;
mod settings;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

pub(crate) use self::secret_names::is_secret;
pub(crate) use windrow_worker::Secrets;
use windrow_worker::{Property, ScrapeRequest, Source, SourceError, Task};

use self::{exec::ExecSource, reso::ResoSource, sample::SampleSource};

pub use self::exec::{ExecSettings, listing_type_name, parameters_json};
pub use self::reso::{OAuth2Settings, ResoSettings};
pub use self::settings::{
    InvalidSource, SampleSettings, SourceKind, SourceSettings, WorkerSettings,
};

/// The source that every server has, whatever its settings.
pub const SAMPLE: &str = "sample";

/// The sources of this server by name. Always holds [`SAMPLE`].
#[derive(Clone)]
pub struct SourceRegistry {
    sources: BTreeMap<String, Option<Arc<dyn Source>>>,
}

impl SourceRegistry {
    /// Builds the sources of the settings, and [`SAMPLE`] unless they define it. Starts no program.
    pub fn from_settings(
        settings: &BTreeMap<String, SourceSettings>,
    ) -> Result<Self, InvalidSource> {
        let sample: Arc<dyn Source> = Arc::new(SampleSource::new(SampleSettings::default()));
        let mut sources = BTreeMap::from([(SAMPLE.to_owned(), Some(sample))]);
        for (name, settings) in settings {
            let source = settings::validate_name(name)
                .and_then(|()| settings.validate())
                .and_then(|()| check_sample(name, settings))
                .and_then(|()| build(settings))
                .map_err(|reason| InvalidSource { name: name.clone(), reason })?;
            sources.insert(name.clone(), source);
        }
        Ok(Self { sources })
    }

    /// The source of that name, if this server executes it.
    pub fn get(&self, name: &str) -> Option<Arc<dyn Source>> {
        self.sources.get(name)?.as_ref().map(Arc::clone)
    }

    /// The sources that this server executes itself.
    pub fn executed(&self) -> BTreeMap<String, Arc<dyn Source>> {
        let executed = |(name, source): (&String, &Option<Arc<dyn Source>>)| {
            Some((name.clone(), Arc::clone(source.as_ref()?)))
        };
        self.sources.iter().filter_map(executed).collect()
    }

    /// The names of all sources, sorted.
    pub fn names(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }
}

/// Everybody takes the properties of [`SAMPLE`] for generated ones, and commands say so.
fn check_sample(name: &str, settings: &SourceSettings) -> Result<(), String> {
    match settings {
        SourceSettings::Sample(_) => Ok(()),
        _ if name != SAMPLE => Ok(()),
        SourceSettings::Exec(_) | SourceSettings::Reso(_) | SourceSettings::Worker(_) => {
            Err("kind must be \"sample\" under this name; give the source another name".to_owned())
        }
    }
}

impl std::fmt::Debug for SourceRegistry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.sources.keys()).finish()
    }
}

fn build(settings: &SourceSettings) -> Result<Option<Arc<dyn Source>>, String> {
    Ok(match settings {
        SourceSettings::Exec(settings) => Some(Arc::new(ExecSource::new(settings.clone())?)),
        SourceSettings::Reso(settings) => Some(Arc::new(ResoSource::new((**settings).clone()))),
        SourceSettings::Sample(settings) => Some(Arc::new(SampleSource::new(settings.clone()))),
        SourceSettings::Worker(_) => None,
    })
}
