//! All watchers of the suite.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::outbox::Outbox;
use super::watcher::{Interest, Seen, Watcher};
use crate::stage::Stage;
use crate::support::eventually;

pub struct Crowd {
    stage: Arc<Stage>,
    seed: u64,
    watchers: Mutex<Vec<Arc<Watcher>>>,
    following: Mutex<JoinSet<()>>,
}

impl Crowd {
    pub fn new(stage: &Arc<Stage>, seed: u64) -> Self {
        let (watchers, following) = (Mutex::default(), Mutex::default());
        Self { stage: Arc::clone(stage), seed, watchers, following }
    }

    /// Starts another watcher.
    pub fn add(&self, interest: Interest) {
        let mut watchers = self.watchers.lock().unwrap();
        let seed = self.seed.wrapping_add(u64::try_from(watchers.len()).unwrap());
        let watcher = Arc::new(Watcher::new(interest, &self.stage, seed));
        watchers.push(Arc::clone(&watcher));
        self.following.lock().unwrap().spawn(async move { watcher.follow().await });
    }

    pub fn len(&self) -> usize {
        self.watchers.lock().unwrap().len()
    }

    /// Streams that reached SYNCED, and repeated messages.
    pub fn figures(&self) -> (u32, u32) {
        let watchers = self.watchers.lock().unwrap();
        let figures = watchers.iter().map(|watcher| watcher.figures());
        figures.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Waits until each watcher has received SYNCED.
    pub async fn wait_until_synced(&self) {
        self.wait("each watcher receives SYNCED", |watcher| watcher.figures().0 > 0).await;
    }

    /// Checks that each watcher has seen its messages exactly once and in order.
    pub async fn compare(&self, outbox: &Outbox) {
        self.wait("each watcher receives its messages", |watcher| {
            outbox.changes(&watcher.seen(), &watcher.interest).len()
                >= outbox.expected(&watcher.interest).len()
        })
        .await;
        for watcher in self.watchers.lock().unwrap().iter() {
            let expected = outbox.expected(&watcher.interest);
            let seen = outbox.changes(&watcher.seen(), &watcher.interest);
            let differ = seen.iter().zip(&expected).find(|(seen, expected)| seen != expected);
            assert!(differ.is_none(), "{:?}: {differ:#?}", watcher.interest);
            assert_eq!(seen.len(), expected.len(), "{:?}", watcher.interest);
        }
    }

    /// Waits until the condition holds for all watchers. Fails if one of them has failed.
    async fn wait(&self, what: &str, holds: impl Fn(&Watcher) -> bool) {
        eventually(what, async || {
            while let Some(ended) = self.following.lock().unwrap().try_join_next() {
                ended.unwrap();
            }
            let watchers = self.watchers.lock().unwrap();
            let Some(watcher) = watchers.iter().find(|one| !holds(one)) else { return Ok(()) };
            let last: Vec<Seen> = watcher.seen().into_iter().rev().take(3).collect();
            Err(format!("{:?} last saw {last:?}", watcher.interest))
        })
        .await;
    }
}
