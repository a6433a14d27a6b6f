//! `windrow apply`: makes scheduled jobs be what files say.
//!
//! Everything is checked before anything is changed, by the server too. A file is the whole truth about
//! a job's settings; status and history are not its business.

mod diff;
mod files;

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use windrow_client::{Client, Code, Error, proto};

use self::files::DesiredJob;
use crate::failure::Failure;
use crate::output::{Output, hint, line};

pub(crate) const APPLY: &str = "A file has one or more YAML documents, or a JSON object, with \
scheduled_job_id, name, cron_expression, timezone, priority, labels, parameters, \
policy, max_concurrent_runs, catch_up, overlap and jitter. What it leaves \
out is as if it had never been set. A job that is not there is created, a deleted one restored; pauses \
stay.

Examples:
  windrow apply -f jobs.yaml --dry-run
  windrow apply -f jobs/ --prune --yes";

/// Jobs of one page.
const PAGE: i32 = 1_000;

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// A file, a directory of .yaml, .yml and .json files, or - for stdin; may be repeated.
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Show what differs and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete the scheduled jobs that the files do not name.
    #[arg(long)]
    prune: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// What is to be done about one job.
#[derive(Debug)]
enum Step {
    Create(Box<proto::ScheduledJob>),
    Undelete(Box<proto::ScheduledJob>),
    Update(Box<proto::ScheduledJob>),
    Delete { scheduled_job_id: String, etag: String },
}

/// A step, and how it is shown.
struct Change {
    step: Step,
    shown: String,
}

pub(crate) async fn run(client: &Client, output: Output, args: ApplyArgs) -> Result<u8, Failure> {
    let wanted = files::read(&args.files).map_err(Failure::Refused)?;
    let present = present(client).await?;
    let (mut changes, unchanged) = changes(client, &wanted, &present).await?;
    if args.prune {
        changes.extend(pruned(&wanted, &present));
    }
    if output == Output::Table {
        for change in &changes {
            line(&change.shown)?;
        }
    }
    if changes.is_empty() || args.dry_run {
        report(
            output,
            &changes,
            unchanged,
            if args.dry_run { "Would be" } else { "Nothing to do" },
        )?;
        return Ok(0);
    }
    if !args.yes && !confirmed()? {
        hint("Nothing was changed.")?;
        return Ok(1);
    }
    for (done, change) in changes.iter().enumerate() {
        if let Err(error) = take(client, &change.step).await {
            hint(&format!("{done} of {} changes were made before the error", changes.len()))?;
            return Err(error.into());
        }
    }
    report(output, &changes, unchanged, "Done")?;
    Ok(0)
}

/// All scheduled jobs of the server, deleted ones too.
async fn present(client: &Client) -> Result<BTreeMap<String, proto::ScheduledJob>, Error> {
    let mut jobs = BTreeMap::new();
    let mut request = proto::ListScheduledJobsRequest {
        page_size: PAGE,
        show_deleted: true,
        ..Default::default()
    };
    loop {
        let page = client.raw().list_scheduled_jobs(request.clone()).await?;
        let named = |job: proto::ScheduledJob| (job.scheduled_job_id.clone(), job);
        jobs.extend(page.scheduled_jobs.into_iter().map(named));
        if page.next_page_token.is_empty() {
            return Ok(jobs);
        }
        request.page_token = page.next_page_token;
    }
}

/// What differs, as the server sees it, and how many jobs do not. All refusals are told together.
async fn changes(
    client: &Client,
    wanted: &[DesiredJob],
    present: &BTreeMap<String, proto::ScheduledJob>,
) -> Result<(Vec<Change>, usize), Failure> {
    let (mut changes, mut unchanged, mut refused) = (Vec::new(), 0, Vec::new());
    for DesiredJob { job, place } in wanted {
        match change(client, job, present.get(&job.scheduled_job_id)).await {
            Ok(Some(change)) => changes.push(change),
            Ok(None) => unchanged += 1,
            Err(error) if error.code() == Code::InvalidArgument => {
                let fields = error.field_violations().iter();
                let told = fields.map(|v| format!("{place}: {}: {}", v.field, v.description));
                refused.extend(told.map(|told| told.replace("scheduled_job.", "")));
            }
            Err(other) => return Err(other.into()),
        }
    }
    if refused.is_empty() {
        return Ok((changes, unchanged));
    }
    Err(Failure::Refused(format!("nothing was changed\n  {}", refused.join("\n  "))))
}

