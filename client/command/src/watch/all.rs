//! All runs that match, until Ctrl-C.

use std::io::{self, IsTerminal};
use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::MissedTickBehavior;
use windrow_client::proto::{WatchKind, WatchScrapingJobsResponse};
use windrow_client::{Client, WatchEvent, WatchEvents};

use super::board::Board;
use super::{INTERRUPTED, WatchArgs, trying_again, unless_interrupted};
use crate::failure::Failure;
use crate::output::{Output, hint, line};
use crate::text;

/// A table is drawn no more often, whatever happens, and no less, as times go by.
const REDRAW: Duration = Duration::from_millis(250);

pub(super) async fn all(client: &Client, output: Output, args: WatchArgs) -> Result<u8, Failure> {
    let watch = client
        .watch_all()
        .job(args.scheduled_job_id)
        .filter(args.filter)
        .resume_from(args.resume_token);
    match output {
        // Who reads objects counts on all of them: a gap is an error.
        Output::Json | Output::Yaml => {
            let events = watch.full().events();
            unless_interrupted(objects(events, output)).await?;
        }
        Output::Table if io::stdout().is_terminal() => {
            let mut board = Board::new(client.endpoint());
            let events = watch.resync().events();
            let shown = unless_interrupted(table(events, &mut board)).await;
            board.clear();
            shown?;
        }
        Output::Table => {
            let events = watch.resync().events();
            unless_interrupted(lines(events)).await?;
        }
    }
    Ok(INTERRUPTED)
}

async fn table(mut events: WatchEvents, board: &mut Board) -> Result<(), Failure> {
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.try_next() => match event? {
                Some(event) => board.take(event),
                None => return Ok(()),
            },
            _ = redraw.tick() => board.draw(events.feed_lag()),
        }
    }
}

async fn lines(mut events: WatchEvents) -> Result<(), Failure> {
    while let Some(event) = events.try_next().await? {
        match &event {
            WatchEvent::Current(run) | WatchEvent::Changed(run) | WatchEvent::Left(run) => {
                line(&format!("{} {}", text::clean(&run.job_id), text::progress(run)))?;
            }
            _ => remark(&event)?,
        }
    }
    Ok(())
}

async fn objects(mut events: WatchEvents, output: Output) -> Result<(), Failure> {
    while let Some(event) = events.try_next().await? {
        let kind = match &event {
            WatchEvent::Current(_) => WatchKind::Current,
            WatchEvent::Changed(_) => WatchKind::Changed,
            WatchEvent::Left(_) => WatchKind::Left,
            WatchEvent::Synced => WatchKind::Synced,
            WatchEvent::Bookmark => WatchKind::Bookmark,
            _ => {
                remark(&event)?;
                continue;
            }
        };
        let message = WatchScrapingJobsResponse {
            kind: kind.into(),
            scraping_job: event.run().cloned(),
            resume_token: events.resume_token().to_owned(),
            ..Default::default()
        };
        output.show("WatchScrapingJobsResponse", &message, |_| String::new())?;
    }
    Ok(())
}

/// Where the watch itself is goes to stderr.
fn remark(event: &WatchEvent) -> io::Result<()> {
    match event {
        WatchEvent::Interrupted(error) => hint(&trying_again(error)),
        WatchEvent::Resynced(error) => hint(&format!(
            "Changes were missed, beginning anew: {}",
            text::clean(&error.to_string())
        )),
        _ => Ok(()),
    }
}
