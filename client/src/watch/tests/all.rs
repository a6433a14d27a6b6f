//! Watches of all runs that match.

use super::*;

#[tokio::test]
async fn starting_over_repeatedly_pauses_longer_each_time() {
    let resets = || (0..3).map(|_| (vec![because("FEED_RESET")], Closed));
    let synced = (vec![message(Kind::Synced, None, "1")], Silent);
    let fake = all(resets().chain([synced]).collect());
    let at_least = Duration::from_millis(50 + 100 + 200);
    let begin = Instant::now();

    let seen = first(fake.client().await.watch_all().resync(), 4).await;

    assert_eq!(seen[3], "synced");
    assert!(begin.elapsed() >= at_least, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn all_runs_are_returned_once_across_a_loss() {
    let fake = all(vec![
        (
            vec![
                message(Kind::Current, run("b", 2, S::Running), ""),
                message(Kind::Current, run("a", 1, S::Pending), ""),
                message(Kind::Synced, None, "1"),
                message(Kind::Changed, run("a", 2, S::Running), "2"),
                message(Kind::Bookmark, None, "3"),
                stopping(),
            ],
            Closed,
        ),
        (
            vec![
                message(Kind::Changed, run("a", 2, S::Running), "4"),
                message(Kind::Changed, run("b", 3, S::Completed), "5"),
                message(Kind::Synced, None, "5"),
                message(Kind::Changed, run("b", 3, S::Completed), "6"),
                message(Kind::Left, run("a", 3, S::Completed), "7"),
            ],
            Silent,
        ),
    ]);
    let client = fake.client().await;

    let seen = first(client.watch_all().filter("f"), 9).await;

    let expected = "current b2,current a1,synced,changed a2,bookmark,interrupted Unavailable,\
        changed b3,synced,left a3";
    assert_eq!(seen, expected.split(',').collect::<Vec<_>>());
    let requests = fake.watched_all.lock().unwrap();
    assert_eq!((&*requests[1].resume_token, &*requests[1].filter), ("3", "f"));
}

#[tokio::test]
async fn current_runs_are_held_back_until_all_were_received() {
    // The run a ends in between: its end would never be returned.
    let current = |id, token| message(Kind::Current, run(id, 1, S::Running), token);
    let fake = all(vec![
        (vec![current("a", ""), current("b", ""), stopping()], Closed),
        (vec![current("b", ""), message(Kind::Synced, None, "1")], Silent),
    ]);

    let seen = first(fake.client().await.watch_all(), 3).await;

    assert_eq!(seen, ["interrupted Unavailable", "current b1", "synced"]);
}

#[tokio::test]
async fn a_gap_ends_the_watch_unless_it_resyncs() {
    for reason in ["TOKEN_EXPIRED", "FEED_RESET"] {
        let script = || {
            vec![
                (
                    vec![message(Kind::Changed, run("a", 4, S::Running), "1"), because(reason)],
                    Closed,
                ),
                (
                    vec![
                        message(Kind::Current, run("a", 4, S::Running), ""),
                        message(Kind::Synced, None, "2"),
                    ],
                    Silent,
                ),
            ]
        };
        let strict = all(script());
        let seen = first(strict.client().await.watch_all().resume_from("0"), 9).await;
        assert_eq!(seen, ["changed a4".to_owned(), format!("error {reason}")]);
        assert_eq!(strict.watched_all.lock().unwrap()[0].resume_token, "0");

        let lenient = all(script());
        let seen = first(lenient.client().await.watch_all().resync(), 4).await;
        let resynced = format!("resynced {reason}");
        assert_eq!(seen, ["changed a4", &resynced, "current a4", "synced"]);
        assert_eq!(lenient.watched_all.lock().unwrap()[1].resume_token, "");
    }
}

#[tokio::test]
async fn the_token_advances_with_each_event_and_a_bookmark_reports_it_alone() {
    let fake = all(vec![
        (
            vec![
                message(Kind::Bookmark, None, "0"),
                message(Kind::Synced, None, "1"),
                message(Kind::Bookmark, None, "1"),
                message(Kind::Bookmark, None, "2"),
                message(Kind::Bookmark, None, "2"),
                stopping(),
            ],
            Closed,
        ),
        (
            vec![
                message(Kind::Bookmark, None, "2"),
                message(Kind::Changed, run("a", 2, S::Running), "3"),
                // A kind of a later version.
                message(Kind::Unspecified, None, "4"),
            ],
            Silent,
        ),
    ]);
    let mut events = fake.client().await.watch_all().resume_from("0").events();

    let mut seen = Vec::new();
    for _ in 0..5 {
        let event = events.next().await.unwrap().unwrap();
        seen.push((matches!(event, WatchEvent::Bookmark), events.resume_token().to_owned()));
    }

    let seen: Vec<_> = seen.iter().map(|(bookmark, token)| (*bookmark, &**token)).collect();
    assert_eq!(seen, [(false, "1"), (true, "2"), (false, "2"), (false, "3"), (true, "4")]);
}
