//! Errors, their places and what they say.

use super::*;

#[track_caller]
fn check_fault(text: &str, expected: &str) {
    let faults = faults(text);
    assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{text}\n{faults:#?}");
}

#[test]
fn a_wrong_value_has_its_place_its_path_and_what_was_meant() {
    let check = |line: &str, expected: &str| check_fault(&format!("{SOLD}{line}"), expected);
    check(
        "jitter: 5",
        "4:9: jitter: expected a duration such as 90s, 30m or 7d: a unit is missing; 5 seconds are 5s",
    );
    check("jitter: [5m]", "4:9: jitter: expected one value, not a list");
    check(
        "priority: urgent",
        "4:11: priority: unknown value 'urgent'; expected one of low, normal, high, immediate",
    );
    check("priority: unspecified", "4:11: priority: unknown value");
    check("max_concurrent_runs: 010", "4:22: max_concurrent_runs: a number must not start with 0");
    check(
        "parameters: {past_days: many}",
        "4:25: parameters.past_days: expected a whole number such as 7",
    );
    check("parameters: {full_scrape: 1}", "4:27: parameters.full_scrape: expected true or false");
    check(
        "parameters: {locations: 46201}",
        "4:25: parameters.locations: expected a list; write [\"46201\"]",
    );
    check(
        "parameters: {locations: {a: b}}",
        "4:25: parameters.locations: expected a list, one '- value' per line",
    );
    check(
        "parameters:\n  locations:\n    - a: b",
        "6:7: parameters.locations[0]: expected one value, not fields; quote",
    );
    check("parameters:\n  locations:\n    - a\n    -\n", "7:6: parameters.locations[1]: is empty");
    check(
        "parameters: {locations: [Carmel, IN]}",
        "4:34: parameters.locations[1]: a comma ends a location: quote \"Carmel, IN\"",
    );
    check(
        "parameters: {listing_types: [sold, rent]}",
        "4:36: parameters.listing_types[1]: unknown value 'rent'",
    );
    check(
        "parameters: text",
        "4:13: parameters: expected fields, but this is text; fields: locations, ",
    );
    check("labels: team=sales", "4:9: labels: expected {team: sales}");
    check("labels: [team=sales]", "4:9: labels: expected fields such as {team: sales}, not a list");
    check("labels: {team: }", "4:10: labels.team: has no value; write \"\"");
    check("labels: {team: {a: b}}", "4:16: labels.team: expected one value");
}

#[test]
fn an_unknown_field_names_the_one_that_was_meant() {
    let check = |line: &str, expected: &str| {
        check_fault(&format!("{SOLD}{line}"), &format!("4:1: {expected}"));
    };
    check("nam: x", "nam: unknown field; did you mean name?");
    check("cron: x", "cron: unknown field; did you mean cron_expression?");
    check("schedule: {cron: x}", "schedule: unknown field; did you mean cron_expression?");
    check("cronExpression: x", "cronExpression: unknown field; did you mean cron_expression?");
    check("id: x", "id: unknown field; did you mean scheduled_job_id?");
    check("locations: [x]", "locations: unknown field; did you mean parameters.locations?");
    check("location: x", "location: unknown field; did you mean parameters.locations?");
    check(
        "listing_type: sold",
        "listing_type: unknown field; did you mean parameters.listing_types?",
    );
    check("max-attempts: 3", "max-attempts: unknown field; did you mean policy.max_attempts?");
    check("time_zone: UTC", "time_zone: unknown field; did you mean timezone?");
    check("tags: x", "tags: unknown field; known fields: scheduled_job_id, name, cron_expression");
    check("status: paused", "status: is shown by the server and cannot be set");
    check("etag: x", "etag: is shown by the server");
    check_fault(
        &format!("{SOLD}parameters: {{locatons: [x]}}"),
        "4:14: parameters.locatons: unknown field; did you mean locations?",
    );
    check_fault(
        &format!("{SOLD}parameters: {{timezone: x}}"),
        "4:14: parameters.timezone: unknown field; did you mean timezone?",
    );
    check_fault(
        &format!("{SOLD}policy: {{run_timout: 1h}}"),
        "4:10: policy.run_timout: unknown field; did you mean run_timeout?",
    );
    check_fault(
        "scheduled_job: {name: x}\njob_runs: []",
        "1:1: scheduled_job: is part of a response",
    );
}

#[test]
fn broken_yaml_has_its_place_and_a_hint() {
    let check = |line: &str, expected: &str| {
        let text = format!("{SOLD}{line}");
        assert_eq!(faults(&text).len(), 1, "{text}");
        assert!(faults(&text)[0].starts_with(expected), "{text}\n{:?}", faults(&text));
    };
    let levels = "mapping values are not allowed in this context; quote text that has ': ', and start the fields";
    check(
        "parameters:\n\tlocations: [x]",
        "5:1: not YAML: the line is indented with a tab; indent with spaces",
    );
    let level =
        "not YAML: while parsing a block mapping, did not find expected key; fields of one level";
    check("  priority: high", &format!("4:3: {level}"));
    check("timezone: a: b", &format!("4:12: not YAML: {levels}"));
    check(" priority: high", &format!("4:2: {level}"));
    check("parameters:\n    radius: 5\n  limit: 3", "6:3: ");
    check("priority high", "4:1: ");
    check(
        "timezone: *x",
        "4:11: not YAML: while parsing node, found unknown anchor; quote text that starts with '*'",
    );
    check("timezone: * * * * *", "4:11: not YAML: ");
    check(
        "timezone: @daily",
        "4:11: not YAML: unexpected character: `@'; quote text that starts with this",
    );
    check("timezone: 'x", "4:11: not YAML: unclosed quote");
    check("parameters: {locations: [x}", "4:25: not YAML: mismatched bracket");
    check("parameters: {locations: [x]", "4:13: not YAML: unclosed bracket");
    check("timezone: \"\\d\"", "4:");
    check("timezone: \u{0}", "4:11: not YAML: unexpected character");
    check("name: Again", "4:1: name is given twice, first at line 2");
    check("<<: text", "4:5: << takes an alias of fields");
    check("timezone: !env NAME", "4:11: the tag !env is not supported");
    check_fault(
        &format!("{SOLD}timezone: {{{{ name }}}}"),
        "4:12: a field name must be text; quote text",
    );
}

#[test]
fn all_errors_of_all_documents_are_listed_in_order() {
    let text =
        format!("{SOLD}nam: x\n---\nname: x\n---\n- scheduled_job_id: a\n  jiter: 5m\n- text\n");
    assert_eq!(
        faults(&text),
        [
            "4:1: nam: unknown field; did you mean name?",
            "6:1: scheduled_job_id: is missing",
            "9:3: jiter: unknown field; did you mean jitter?",
            "10:3: expected the fields of a scheduled job, but this is text",
        ]
    );
}

#[test]
fn aliases_and_depth_are_bounded() {
    let double = |level: usize| format!("- &a{level} [*a{0}, *a{0}]\n", level - 1);
    let bomb: Vec<_> =
        ["- &a0 [x, x]\n".to_owned()].into_iter().chain((1..60).map(double)).collect();
    let bomb = bomb.concat();
    let faults_of = |text: &str| faults(text).join("\n");
    assert!(faults_of(&bomb).contains("too "), "{}", faults_of(&bomb));
    let wide = format!("- &a [{}]\n{}", "x,".repeat(2000), "- *a\n".repeat(2000));
    assert!(faults_of(&wide).contains("the aliases stand for too many values"));
    assert!(faults_of("- &a [*a]").contains("the alias contains itself"));
    for deep in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        assert!(!faults(&deep).is_empty());
    }
}

#[test]
fn a_place_in_one_of_several_json_objects_counts_from_the_start() {
    let text =
        "{\"scheduled_job_id\": \"a\"}\n\n  {\"scheduled_job_id\":\n\"b\", \"nam\": 1} {\"x\": 1}";
    assert_eq!(faults(text)[0], "4:6: nam: unknown field; did you mean name?");
    assert!(faults(text)[1].starts_with("4:17: x: unknown field; known"), "{:?}", faults(text));
}
