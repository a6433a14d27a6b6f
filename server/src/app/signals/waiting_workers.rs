//! Calls of workers that wait for runs, in the order in which they came.
//!
//! A change wakes as many of them as it may have runs for, so its cost does not depend on the number that wait. One
//! that leases as many runs as it can wakes the next ones. Only the first of each source polls.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::Work;

/// Interval of the looks without a signal: for runs that become ready as time passes, and for lost signals.
const POLL: Duration = Duration::from_secs(1);
/// Maximum number of waiting calls. Each costs some kilobytes and a timer.
const WAITING: usize = 4_096;
/// Maximum number of waiting calls of a worker. It should have one, but the server may not notice at once that a
/// connection is lost.
const WAITING_OF_WORKER: usize = 8;

/// More calls wait than the server accepts, in total or of this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyWaiting;

/// The waiting calls of a server.
#[derive(Debug, Default)]
pub struct WaitingWorkers(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    came: u64,
    places: BTreeMap<u64, Place>,
    /// The calls that are not woken, by source.
    lined_up: BTreeMap<String, BTreeSet<u64>>,
    by_worker: BTreeMap<String, BTreeSet<u64>>,
}

#[derive(Debug)]
struct Place {
    worker_id: String,
    sources: BTreeSet<String>,
    capacity: usize,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    woken: Notify,
    is_dismissed: AtomicBool,
}

/// A waiting call. Leaves the line when dropped.
#[derive(Debug)]
pub struct WaitingWorker {
    workers: Arc<WaitingWorkers>,
    number: u64,
    signal: Arc<Signal>,
}

impl WaitingWorkers {
    /// Signals from now on reach the call, even before it waits.
    pub fn enter(
        self: &Arc<Self>,
        worker_id: &str,
        sources: &BTreeSet<String>,
        capacity: usize,
    ) -> Result<WaitingWorker, TooManyWaiting> {
        let signal = Arc::new(Signal::default());
        let place = Place {
            worker_id: worker_id.to_owned(),
            sources: sources.clone(),
            capacity: capacity.max(1),
            signal: Arc::clone(&signal),
        };
        let number = self.line().enter(place)?;
        Ok(WaitingWorker { workers: Arc::clone(self), number, signal })
    }

    pub fn send(&self, work: &Work) {
        let mut line = self.line();
        match work {
            Work::BySource(counts) => {
                for (source, count) in counts {
                    line.wake(source, *count);
                }
            }
            Work::Any(count) => {
                let sources: Vec<String> = line.lined_up.keys().cloned().collect();
                for source in &sources {
                    line.wake(source, *count);
                }
            }
        }
    }

