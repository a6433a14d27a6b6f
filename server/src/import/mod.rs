//! `windrow-server import`: imports the jobs and runs of an earlier system.
//!
//! The import makes two passes over the files, because documents come in any order: the first
//! imports all scheduled jobs, and the second the runs. It holds the jobs, a batch of runs, and the
//! ids and ticks of all runs in memory.

mod documents;
mod format;
mod input;
mod replay;
mod report;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;
use windrow_server::Server;
use windrow_server::app::{App, ImportedRuns, Mode, Ticks};
use windrow_server::cli::ImportArgs;
use windrow_server::clock::SystemClock;
use windrow_server::config::Config;
use windrow_server::domain::id::{RunId, ScheduledJobId};
use windrow_server::domain::run::Run;
use windrow_server::legacy::{self, Defaults, LegacyRun, ParsedDocument, Plan};
use windrow_server::sources::{SAMPLE, SourceRegistry};

use self::documents::{Document, documents};
use self::input::InputFile;
use self::report::{Kind, Report};
use super::INTERRUPTED;

/// Rows per transaction: a few statements that take some milliseconds.
const BATCH: usize = 500;
/// Number of documents between two progress messages.
const PROGRESS: u64 = 10_000;
/// Exit code if some documents were rejected.
const EXIT_REJECTED: u8 = 3;

/// Returns exit code 0 if every document was imported, 3 if some were rejected.
pub(crate) async fn run(
    config: &Config,
    args: &ImportArgs,
    stop: &CancellationToken,
) -> Result<ExitCode, Box<dyn Error>> {
    let source = source(config, args)?;
    let files: Vec<InputFile> =
        args.files.iter().map(|file| InputFile::open(file)).collect::<Result<_, _>>()?;
    let offline = if args.dry_run {
        Server::open_existing(config, stop).await?
    } else {
        Some(Server::open_offline(config, stop).await?)
    };
    let app = offline.as_ref().map(|offline| offline.app.as_ref());
    let defaults = Defaults { source, now: app.map_or_else(SystemClock::uncorrected, App::now) };
    let import = Box::pin(Importer::new(app, &files, defaults, args).import());
    let imported = stop.run_until_cancelled(import).await;
    if let Some(offline) = offline {
        offline.close().await;
    }
    let Some(report) = imported.transpose()? else { return Ok(ExitCode::from(INTERRUPTED)) };
    Ok(if report.has_rejected() { ExitCode::from(EXIT_REJECTED) } else { ExitCode::SUCCESS })
}

/// The source of the jobs. The sample source is never the default, so that sample data does not get
/// mixed with real data by accident.
fn source(config: &Config, args: &ImportArgs) -> Result<String, Box<dyn Error>> {
    let names = SourceRegistry::from_settings(&config.sources)?.names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    match (
        &args.source,
        known.iter().filter(|name| **name != SAMPLE).collect::<Vec<_>>().as_slice(),
    ) {
        (Some(name), _) if names.contains(name) => Ok(name.clone()),
        (Some(name), _) => {
            Err(format!("unknown source '{name}'; available sources: {}", known.join(", ")).into())
        }
        (None, [only]) => Ok((**only).to_owned()),
        (None, _) => Err(format!(
            "--source is required to select the source of the jobs; available sources: {}",
            known.join(", ")
        )
        .into()),
    }
}

struct Importer<'a> {
    /// `None` if a dry run finds no schema: nothing exists yet.
    app: Option<&'a App>,
    files: &'a [InputFile],
    defaults: Defaults,
    args: &'a ImportArgs,
    mode: Mode,
    /// Ticks of the runs so far.
    ticks: Ticks,
    report: Report,
}

impl<'a> Importer<'a> {
    fn new(
        app: Option<&'a App>,
        files: &'a [InputFile],
        defaults: Defaults,
        args: &'a ImportArgs,
    ) -> Self {
        let mode = if args.dry_run { Mode::ValidateOnly } else { Mode::Commit };
        Self { app, files, defaults, args, mode, ticks: Ticks::new(), report: Report::default() }
    }

    async fn import(mut self) -> Result<Report, Box<dyn Error>> {
        let jobs = self.import_jobs().await?;
        self.import_runs(&jobs).await?;
        io::stdout().write_all(self.report.summary(self.mode).as_bytes())?;
        if let Some(file) = &self.args.report {
            std::fs::write(file, self.report.full(self.mode))?;
        }
        Ok(self.report)
    }

