//! A watch of all matching runs, until Ctrl-C.

use std::io::{self, IsTerminal};
use std::mem;
use std::time::Duration;

use console::is_dumb;
use futures::TryStreamExt;
use tokio::time::MissedTickBehavior;
use windrow_client::{Client, WatchEvent, WatchEvents};

use super::board::Board;
use super::object::show_event;
use super::{INTERRUPTED, WatchArgs, connection_lost, unless_interrupted};
use crate::cmd::check_job;
use crate::failure::Failure;
use crate::output::{Format, Output, hint, line};
use crate::render::{self, Layout, clean};

/// Redraws the table at this interval: not more often however many events there are, and not less often, so
/// that times advance.
const REDRAW_INTERVAL: Duration = Duration::from_millis(250);

pub(super) async fn all(client: &Client, output: Output, args: WatchArgs) -> Result<u8, Failure> {
    if !args.scheduled_job_id.is_empty() {
        check_job(client, &args.scheduled_job_id).await?;
    }
    let watch = client
        .watch_all()
        .job(args.scheduled_job_id)
        .filter(args.filter)
        .resume_from(args.resume_token);
    match output.format {
        // A program that reads objects counts on all of them, so a gap is an error.
        Format::Json | Format::Yaml | Format::Quiet => {
            unless_interrupted(objects(watch.full().events(), output)).await?;
        }
        Format::Table if io::stdout().is_terminal() && !is_dumb() => {
            let mut board = Board::new(client.endpoint(), output.layout);
            let shown = unless_interrupted(table(watch.resync().events(), &mut board)).await;
            board.clear();
            shown?;
        }
        Format::Table => {
            unless_interrupted(lines(watch.resync().events(), &output.layout)).await?;
        }
    }
    Ok(INTERRUPTED)
}

async fn table(mut events: WatchEvents, board: &mut Board) -> Result<(), Failure> {
    let mut redraw = tokio::time::interval(REDRAW_INTERVAL);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.try_next() => match event? {
                Some(event) => board.apply(event),
                None => return Ok(()),
            },
            _ = redraw.tick() => board.draw(events.feed_lag()),
        }
    }
}

async fn lines(mut events: WatchEvents, layout: &Layout) -> Result<(), Failure> {
    let mut remarks = Remarks::default();
    while let Some(event) = events.try_next().await? {
        remarks.on(&event);
        if let Some(run) = event.run() {
            line(&format!("{} {}", clean(&run.job_id), render::progress(layout, run)))?;
        }
    }
    Ok(())
}

async fn objects(mut events: WatchEvents, output: Output) -> Result<(), Failure> {
    let mut remarks = Remarks::default();
    while let Some(event) = events.try_next().await? {
        remarks.on(&event);
        show_event(output, &event, events.resume_token(), events.feed_lag())?;
    }
    Ok(())
}

/// Reports the state of the connection on stderr.
#[derive(Default)]
struct Remarks {
    is_interrupted: bool,
}

impl Remarks {
    fn on(&mut self, event: &WatchEvent) {
        let is_lost = matches!(event, WatchEvent::Interrupted(_));
        if mem::replace(&mut self.is_interrupted, is_lost) && !is_lost {
            hint("Reconnected");
        }
        match event {
            WatchEvent::Interrupted(error) => hint(&connection_lost(error)),
            WatchEvent::Resynced(error) => hint(&format!(
                "Changes were missed; starting over with the current runs: {}",
                clean(&error.to_string())
            )),
            _ => {}
        }
    }
}