    /// Ends the waiting calls of a worker that stops.
    pub fn dismiss(&self, worker_id: &str) {
        let line = self.line();
        let numbers = line.by_worker.get(worker_id).into_iter().flatten();
        for place in numbers.filter_map(|number| line.places.get(number)) {
            place.signal.is_dismissed.store(true, Ordering::Relaxed);
            place.signal.woken.notify_one();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn enter(&mut self, place: Place) -> Result<u64, TooManyWaiting> {
        let of_worker = self.by_worker.get(&place.worker_id).map_or(0, BTreeSet::len);
        if self.places.len() >= WAITING || of_worker >= WAITING_OF_WORKER {
            return Err(TooManyWaiting);
        }
        self.came += 1;
        let number = self.came;
        self.by_worker.entry(place.worker_id.clone()).or_default().insert(number);
        self.places.insert(number, place);
        self.line_up(number);
        Ok(number)
    }

    fn line_up(&mut self, number: u64) {
        for source in self.places.get(&number).iter().flat_map(|place| &place.sources) {
            self.lined_up.entry(source.clone()).or_default().insert(number);
        }
    }

    /// Wakes the first calls of a source that can lease this number of runs together.
    fn wake(&mut self, source: &str, mut runs: usize) {
        while runs > 0
            && let Some(number) = self.lined_up.get(source).and_then(|calls| calls.first().copied())
        {
            if let Some(place) = self.places.get(&number) {
                place.signal.woken.notify_one();
                runs = runs.saturating_sub(place.capacity);
            }
            self.step_out(number);
        }
    }

    /// Takes a call out of the line; false if it was woken before.
    fn step_out(&mut self, number: u64) -> bool {
        let mut was_lined_up = false;
        for source in self.places.get(&number).iter().flat_map(|place| &place.sources) {
            let Some(calls) = self.lined_up.get_mut(source) else { continue };
            was_lined_up |= calls.remove(&number);
            if calls.is_empty() {
                self.lined_up.remove(source);
            }
        }
        was_lined_up
    }

    fn is_first(&self, number: u64) -> bool {
        let place = self.places.get(&number);
        place
            .into_iter()
            .flat_map(|place| &place.sources)
            .any(|source| self.lined_up.get(source).and_then(BTreeSet::first) == Some(&number))
    }

    fn leave(&mut self, number: u64) {
        let was_woken = !self.step_out(number);
        let Some(place) = self.places.remove(&number) else { return };
        if let Some(calls) = self.by_worker.get_mut(&place.worker_id) {
            calls.remove(&number);
            if calls.is_empty() {
                self.by_worker.remove(&place.worker_id);
            }
        }
        // It was woken for runs, and has not looked since.
        if was_woken {
            place.sources.iter().for_each(|source| self.wake(source, place.capacity));
        }
    }
}

impl WaitingWorker {
    /// Takes its place again after a signal. Call it before each look, or a signal between the look and the wait
    /// would be lost.
    pub fn line_up(&self) {
        self.workers.line().line_up(self.number);
    }

    /// Waits for a signal, for its turn to poll, or until `until`.
    pub async fn wait_until(&self, until: Instant) {
        loop {
            let poll = until.min(Instant::now() + POLL);
            let woken = timeout_at(poll, self.signal.woken.notified()).await;
            if woken.is_ok() || poll == until || self.workers.line().is_first(self.number) {
                return;
            }
        }
    }

    /// Whether its worker stops.
    pub fn is_dismissed(&self) -> bool {
        self.signal.is_dismissed.load(Ordering::Relaxed)
    }
}

impl Drop for WaitingWorker {
    fn drop(&mut self) {
        self.workers.line().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn enter(line: &Arc<WaitingWorkers>, worker: &str, sources: &[&str]) -> WaitingWorker {
        let sources = sources.iter().map(|name| (*name).to_owned()).collect();
        line.enter(worker, &sources, 2).unwrap()
    }

    fn runs_of(source: &str, runs: usize) -> Work {
        Work::of_sources([&source.to_owned()], runs)
    }

    fn is_woken(worker: &WaitingWorker) -> bool {
        worker.signal.woken.notified().now_or_never().is_some()
    }

    fn woken(workers: &[WaitingWorker]) -> Vec<bool> {
        workers.iter().map(is_woken).collect()
    }

    #[test]
    fn a_change_wakes_no_more_workers_than_it_has_runs_for() {
        let line = Arc::default();
        let workers = ["a", "b", "c", "d"].map(|worker| enter(&line, worker, &["mls"]));
        let other = enter(&line, "e", &["other"]);
        line.send(&runs_of("mls", 3));
        assert_eq!(woken(&workers), [true, true, false, false]);
        line.send(&Work::Any(1));
        assert_eq!(woken(&workers), [false, false, true, false]);
        assert!(is_woken(&other));
        workers[0].line_up();
        line.send(&runs_of("mls", 1));
        assert_eq!(woken(&workers), [true, false, false, false], "it kept its place");
    }

    #[test]
    fn a_worker_that_leaves_without_a_look_wakes_the_next() {
        let line = Arc::default();
        let (one, other) = (enter(&line, "a", &["mls", "b"]), enter(&line, "b", &["mls"]));
        line.send(&runs_of("mls", 1));
        assert!(is_woken(&one) && !is_woken(&other));
        drop(one);
        assert!(is_woken(&other));
        drop(other);
        let line = line.line();
        assert!(line.places.is_empty() && line.lined_up.is_empty() && line.by_worker.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_first_worker_of_a_source_polls() {
        let line = Arc::default();
        let (one, other) = (enter(&line, "a", &["mls"]), enter(&line, "b", &["mls"]));
        let begin = Instant::now();
        let until = begin + Duration::from_secs(20);
        one.wait_until(until).await;
        assert_eq!(begin.elapsed().as_secs(), 1);
        other.wait_until(until).await;
        assert_eq!(begin.elapsed().as_secs(), 20);
    }

    #[test]
    fn waiting_calls_are_limited_in_total_and_by_worker() {
        let (line, sources) = (Arc::<WaitingWorkers>::default(), BTreeSet::default());
        let of_one: Vec<_> =
            (0..WAITING_OF_WORKER).map(|_| line.enter("a", &sources, 1).unwrap()).collect();
        assert_eq!(line.enter("a", &sources, 1).unwrap_err(), TooManyWaiting);
        drop(of_one);
        let all: Vec<_> = (0..WAITING)
            .map(|number| line.enter(&number.to_string(), &sources, 1).unwrap())
            .collect();
        assert_eq!(line.enter("a", &sources, 1).unwrap_err(), TooManyWaiting);
        drop(all);
        line.enter("a", &sources, 1).unwrap();
    }
}