    /// Imports the scheduled jobs. Returns the ids of the imported and the existing ones.
    async fn import_jobs(&mut self) -> Result<BTreeSet<ScheduledJobId>, Box<dyn Error>> {
        let mut plan = Plan::default();
        let mut job_ids = BTreeSet::new();
        for document in documents(self.files) {
            let Document { content, position, overall_number } = document?;
            progress("scheduled jobs", overall_number)?;
            match content.and_then(|content| legacy::read(content, &self.defaults)) {
                Ok(parsed) => self.add_document(&mut plan, &mut job_ids, &position, parsed),
                Err(reason) => {
                    self.report.unreadable += 1;
                    self.report.add(Kind::Rejected, Some(&position), reason);
                }
            }
        }
        let existing = match self.app {
            Some(app) => app.existing_scheduled_jobs(&job_ids).await?,
            None => BTreeSet::new(),
        };
        let (jobs, rejected) = plan.jobs(&existing, self.defaults.now);
        for reason in rejected {
            self.report.jobs.rejected += 1;
            self.report.add(Kind::Rejected, None, reason);
        }
        let mut known = existing;
        known.extend(jobs.iter().map(|imported| imported.job.id.clone()));
        for batch in jobs.chunks(BATCH) {
            let rows: Vec<_> =
                batch.iter().map(|one| (one.job.clone(), one.last_ended_at)).collect();
            let new = match self.app {
                Some(app) => app.import_scheduled_jobs(&rows, self.mode).await?,
                None => batch.iter().map(|imported| imported.job.id.clone()).collect(),
            };
            for imported in batch {
                self.report.jobs.count(new.contains(&imported.job.id));
                if new.contains(&imported.job.id) {
                    for note in &imported.notes {
                        self.report.add(Kind::Repaired, None, note.clone());
                    }
                }
            }
        }
        Ok(known)
    }

    fn add_document(
        &mut self,
        plan: &mut Plan,
        job_ids: &mut BTreeSet<ScheduledJobId>,
        position: &str,
        document: ParsedDocument,
    ) {
        let ParsedDocument { job, run, notes, unknown_fields } = document;
        self.report.add_unknown_fields(unknown_fields);
        for note in notes {
            self.report.add(Kind::Repaired, Some(position), note);
        }
        if let Some(run) = run {
            job_ids.extend(run.possible_job_ids());
            plan.add_run(&run);
        }
        if let Some(job) = job {
            self.report.jobs.read += 1;
            let id = job.id.clone();
            job_ids.insert(id.clone());
            if !plan.add_job(job) {
                self.report.jobs.rejected += 1;
                let reason = format!("duplicate scheduled job '{id}'; kept the first one");
                self.report.add(Kind::Rejected, Some(position), reason);
            }
        }
    }

    async fn import_runs(&mut self, jobs: &BTreeSet<ScheduledJobId>) -> Result<(), Box<dyn Error>> {
        let mut seen: BTreeSet<RunId> = BTreeSet::new();
        let mut batch = Vec::with_capacity(BATCH);
        for document in documents(self.files) {
            let Document { content, position, overall_number } = document?;
            progress("runs", overall_number)?;
            // The first pass reported the repairs and rejections.
            let parsed = content.and_then(|content| legacy::read(content, &self.defaults));
            let Ok(ParsedDocument { run: Some(run), .. }) = parsed else { continue };
            self.report.runs.read += 1;
            if seen.insert(run.id().clone()) {
                batch.push((position, run));
            } else {
                self.report.runs.rejected += 1;
                let reason = format!("duplicate run '{}'; kept the first one", run.id());
                self.report.add(Kind::Rejected, Some(&position), reason);
            }
            if batch.len() == BATCH {
                self.import_batch(std::mem::take(&mut batch), jobs).await?;
            }
        }
        self.import_batch(batch, jobs).await
    }

    async fn import_batch(
        &mut self,
        batch: Vec<(String, LegacyRun)>,
        jobs: &BTreeSet<ScheduledJobId>,
    ) -> Result<(), Box<dyn Error>> {
        let (positions, runs): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let ids: Vec<RunId> = runs.iter().map(|run| run.id().clone()).collect();
        let mut runs: Vec<Run> = runs.into_iter().map(|run| Plan::link(run, jobs)).collect();
        let imported = match self.app {
            Some(app) => app.import_runs(runs, &mut self.ticks, self.mode).await?,
            None => ImportedRuns::of(&mut runs, &mut self.ticks),
        };
        for (position, id) in positions.iter().zip(ids) {
            self.report.runs.count(imported.new.contains(&id));
            if imported.second_of_tick.contains(&id) {
                let note = format!(
                    "run '{id}' is the second run of its tick; imported with origin recurring"
                );
                self.report.add(Kind::Repaired, Some(position), note);
            }
        }
        Ok(())
    }
}

/// Prints the progress of a pass every `PROGRESS` documents.
fn progress(pass: &str, number: u64) -> io::Result<()> {
    if number.is_multiple_of(PROGRESS) {
        writeln!(io::stderr(), "{pass}: read {number} documents")?;
    }
    Ok(())
}
