//! Order in which pending runs are leased. Runs are ordered by rank, but scheduled jobs take turns: a run
//! counts as no older than the last turn of its job. A job with thousands of pending runs therefore delays
//! the others by one run, not by all of them. One-off runs take turns as one job.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use chrono::{DateTime, TimeDelta, Utc};

use super::id::RunId;

/// A pending run that a worker could execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub run: RunId,
    /// Its scheduled job; empty for one-off runs.
    pub queue: String,
    pub source: String,
    pub rank_at: DateTime<Utc>,
    /// Lead of its rank over that of a run with the same age.
    pub boost: TimeDelta,
    /// Last turn of its queue.
    pub last_turn_at: Option<DateTime<Utc>>,
}

/// Number of runs that may still start, by source and by queue. An absent one is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub sources: BTreeMap<String, i64>,
    pub queues: BTreeMap<String, i64>,
}

impl Capacity {
    fn admits(&self, run: &Candidate) -> bool {
        let is_free = |left: Option<&i64>| left.is_none_or(|left| *left > 0);
        is_free(self.sources.get(&run.source)) && is_free(self.queues.get(&run.queue))
    }

    fn take(&mut self, run: &Candidate) {
        let limits = [self.sources.get_mut(&run.source), self.queues.get_mut(&run.queue)];
        for left in limits.into_iter().flatten() {
            *left -= 1;
        }
    }
}

/// Runs that wait for workers. The workers of one look take from it, one after another.
#[derive(Debug, Default)]
pub struct Waiting {
    lines: Vec<VecDeque<Candidate>>,
    /// Turns of each queue in this look.
    turns: BTreeMap<String, usize>,
}

/// Sort key of a run.
type Place = (DateTime<Utc>, usize, Option<DateTime<Utc>>, DateTime<Utc>, RunId);

impl Waiting {
    /// Divides the runs into lines. Those of the same queue, source and boost keep their order, whatever turns
    /// their queue had.
    pub fn new(mut runs: Vec<Candidate>) -> Self {
        runs.sort_by(|a, b| (a.rank_at, &a.run).cmp(&(b.rank_at, &b.run)));
        let mut lines: BTreeMap<_, VecDeque<Candidate>> = BTreeMap::new();
        for run in runs {
            let line = (run.queue.clone(), run.source.clone(), run.boost);
            lines.entry(line).or_default().push_back(run);
        }
        Self { lines: lines.into_values().collect(), turns: BTreeMap::new() }
    }

