//! `windrow jobs create` and `windrow jobs update`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Arg, Args};
use windrow_client::{Client, proto};

use super::show_changed;
use crate::failure::Failure;
use crate::flags::{CreationFlags, DryRunFlag, JobFlags, is_optional, unset};
use crate::output::{Output, warn};
use crate::render::{Setting, clean, command_line, job_settings};

#[derive(Debug, Args)]
#[command(after_long_help = "Example:
  windrow jobs create daily-sold --name 'Daily Sold' --cron '0 6 * * *' \\
      --timezone America/Indiana/Indianapolis --location 46220 --listing-type sold --past-days 2")]
pub(crate) struct CreateArgs {
    /// ID of the job [default: generated from the name].
    #[arg(value_name = "JOB", value_parser = NonEmptyStringValueParser::new())]
    scheduled_job_id: Option<String>,
    /// Display name (required).
    #[arg(long)]
    name: String,
    /// Five-field cron expression, or '@every 90s' (required).
    #[arg(long = "cron", value_name = "EXPRESSION")]
    cron_expression: String,
    /// Location to scrape, for example 'Indianapolis, IN' or a ZIP code; repeatable (required).
    #[arg(long = "location", value_name = "LOCATION", required = true)]
    locations: Vec<String>,
    #[command(flatten)]
    creation: CreationFlags,
    #[command(flatten)]
    job: JobFlags,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  windrow jobs update daily-sold --cron '30 5 * * *'
  windrow jobs update daily-sold --unset radius --unset label")]
pub(crate) struct UpdateArgs {
    /// ID of the scheduled job.
    #[arg(value_name = "JOB")]
    scheduled_job_id: String,
    /// Display name.
    #[arg(long)]
    name: Option<String>,
    /// Five-field cron expression, or '@every 90s'.
    #[arg(long = "cron", value_name = "EXPRESSION")]
    cron_expression: Option<String>,
    /// Location to scrape; repeatable. The given locations replace all locations of the job.
    #[arg(long = "location", value_name = "LOCATION")]
    locations: Vec<String>,
    /// Return a setting to its default, named by its flag, for example radius; repeatable.
    #[arg(long, value_name = "FLAG", value_parser = unset(), hide_possible_values = true)]
    unset: Vec<&'static str>,
    /// Fail if the job was changed since it had this etag; see `windrow jobs get`.
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
    #[command(flatten)]
    dry_run: DryRunFlag,
    #[command(flatten)]
    job: JobFlags,
}

/// The flag without the default in its help: an update or a trigger keeps the settings whose flag is not given.
pub(crate) fn without_default(flag: Arg) -> Arg {
    let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
    match help.split_once(" [default: ") {
        Some((help, _)) => flag.help(format!("{help}.")),
        None => flag,
    }
}

impl CreateArgs {
    pub(super) fn check(&self) -> Result<(), Failure> {
        self.job.check()
    }
}

impl UpdateArgs {
    /// Rejects an update of nothing: to the server, an empty mask means "everything that is set".
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.paths().is_empty() {
            return Err(Failure::Usage("no setting to change; see windrow jobs update --help"));
        }
        if self.set_paths().iter().any(|path| self.unset.contains(path)) {
            return Err(Failure::Usage("--unset names a setting that another flag sets"));
        }
        self.job.check()
    }

