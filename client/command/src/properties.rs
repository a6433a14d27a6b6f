//! `windrow properties …`: what the runs found.

use clap::{Args, Subcommand};
use futures::TryStreamExt;
use prost_types::Timestamp;
use windrow_client::{Client, proto};

use crate::failure::Failure;
use crate::output::{self, Output};
use crate::page::{MAX_PAGES, PageArgs};
use crate::text;
use crate::values::{listing_type, time};

#[derive(Debug, Subcommand)]
pub(crate) enum PropertiesCommand {
    /// List properties by source and id.
    #[command(after_help = "Example: windrow properties list --job daily-sold --changed-since \
        2026-12-01T00:00:00Z")]
    List {
        #[command(flatten)]
        filter: FilterArgs,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a property and how it changed.
    #[command(after_help = "Example: windrow properties get mls 7129300520")]
    Get {
        /// The source's name.
        source: String,
        /// The source's id of it.
        property_id: String,
        /// At most so many changes; 50 unless given.
        #[arg(long, default_value_t = 0, hide_default_value = true)]
        limit: i32,
    },
    /// Write all properties that match to stdout, a JSON object a line.
    #[command(after_help = "Example: windrow properties export --source mls > mls.jsonl")]
    Export {
        #[command(flatten)]
        filter: FilterArgs,
    },
}

/// Which properties; all conditions hold.
#[derive(Debug, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only of this source.
    #[arg(long, default_value = "", hide_default_value = true)]
    source: String,
    /// Only those that a run of this scheduled job has found.
    #[arg(
        long = "job",
        value_name = "SCHEDULED_JOB_ID",
        default_value = "",
        hide_default_value = true
    )]
    scheduled_job_id: String,
    /// Only those that this run has read.
    #[arg(long = "run", value_name = "JOB_ID", default_value = "", hide_default_value = true)]
    job_id: String,
    /// Only those last found at this location.
    #[arg(long, default_value = "", hide_default_value = true)]
    location: String,
    /// Only of this kind.
    #[arg(long, value_parser = listing_type())]
    listing_type: Option<proto::ListingType>,
    /// Only those first seen or changed since this time, for example 2026-12-01T06:00:00Z.
    #[arg(long, value_parser = time)]
    changed_since: Option<Timestamp>,
}

impl FilterArgs {
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
        PropertiesCommand::List { filter, page } => list(client, output, filter, page).await?,
        PropertiesCommand::Get { source, property_id, limit } => {
            let request = proto::GetPropertyRequest { source, property_id, limit };
            let answer = client.raw().get_property(request).await?;
            output.show("GetPropertyResponse", &answer, text::property_with_changes)?;
        }
        PropertiesCommand::Export { filter } => export(client, filter).await?,
    }
    Ok(0)
}

async fn list(
    client: &Client,
    output: Output,
    filter: FilterArgs,
    page: PageArgs,
) -> Result<(), Failure> {
    let mut request = proto::ListPropertiesRequest {
        filter: Some(filter.into_proto()),
        page_size: page.page_size,
        page_token: page.page_token,
    };
    let mut answer = client.raw().list_properties(request.clone()).await?;
    let mut pages = 1;
    while page.all && !answer.next_page_token.is_empty() && pages < MAX_PAGES {
        request.page_token.clone_from(&answer.next_page_token);
        let next = client.raw().list_properties(request.clone()).await?;
        answer.properties.extend(next.properties);
        answer.next_page_token = next.next_page_token;
        pages += 1;
    }
    output.show("ListPropertiesResponse", &answer, text::properties)
}

async fn export(client: &Client, filter: FilterArgs) -> Result<(), Failure> {
    let mut properties = client.export_properties().filter(filter.into_proto()).stream();
    let mut lines = output::Lines::of_properties()?;
    while let Some(property) = properties.try_next().await? {
        lines.write(&property)?;
    }
    let count = lines.finish()?;
    Ok(output::hint(&format!("{count} properties"))?)
}