    /// Takes up to `limit` runs that `is_served` accepts, in the order in which they are leased.
    pub fn take(
        &mut self,
        capacity: &mut Capacity,
        is_served: impl Fn(&Candidate) -> bool,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Vec<Candidate> {
        let first = |(number, line): (usize, &VecDeque<Candidate>)| {
            let run = line.front().filter(|run| is_served(run))?;
            Some(Reverse((self.place(run, now), number)))
        };
        let mut firsts: BinaryHeap<_> = self.lines.iter().enumerate().filter_map(first).collect();
        let mut taken: Vec<Candidate> = Vec::new();
        while taken.len() < limit
            && let Some(Reverse((expected, number))) = firsts.pop()
        {
            let Some(run) = self.lines.get(number).and_then(VecDeque::front) else { continue };
            let place = self.place(run, now);
            // A turn has moved the other lines of its queue back.
            if place > expected {
                firsts.push(Reverse((place, number)));
                continue;
            }
            // A limit that stops this run also stops the others of its line.
            if !capacity.admits(run) {
                continue;
            }
            capacity.take(run);
            *self.turns.entry(run.queue.clone()).or_default() += 1;
            let line = self.lines.get_mut(number);
            let (run, next) = line.map_or((None, None), |line| (line.pop_front(), line.front()));
            taken.extend(run);
            if let Some(next) = next.cloned() {
                firsts.push(Reverse((self.place(&next, now), number)));
            }
        }
        taken
    }

    fn place(&self, run: &Candidate, now: DateTime<Utc>) -> Place {
        let turns = self.turns.get(&run.queue).copied().unwrap_or(0);
        let last_turn_at = if turns > 0 { Some(now) } else { run.last_turn_at };
        let rank = last_turn_at.map_or(run.rank_at, |turn| run.rank_at.max(turn - run.boost));
        // Of two runs with the same rank, the one whose queue had its last turn earlier, then the older one.
        (rank, turns, last_turn_at, run.rank_at, run.run.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn candidate(queue: &str, number: i64, created: i64, boost_days: i64) -> Candidate {
        let boost = TimeDelta::days(boost_days);
        Candidate {
            run: RunId::parse(&format!("{queue}{number:05}")).unwrap(),
            queue: queue.to_owned(),
            source: "sample".to_owned(),
            rank_at: at(created) - boost,
            boost,
            last_turn_at: None,
        }
    }

    /// Chooses for a worker of all sources.
    fn choose(
        runs: Vec<Candidate>,
        mut capacity: Capacity,
        limit: usize,
        now: DateTime<Utc>,
    ) -> Vec<Candidate> {
        Waiting::new(runs).take(&mut capacity, |_| true, limit, now)
    }

    fn ids(chosen: &[Candidate]) -> Vec<&str> {
        chosen.iter().map(|run| run.run.as_str()).collect()
    }

    #[test]
    fn older_runs_go_first_and_urgent_ones_before_them() {
        let runs = vec![candidate("a", 1, 5, 0), candidate("b", 1, 1, 0), candidate("c", 1, 9, 10)];
        let chosen = choose(runs, Capacity::default(), 3, at(10));
        assert_eq!(ids(&chosen), ["c00001", "b00001", "a00001"]);
    }

    #[test]
    fn a_job_with_ten_thousand_runs_leaves_every_second_turn_to_others() {
        let mut runs: Vec<_> = (0..10_000).map(|n| candidate("big", n, 0, 0)).collect();
        runs.push(candidate("small", 1, 3_600, 0));
        let mut last_turns: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        let mut order = Vec::new();
        // One worker that executes one run at a time, each for a second.
        for second in 3_600..3_604 {
            for run in &mut runs {
                run.last_turn_at = last_turns.get(&run.queue).copied();
            }
            let chosen = choose(runs.clone(), Capacity::default(), 1, at(second));
            runs.retain(|run| run.run != chosen[0].run);
            last_turns.insert(chosen[0].queue.clone(), at(second));
            order.push(chosen[0].queue.clone());
        }
        assert_eq!(order, ["big", "small", "big", "big"]);
    }

    #[test]
    fn jobs_take_turns_within_one_choice_too() {
        let mut runs: Vec<_> = (0..4).map(|n| candidate("a", n, 0, 0)).collect();
        runs.extend((0..2).map(|n| candidate("b", n, 5, 0)));
        let chosen = choose(runs, Capacity::default(), 5, at(10));
        let queues: Vec<&str> = chosen.iter().map(|run| run.queue.as_str()).collect();
        assert_eq!(queues, ["a", "b", "a", "b", "a"]);
    }

    #[test]
    fn an_urgent_run_of_a_job_that_had_its_turn_still_goes_first() {
        let urgent = Candidate { last_turn_at: Some(at(9)), ..candidate("a", 1, 9, 10) };
        let chosen = choose(vec![candidate("b", 1, 0, 0), urgent], Capacity::default(), 1, at(10));
        assert_eq!(ids(&chosen), ["a00001"]);
    }

    #[test]
    fn workers_share_the_waiting_runs() {
        let elsewhere = Candidate { source: "mls".to_owned(), ..candidate("b", 1, 0, 0) };
        let runs = vec![candidate("a", 1, 0, 0), candidate("a", 2, 0, 0), elsewhere];
        let mut waiting = Waiting::new(runs);
        let mut capacity = Capacity::default();
        let mut take = |source: &str| {
            let served = |run: &Candidate| run.source == source;
            waiting.take(&mut capacity, served, 1, at(10)).len()
        };
        let taken = ["mls", "mls", "sample", "sample", "sample"].map(&mut take);
        assert_eq!(taken, [1, 0, 1, 1, 0]);
    }

    #[test]
    fn urgent_and_other_runs_of_a_job_take_their_places_after_its_turn() {
        // After a turn, the urgent run is before the older one: its lead counts from the turn.
        let runs = vec![candidate("a", 1, 0, 0), candidate("a", 2, 5, 3), candidate("a", 3, 6, 3)];
        let runs = runs.into_iter().map(|run| Candidate { last_turn_at: Some(at(9)), ..run });
        let chosen = choose(runs.collect(), Capacity::default(), 3, at(10));
        assert_eq!(ids(&chosen), ["a00002", "a00003", "a00001"]);
    }

    #[test]
    fn a_reached_limit_does_not_block_other_queues() {
        let elsewhere = |n| Candidate { source: "mls".to_owned(), ..candidate("b", n, 0, 0) };
        let mut runs: Vec<_> = (0..9).map(|n| candidate("a", n, 0, 0)).collect();
        runs.extend((0..9).map(elsewhere));
        let capacity = Capacity {
            sources: BTreeMap::from([("mls".to_owned(), 2)]),
            queues: BTreeMap::from([("a".to_owned(), 3)]),
        };
        let chosen = choose(runs, capacity, 99, at(10));
        let of = |queue: &str| chosen.iter().filter(|run| run.queue == queue).count();
        assert_eq!((of("a"), of("b")), (3, 2));
    }
}
