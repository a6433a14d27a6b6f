//! Order in which pending runs are leased. Runs are ordered by rank, but scheduled jobs take turns: a run
//! counts as no older than the last turn of its job. A job with thousands of pending runs therefore delays
//! the others by one run, not by all of them. One-off runs take turns as one job.

use std::collections::BTreeMap;

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

/// Chooses up to `limit` runs, in the order in which they are leased.
pub fn choose(
    candidates: Vec<Candidate>,
    mut capacity: Capacity,
    limit: usize,
    now: DateTime<Utc>,
) -> Vec<Candidate> {
    let mut waiting = candidates;
    waiting.sort_by(|a, b| (a.rank_at, &a.run).cmp(&(b.rank_at, &b.run)));
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    while chosen.len() < limit {
        // The candidates are sorted: of several with the same place, the first one is taken.
        let next = waiting
            .iter()
            .enumerate()
            .filter(|(_, run)| capacity.admits(run))
            .min_by_key(|(_, run)| place(run, turns.get(&run.queue).copied().unwrap_or(0), now))
            .map(|(index, _)| index);
        let Some(index) = next else { break };
        let run = waiting.remove(index);
        capacity.take(&run);
        *turns.entry(run.queue.clone()).or_default() += 1;
        chosen.push(run);
    }
    chosen
}

/// Sort key of a run after `turns` turns of its queue in this choice.
fn place(
    run: &Candidate,
    turns: usize,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, usize, Option<DateTime<Utc>>) {
    let last_turn_at = if turns > 0 { Some(now) } else { run.last_turn_at };
    let rank = last_turn_at.map_or(run.rank_at, |turn| run.rank_at.max(turn - run.boost));
    // Of two runs with the same rank, the one whose queue had its last turn earlier.
    (rank, turns, last_turn_at)
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
