//! Which pending runs are next. Runs go by their rank, but scheduled jobs take turns: a run counts as no
//! older than the last time when its job had a turn. So one job with thousands of pending runs keeps
//! others waiting for one run and not for all of them. One-off runs take turns as one job.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::id::RunId;

/// A pending run that a worker could execute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub run: RunId,
    /// The scheduled job whose turn it takes; empty for one-off runs.
    pub queue: String,
    pub source: String,
    pub rank_at: DateTime<Utc>,
    /// By how much it ranks before runs of the same age.
    pub boost: TimeDelta,
    /// When its queue had its last turn.
    pub last_turn_at: Option<DateTime<Utc>>,
}

/// How many more runs may begin. What is not named has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub sources: BTreeMap<String, i64>,
    pub queues: BTreeMap<String, i64>,
}

impl Capacity {
    fn is_there_for(&self, run: &Candidate) -> bool {
        let some = |left: Option<&i64>| left.is_none_or(|left| *left > 0);
        some(self.sources.get(&run.source)) && some(self.queues.get(&run.queue))
    }

    fn take(&mut self, run: &Candidate) {
        let rooms = [self.sources.get_mut(&run.source), self.queues.get_mut(&run.queue)];
        for left in rooms.into_iter().flatten() {
            *left -= 1;
        }
    }
}

/// Chooses at most `limit` runs, in the order in which they begin.
pub fn choose(
    candidates: Vec<Candidate>,
    mut room: Capacity,
    limit: usize,
    now: DateTime<Utc>,
) -> Vec<Candidate> {
    let mut waiting = candidates;
    waiting.sort_by(|a, b| (a.rank_at, &a.run).cmp(&(b.rank_at, &b.run)));
    let mut chosen: Vec<Candidate> = Vec::new();
    let mut turns: BTreeMap<String, usize> = BTreeMap::new();
    while chosen.len() < limit {
        // Of runs with the same rank and number of turns the first one, as they are sorted.
        let next = waiting
            .iter()
            .enumerate()
            .filter(|(_, run)| room.is_there_for(run))
            .min_by_key(|(_, run)| place(run, turns.get(&run.queue).copied().unwrap_or(0), now))
            .map(|(index, _)| index);
        let Some(index) = next else { break };
        let run = waiting.remove(index);
        room.take(&run);
        *turns.entry(run.queue.clone()).or_default() += 1;
        chosen.push(run);
    }
    chosen
}

/// Where a run stands when its queue has had so many turns just now.
fn place(
    run: &Candidate,
    turns: usize,
    now: DateTime<Utc>,
) -> (DateTime<Utc>, usize, Option<DateTime<Utc>>) {
    let last_turn_at = if turns > 0 { Some(now) } else { run.last_turn_at };
    let rank = last_turn_at.map_or(run.rank_at, |turn| run.rank_at.max(turn - run.boost));
    // Of two that have waited since the same instant the one whose turn is longer ago.
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
    fn a_job_with_ten_thousand_runs_leaves_every_other_turn_to_others() {
        let mut runs: Vec<_> = (0..10_000).map(|n| candidate("big", n, 0, 0)).collect();
        runs.push(candidate("small", 1, 3_600, 0));
        let mut last_turns: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
        let mut order = Vec::new();
        // One worker with room for one run, which takes a second.
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
    fn limits_are_kept_and_others_go_on() {
        let elsewhere = |n| Candidate { source: "mls".to_owned(), ..candidate("b", n, 0, 0) };
        let mut runs: Vec<_> = (0..9).map(|n| candidate("a", n, 0, 0)).collect();
        runs.extend((0..9).map(elsewhere));
        let room = Capacity {
            sources: BTreeMap::from([("mls".to_owned(), 2)]),
            queues: BTreeMap::from([("a".to_owned(), 3)]),
        };
        let chosen = choose(runs, room, 99, at(10));
        let of = |queue: &str| chosen.iter().filter(|run| run.queue == queue).count();
        assert_eq!((of("a"), of("b")), (3, 2));
    }
}
