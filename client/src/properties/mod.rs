//! Calls for the properties that runs found.

mod export;
mod list;

pub use export::ExportProperties;
pub use list::ListProperties;

use crate::error::required;
use crate::proto::{self, Property};
use crate::{Client, Error};

/// Implements the conditions of `proto::PropertyFilter` on a builder with a field `request.filter`.
macro_rules! filter_methods {
    ($builder:ident) => {
        /// Conditions; a property must meet all of them.
        impl $builder {
            /// Only properties of this source.
            pub fn source(self, source: impl Into<String>) -> Self {
                self.set(|filter| filter.source = source.into())
            }

            /// Only properties found by a run of this scheduled job.
            pub fn job(self, job_id: impl Into<String>) -> Self {
                self.set(|filter| filter.scheduled_job_id = job_id.into())
            }

            /// Only properties read by this run.
            pub fn run(self, run_id: impl Into<String>) -> Self {
                self.set(|filter| filter.job_id = run_id.into())
            }

            /// Only properties last found at this location, as named in the run's parameters.
            pub fn location(self, location: impl Into<String>) -> Self {
                self.set(|filter| filter.location = location.into())
            }

            /// Only listings of this kind.
            pub fn listing_type(self, listing_type: $crate::proto::ListingType) -> Self {
                self.set(|filter| filter.listing_type = listing_type.into())
            }

            /// Only properties first seen or changed at or after this time.
            pub fn changed_since(self, time: impl Into<prost_types::Timestamp>) -> Self {
                self.set(|filter| filter.changed_since = Some(time.into()))
            }

            /// Replaces all conditions by those of the message.
            pub fn filter(self, filter: $crate::proto::PropertyFilter) -> Self {
                self.set(|all| *all = filter)
            }

            fn set(mut self, change: impl FnOnce(&mut $crate::proto::PropertyFilter)) -> Self {
                change(self.request.filter.get_or_insert_default());
                self
            }
        }
    };
}
use filter_methods;

impl Client {
    /// Returns a property by its source and the source's id of it. For its changes use
    /// [`Raw::get_property`](crate::Raw::get_property).
    pub async fn get_property(
        &self,
        source: impl Into<String>,
        property_id: impl Into<String>,
    ) -> Result<Property, Error> {
        let (source, property_id) = (source.into(), property_id.into());
        let request =
            proto::GetPropertyRequest { source, property_id, limit: 1, ..Default::default() };
        required(self.raw().get_property(request).await?.property, "property")
    }

    /// Lists properties by source and property id, as a page or as a stream; see [`ListProperties`].
    pub fn list_properties(&self) -> ListProperties {
        ListProperties::new(self)
    }

    /// Streams properties by source and property id; for many of them, with less load than
    /// [`Client::list_properties`]. See [`ExportProperties`].
    pub fn export_properties(&self) -> ExportProperties {
        ExportProperties::new(self)
    }
}
