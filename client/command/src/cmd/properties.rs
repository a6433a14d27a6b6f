//! `windrow properties …`: properties that runs found.

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use prost_types::Timestamp;
use windrow_client::{Client, proto};

use crate::failure::Failure;
use crate::flags::{ListFlags, listing_type, time};
use crate::json;
use crate::output::{Format, Lines, Output, hint, yaml};
use crate::render::{self, PageCount, clean};

#[derive(Debug, Subcommand)]
pub(crate) enum PropertiesCommand {
    /// List properties, ordered by source and id.
    #[command(after_long_help = "Example:
  windrow properties list --job daily-sold --changed-since 2026-12-01T00:00:00Z")]
    List(ListArgs),
    /// Show a property and its changes.
    #[command(after_long_help = "Example: windrow properties get mls 7129300520")]
    Get(GetArgs),
    /// Write all matching properties to stdout, one JSON object per line; -o yaml writes documents, -q ids.
    #[command(after_long_help = "Example: windrow properties export --source mls > mls.jsonl")]
    Export(ExportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    filter: FilterFlags,
    #[command(flatten)]
    list: ListFlags,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Name of the source.
    source: String,
    /// ID that the source gave the property.
    property_id: String,
    /// Maximum number of changes to show, up to 1000.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: i32,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    filter: FilterFlags,
}

/// Conditions; a property must meet all of them.
#[derive(Debug, Args)]
pub(crate) struct FilterFlags {
    /// Only properties of this source.
    #[arg(long, default_value = "", hide_default_value = true)]
    source: String,
    /// Only properties that a run of this scheduled job found.
    #[arg(long = "job", value_name = "JOB", default_value = "", hide_default_value = true)]
    scheduled_job_id: String,
    /// Only properties that this run read.
    #[arg(long = "run", value_name = "RUN", default_value = "", hide_default_value = true)]
    job_id: String,
    /// Only properties last found at this location.
    #[arg(long, default_value = "", hide_default_value = true)]
    location: String,
    /// Only properties of this listing type.
    #[arg(long, value_name = "TYPE", value_parser = listing_type())]
    listing_type: Option<proto::ListingType>,
    /// Only properties first found or changed since this time, for example 2026-12-01T06:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    changed_since: Option<Timestamp>,
}

impl FilterFlags {
    fn into_proto(self) -> proto::PropertyFilter {
        proto::PropertyFilter {
            source: self.source,
            scheduled_job_id: self.scheduled_job_id,
            job_id: self.job_id,
            location: self.location,
            listing_type: self.listing_type.unwrap_or_default().into(),
            changed_since: self.changed_since,
        }
    }
}

pub(crate) async fn run(
    client: &Client,
    output: Output,
    command: PropertiesCommand,
) -> Result<u8, Failure> {
    match command {
        PropertiesCommand::List(args) => list(client, output, args).await?,
        PropertiesCommand::Get(args) => get(client, output, args).await?,
        PropertiesCommand::Export(args) => export(client, output, args).await?,
    }
    Ok(0)
}

async fn list(client: &Client, output: Output, args: ListArgs) -> Result<(), Failure> {
    let list = client.list_properties().filter(args.filter.into_proto());
    let response = if args.list.all {
        let properties: Vec<_> = list.stream().try_collect().await?;
        let total = i64::try_from(properties.len()).unwrap_or(i64::MAX);
        proto::ListPropertiesResponse { properties, total, ..Default::default() }
    } else {
        list.page_size(args.list.limit).await?
    };
    let properties = &response.properties;
    let ids: Vec<_> = properties.iter().map(id).collect();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let (shown, is_lower_bound) = (properties.len(), response.total_is_lower_bound);
    let total = PageCount { shown, total: response.total, is_lower_bound };
    output.show(&response, &ids, |layout| render::properties(layout, properties, &total))
}

async fn get(client: &Client, output: Output, args: GetArgs) -> Result<(), Failure> {
    let id = format!("{} {}", args.source, args.property_id);
    let (source, property_id, limit) = (args.source, args.property_id, args.limit);
    let request = proto::GetPropertyRequest { source, property_id, limit, ..Default::default() };
    let response = client.raw().get_property(request).await?;
    output.show(&response, &[&id], |layout| render::property_with_changes(layout, &response))
}

async fn export(client: &Client, output: Output, args: ExportArgs) -> Result<(), Failure> {
    let filter = args.filter.into_proto();
    let mut properties = client.export_properties().filter(filter).stream();
    let mut lines = Lines::new();
    while let Some(property) = properties.try_next().await? {
        lines.write(&match output.format {
            Format::Table | Format::Json => json::to_json(&property)?,
            Format::Yaml => yaml(&json::Shown::new(&property)?)?,
            Format::Quiet => clean(&id(&property)),
        })?;
    }
    let count = lines.finish()?;
    hint(&format!("Exported {count} properties"));
    Ok(())
}

/// The words that name a property to `windrow properties get`.
fn id(property: &proto::Property) -> String {
    format!("{} {}", property.source, property.property_id)
}