async fn change(
    client: &Client,
    job: &proto::ScheduledJob,
    present: Option<&proto::ScheduledJob>,
) -> Result<Option<Change>, Error> {
    let Some(present) = present else {
        let request = proto::CreateScheduledJobRequest {
            scheduled_job: Some(job.clone()),
            validate_only: true,
            ..Default::default()
        };
        let after =
            client.raw().create_scheduled_job(request).await?.scheduled_job.unwrap_or_default();
        let shown = diff::shown("create", &job.scheduled_job_id, None, Some(&after));
        return Ok(Some(Change { step: Step::Create(Box::new(job.clone())), shown }));
    };
    if present.deleted_at.is_some() {
        let shown = diff::shown("restore", &job.scheduled_job_id, Some(present), Some(job));
        return Ok(Some(Change { step: Step::Undelete(Box::new(job.clone())), shown }));
    }
    let job = proto::ScheduledJob { etag: present.etag.clone(), ..job.clone() };
    let after = client.raw().update_scheduled_job(update(&job, true)).await?.scheduled_job;
    let after = after.unwrap_or_default();
    if diff::fields(Some(present)) == diff::fields(Some(&after)) {
        return Ok(None);
    }
    let shown = diff::shown("update", &job.scheduled_job_id, Some(present), Some(&after));
    Ok(Some(Change { step: Step::Update(Box::new(job)), shown }))
}

fn pruned(wanted: &[DesiredJob], present: &BTreeMap<String, proto::ScheduledJob>) -> Vec<Change> {
    let named = |id: &String| wanted.iter().any(|wanted| wanted.job.scheduled_job_id == *id);
    let lost = present.iter().filter(|(id, job)| job.deleted_at.is_none() && !named(id));
    lost.map(|(id, job)| Change {
        step: Step::Delete { scheduled_job_id: id.clone(), etag: job.etag.clone() },
        shown: diff::shown("delete", id, Some(job), None),
    })
    .collect()
}

async fn take(client: &Client, step: &Step) -> Result<(), Error> {
    match step {
        Step::Create(job) => {
            let scheduled_job = Some((**job).clone());
            let request = proto::CreateScheduledJobRequest { scheduled_job, ..Default::default() };
            client.raw().create_scheduled_job(request).await?;
        }
        Step::Undelete(job) => {
            let scheduled_job_id = job.scheduled_job_id.clone();
            let request = proto::UndeleteScheduledJobRequest { scheduled_job_id };
            client.raw().undelete_scheduled_job(request).await?;
            client.raw().update_scheduled_job(update(job, false)).await?;
        }
        Step::Update(job) => {
            client.raw().update_scheduled_job(update(job, false)).await?;
        }
        Step::Delete { scheduled_job_id, etag } => {
            let (scheduled_job_id, etag) = (scheduled_job_id.clone(), etag.clone());
            let request = proto::DeleteScheduledJobRequest { scheduled_job_id, etag };
            client.raw().delete_scheduled_job(request).await?;
        }
    }
    Ok(())
}

/// Of all settings; refused if somebody changed the job since it was looked at.
fn update(job: &proto::ScheduledJob, validate_only: bool) -> proto::UpdateScheduledJobRequest {
    proto::UpdateScheduledJobRequest {
        scheduled_job: Some(job.clone()),
        update_mask: Some(prost_types::FieldMask { paths: vec!["*".to_owned()] }),
        validate_only,
    }
}

fn confirmed() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage("say --yes to make these changes without being asked"));
    }
    write!(io::stderr(), "Make these changes? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn report(
    output: Output,
    changes: &[Change],
    unchanged: usize,
    title: &str,
) -> Result<(), Failure> {
    let count = |of: fn(&Step) -> bool| changes.iter().filter(|change| of(&change.step)).count();
    let created = count(|step| matches!(step, Step::Create(_)));
    let restored = count(|step| matches!(step, Step::Undelete(_)));
    let updated = count(|step| matches!(step, Step::Update(_)));
    let deleted = count(|step| matches!(step, Step::Delete { .. }));
    let object = serde_json::json!({
        "created": created, "restored": restored, "updated": updated, "deleted": deleted,
        "unchanged": unchanged,
    });
    let text = match output {
        Output::Json => object.to_string(),
        Output::Yaml => crate::output::yaml(&object.to_string())?,
        Output::Table => format!(
            "{title}: {created} created, {restored} restored, {updated} updated, {deleted} deleted, \
             {unchanged} unchanged"
        ),
    };
    Ok(line(&text)?)
}
