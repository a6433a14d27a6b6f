//! The watchers together.

use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::outbox::Outbox;
use super::stage::Stage;
use super::watcher::{Interest, Seen, Watcher};
use crate::support::PATIENCE;

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

    /// One more, who follows from now on.
    pub fn add(&self, asks: Interest) {
        let mut watchers = self.watchers.lock().unwrap();
        let seed = self.seed.wrapping_add(u64::try_from(watchers.len()).unwrap());
        let watcher = Arc::new(Watcher::new(asks, &self.stage, seed));
        watchers.push(Arc::clone(&watcher));
        self.following.lock().unwrap().spawn(async move { watcher.follow().await });
    }

    pub fn len(&self) -> usize {
        self.watchers.lock().unwrap().len()
    }

    /// Streams that were complete at some time, and messages that came again.
    pub fn figures(&self) -> (u32, u32) {
        let watchers = self.watchers.lock().unwrap();
        let figures = watchers.iter().map(|watcher| watcher.figures());
        figures.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Waits until each has a stream in which nothing is missing.
    pub async fn wait_until_synced(&self) {
        self.wait("the watchers begin", |watcher| watcher.figures().0 > 0).await;
    }

    /// Each has seen what the outbox holds for it, in its order, once.
    pub async fn compare(&self, outbox: &Outbox) {
        self.wait("all is seen", |watcher| {
            outbox.changes(&watcher.seen(), &watcher.asks).len()
                >= outbox.expected(&watcher.asks).len()
        })
        .await;
        for watcher in self.watchers.lock().unwrap().iter() {
            let expected = outbox.expected(&watcher.asks);
            let seen = outbox.changes(&watcher.seen(), &watcher.asks);
            let differ = seen.iter().zip(&expected).find(|(seen, expected)| seen != expected);
            assert!(differ.is_none(), "{:?}: {differ:#?}", watcher.asks);
            assert_eq!(seen.len(), expected.len(), "{:?}", watcher.asks);
        }
    }

    /// Waits until it holds for all, as long as anything is seen.
    async fn wait(&self, what: &str, holds: impl Fn(&Watcher) -> bool) {
        let begin = Instant::now();
        loop {
            while let Some(ended) = self.following.lock().unwrap().try_join_next() {
                ended.unwrap();
            }
            let missing = self.watchers.lock().unwrap().iter().find(|one| !holds(one)).cloned();
            let Some(watcher) = missing else { return };
            if begin.elapsed() > PATIENCE {
                let last: Vec<Seen> = watcher.seen().into_iter().rev().take(3).collect();
                panic!("not before {what}: {:?}, which last saw {last:#?}", watcher.asks);
            }
            sleep(std::time::Duration::from_millis(200)).await;
        }
    }
}