    /// Paths for the update mask. A path without a value unsets its field.
    fn paths(&self) -> Vec<&'static str> {
        let mut paths = self.set_paths();
        paths.extend(&self.unset);
        paths
    }

    fn set_paths(&self) -> Vec<&'static str> {
        let own = [
            ("name", self.name.is_some()),
            ("cron_expression", self.cron_expression.is_some()),
            ("parameters.locations", !self.locations.is_empty()),
        ];
        let own = own.into_iter().filter(|(_, is_given)| *is_given).map(|(path, _)| path);
        own.chain(self.job.paths()).collect()
    }

    fn into_request(self) -> proto::UpdateScheduledJobRequest {
        let paths = self.paths().into_iter().map(str::to_owned).collect();
        let job = proto::ScheduledJob {
            scheduled_job_id: self.scheduled_job_id,
            name: self.name.unwrap_or_default(),
            cron_expression: self.cron_expression.unwrap_or_default(),
            etag: self.etag,
            ..self.job.into_proto(self.locations)
        };
        proto::UpdateScheduledJobRequest {
            scheduled_job: Some(job),
            update_mask: Some(prost_types::FieldMask { paths }),
            validate_only: self.dry_run.dry_run,
        }
    }
}

pub(super) async fn create(
    client: &Client,
    output: Output,
    args: CreateArgs,
) -> Result<(), Failure> {
    let is_dry_run = args.creation.dry_run;
    let job = proto::ScheduledJob {
        scheduled_job_id: args.scheduled_job_id.unwrap_or_default(),
        name: args.name,
        cron_expression: args.cron_expression,
        ..args.job.into_proto(args.locations)
    };
    let request = proto::CreateScheduledJobRequest {
        scheduled_job: Some(job),
        request_id: args.creation.request_id,
        validate_only: is_dry_run,
    };
    let job = client.raw().create_scheduled_job(request).await?.scheduled_job;
    let job = job.ok_or(Failure::Incomplete("scheduled job"))?;
    warn(None, &job.warnings);
    let id = clean(&job.scheduled_job_id);
    let lead = if is_dry_run {
        format!("Dry run: would create scheduled job {id}")
    } else {
        format!("Created scheduled job {id}. Undo: windrow jobs delete {id}")
    };
    show_changed(output, &lead, job)
}

pub(super) async fn update(
    client: &Client,
    output: Output,
    args: UpdateArgs,
) -> Result<(), Failure> {
    let (paths, is_dry_run) = (args.paths(), args.dry_run.dry_run);
    // The server does not return the settings before the update, and the undo command needs them.
    let before = client.get_job(&args.scheduled_job_id).await?;
    let job = client.raw().update_scheduled_job(args.into_request()).await?.scheduled_job;
    let job = job.ok_or(Failure::Incomplete("scheduled job"))?;
    warn(None, &job.warnings);
    let lead = update_lead(&before, &job, &paths, is_dry_run);
    show_changed(output, &lead, job)
}

/// The settings that the update changed, or would change, and the command that restores them.
fn update_lead(
    before: &proto::ScheduledJob,
    after: &proto::ScheduledJob,
    paths: &[&str],
    is_dry_run: bool,
) -> String {
    let id = clean(&before.scheduled_job_id);
    let after = job_settings(after);
    let is_changed = |setting: &Setting| paths.contains(&setting.path) && !after.contains(setting);
    let changed: Vec<_> = job_settings(before).into_iter().filter(is_changed).collect();
    let names = changed.iter().map(|setting| setting.path).collect::<Vec<_>>().join(", ");
    let nothing = format!("scheduled job {id} has these settings already");
    match (changed.is_empty(), is_dry_run) {
        (true, true) => format!("Dry run: would change nothing: {nothing}"),
        (true, false) => format!("Nothing changed: {nothing}"),
        (false, true) => format!("Dry run: would change {names} of scheduled job {id}"),
        (false, false) => {
            let undo = undo(&before.scheduled_job_id, &changed);
            format!("Changed {names} of scheduled job {id}. Undo: {undo}")
        }
    }
}

