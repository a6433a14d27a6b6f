//! `windrow-server import`: takes over what an earlier system left behind.
//!
//! Two passes over the files: the first finds all scheduled jobs, as documents come in any order, and
//! the second the runs. Besides the jobs they hold a batch of runs and the ids of all in memory.

mod files;
mod report;

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use windrow_server::OfflineApp;
use windrow_server::app::Mode;
use windrow_server::cli::ImportArgs;
use windrow_server::domain::id::{RunId, ScheduledJobId};
use windrow_server::legacy::{self, Defaults, LegacyRun, ParsedDocument, Plan};
use windrow_server::sources::SAMPLE;

use self::files::{Line, lines};
use self::report::{Kind, Report};

/// Rows of one transaction: a few statements of some milliseconds.
const BATCH: usize = 500;
/// Lines between two signs of progress.
const PROGRESS: u64 = 10_000;
/// Some lines could not be taken over.
const REFUSED: u8 = 3;

/// Exit code 0 if every line was taken over, 3 if some were not.
pub(crate) async fn run(
    offline: &OfflineApp,
    args: &ImportArgs,
) -> Result<ExitCode, Box<dyn Error>> {
    let source = source(offline, args)?;
    let mode = if args.dry_run { Mode::ValidateOnly } else { Mode::Commit };
    let defaults = Defaults { source, now: offline.app.now() };
    let mut import = Importer { offline, args, defaults, mode, report: Report::default() };
    let jobs = import.jobs().await?;
    import.runs(&jobs).await?;
    let report = import.report;
    io::stdout().write_all(report.summary(mode).as_bytes())?;
    if let Some(file) = &args.report {
        std::fs::write(file, report.whole(mode))?;
    }
    Ok(if report.has_refused() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS })
}

/// The source that the jobs shall use; sample data must never pass for theirs by accident.
fn source(offline: &OfflineApp, args: &ImportArgs) -> Result<String, String> {
    let names = &offline.app.sources().names;
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    match (
        &args.source,
        known.iter().filter(|name| **name != SAMPLE).collect::<Vec<_>>().as_slice(),
    ) {
        (Some(name), _) if names.contains(name) => Ok(name.clone()),
        (Some(name), _) => {
            Err(format!("no source is named '{name}'; there are: {}", known.join(", ")))
        }
        (None, [only]) => Ok((**only).to_owned()),
        (None, _) => Err(format!(
            "say with --source which source the jobs shall use; there are: {}",
            known.join(", ")
        )),
    }
}

struct Importer<'a> {
    offline: &'a OfflineApp,
    args: &'a ImportArgs,
    defaults: Defaults,
    mode: Mode,
    report: Report,
}

impl Importer<'_> {
    /// Imports the scheduled jobs, and returns all that there are then.
    async fn jobs(&mut self) -> Result<BTreeSet<ScheduledJobId>, Box<dyn Error>> {
        let mut plan = Plan::default();
        let mut named = BTreeSet::new();
        for line in lines(&self.args.files) {
            let line = line?;
            progress("looked at", &line)?;
            match legacy::read(&line.text, &self.defaults) {
                Ok(understood) => self.plan(&mut plan, &mut named, &line, understood),
                Err(reason) => self.report.add(Kind::Refused, Some(&line), reason),
            }
        }
        let existing = self.offline.app.existing_scheduled_jobs(&named).await?;
        let (jobs, refused) = plan.jobs(&existing, self.defaults.now);
        for reason in refused {
            self.report.jobs.refused += 1;
            self.report.add(Kind::Refused, None, reason);
        }
        let mut known = existing;
        known.extend(jobs.iter().map(|imported| imported.job.id.clone()));
        for batch in jobs.chunks(BATCH) {
            let rows: Vec<_> =
                batch.iter().map(|one| (one.job.clone(), one.last_ended_at)).collect();
            let new = self.offline.app.import_scheduled_jobs(&rows, self.mode).await?;
            for imported in batch {
                self.report.jobs.count(new.contains(&imported.job.id));
                if new.contains(&imported.job.id) {
                    for note in &imported.notes {
                        self.report.add(Kind::Mended, None, note.clone());
                    }
                }
            }
        }
        Ok(known)
    }

    fn plan(
        &mut self,
        plan: &mut Plan,
        named: &mut BTreeSet<ScheduledJobId>,
        line: &Line,
        understood: ParsedDocument,
    ) {
        let ParsedDocument { job, run, notes, unknown } = understood;
        self.report.unknown(unknown);
        for note in notes {
            self.report.add(Kind::Mended, Some(line), note);
        }
        if let Some(run) = run {
            named.extend(run.job_names());
            plan.add_run(&run);
        }
        if let Some(job) = job {
            self.report.jobs.read += 1;
            let id = job.id.clone();
            named.insert(id.clone());
            if !plan.add_job(job) {
                self.report.jobs.refused += 1;
                let reason = format!("scheduled job '{id}' came before; the first one counts");
                self.report.add(Kind::Refused, Some(line), reason);
            }
        }
    }

    async fn runs(&mut self, jobs: &BTreeSet<ScheduledJobId>) -> Result<(), Box<dyn Error>> {
        let mut seen: BTreeSet<RunId> = BTreeSet::new();
        let mut batch = Vec::with_capacity(BATCH);
        for line in lines(&self.args.files) {
            let line = line?;
            progress("took over", &line)?;
            // What was refused or mended was told in the first pass.
            let Ok(understood) = legacy::read(&line.text, &self.defaults) else { continue };
            let Some(run) = understood.run else { continue };
            self.report.runs.read += 1;
            if seen.insert(run.id().clone()) {
                batch.push((line, run));
            } else {
                self.report.runs.refused += 1;
                let reason = format!("run '{}' came before; the first one counts", run.id());
                self.report.add(Kind::Refused, Some(&line), reason);
            }
            if batch.len() == BATCH {
                self.batch(std::mem::take(&mut batch), jobs).await?;
            }
        }
        self.batch(batch, jobs).await
    }

    async fn batch(
        &mut self,
        batch: Vec<(Line, LegacyRun)>,
        jobs: &BTreeSet<ScheduledJobId>,
    ) -> Result<(), Box<dyn Error>> {
        let (lines, runs): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let ids: Vec<RunId> = runs.iter().map(|run| run.id().clone()).collect();
        let runs = runs.into_iter().map(|run| Plan::link(run, jobs)).collect();
        let imported = self.offline.app.import_runs(runs, self.mode).await?;
        for (line, id) in lines.iter().zip(ids) {
            self.report.runs.count(imported.new.contains(&id));
            if imported.second_of_tick.contains(&id) {
                let note = format!("run '{id}' is its tick's second; its origin is recurring");
                self.report.add(Kind::Mended, Some(line), note);
            }
        }
        Ok(())
    }
}

/// Says every now and then how far a pass got.
fn progress(done: &str, line: &Line) -> io::Result<()> {
    if line.count.is_multiple_of(PROGRESS) {
        writeln!(io::stderr(), "{done} {} lines", line.count)?;
    }
    Ok(())
}