/// The command that sets the former values again.
fn undo(id: &str, former: &[Setting]) -> String {
    let unset = |it: &Setting| is_optional(it.path).then(|| format!("--unset {}", it.word()));
    let flags: Vec<_> = former.iter().filter_map(|it| it.flags().or_else(|| unset(it))).collect();
    let command = command_line(["windrow", "jobs", "update", id]);
    format!("{command} {}", flags.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Update {
        #[command(flatten)]
        args: UpdateArgs,
    }

    fn update(flags: &[&str]) -> UpdateArgs {
        Update::parse_from(["update", "x"].iter().chain(flags)).args
    }

    #[test]
    fn the_mask_names_the_given_flags() {
        let check = |flags: &[&str], expected: &[&str]| assert_eq!(update(flags).paths(), expected);
        check(&[], &[]);
        check(&["--cron", "@daily"], &["cron_expression"]);
        check(&["--timezone", "", "--name", "N"], &["name", "timezone"]);
        check(&["--location", "a", "--location", "b"], &["parameters.locations"]);
        check(
            &["--priority", "high", "--past-days", "3", "--source", "sample"],
            &["priority", "parameters.past_days", "parameters.source"],
        );
        check(
            &["--request-delay", "2s", "--radius", "1.5", "--limit", "9", "--listing-type", "sold"],
            &[
                "parameters.listing_types",
                "parameters.radius",
                "parameters.limit",
                "parameters.request_delay",
            ],
        );
        check(
            &["--max-concurrent-runs", "0", "--lease-duration", "1m", "--jitter", "5m"],
            &["max_concurrent_runs", "policy.lease_duration", "jitter"],
        );
        check(
            &["--name", "N", "--unset", "radius", "--unset", "label"],
            &["name", "parameters.radius", "labels"],
        );
        assert!(update(&[]).check().is_err() && update(&["--name", "N"]).check().is_ok());
        assert!(update(&["--radius", "1", "--unset", "radius"]).check().is_err());
        let unknown = Update::try_parse_from(["update", "x", "--unset", "name"]);
        assert!(unknown.is_err(), "a job has a name");
    }

    #[test]
    fn flags_become_the_message() {
        let flags = ["--max-attempts", "5", "--request-delay", "1500ms", "--listing-type", "sold"];
        let job = update(&flags).into_request().scheduled_job.unwrap();
        let parameters = job.parameters.unwrap();
        let delay = prost_types::Duration { seconds: 1, nanos: 500_000_000 };
        assert_eq!(parameters.request_delay, Some(delay));
        assert_eq!(parameters.listing_types, [i32::from(proto::ListingType::Sold)]);
        assert_eq!(job.policy.unwrap().max_attempts, Some(5));
        let without = update(&["--name", "N"]).into_request().scheduled_job.unwrap();
        assert_eq!((without.policy, &*without.name), (None, "N"));
    }

    #[test]
    fn an_update_names_what_it_changed_and_is_undone_by_its_former_values() {
        let job = |cron: &str, timezone: &str, radius: Option<f64>| proto::ScheduledJob {
            scheduled_job_id: "x".to_owned(),
            cron_expression: cron.to_owned(),
            timezone: timezone.to_owned(),
            parameters: Some(proto::ScrapeParameters { radius, ..Default::default() }),
            ..Default::default()
        };
        let before = job("0 2 * * *", "", None);
        let after = job("0 3 * * *", "UTC", Some(1.0));
        let check = |paths: &[&str], dry_run: &str, done: &str| {
            assert_eq!(update_lead(&before, &after, paths, true), dry_run);
            assert_eq!(update_lead(&before, &after, paths, false), done);
        };
        check(
            &["cron_expression", "timezone"],
            "Dry run: would change cron_expression of scheduled job x",
            "Changed cron_expression of scheduled job x. \
             Undo: windrow jobs update x --cron '0 2 * * *'",
        );
        check(
            &["parameters.radius"],
            "Dry run: would change parameters.radius of scheduled job x",
            "Changed parameters.radius of scheduled job x. \
             Undo: windrow jobs update x --unset radius",
        );
        check(
            &["timezone"],
            "Dry run: would change nothing: scheduled job x has these settings already",
            "Nothing changed: scheduled job x has these settings already",
        );
    }
}
