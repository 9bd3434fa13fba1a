//! `dogpile stampede --outage`.

use serde_json::Value;

use crate::{Place, fits_a_terminal};

/// The shortest simulation: the cache is down from 0.4 s to 0.8 s, and the source fails from 1.2 s to 1.6 s.
const SHORT: [&str; 8] = ["stampede", "--outage", "--seconds", "2", "--workers", "4", "--keys", "2"];

/// Returns the sum of `name` over the parts of the time in `range`.
fn sum(region: &Value, name: &str, range: std::ops::Range<usize>) -> u64 {
    let columns = region["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 50);
    columns[range].iter().map(|column| column[name].as_u64().unwrap()).sum()
}

#[test]
fn outage_is_simulated_for_each_configuration() {
    let (code, simulated) = Place::new().json(&SHORT);
    assert_eq!(code, 0, "{simulated:#}");
    assert_eq!(simulated["cache_is_down"], serde_json::json!([0.4, 0.8]));
    assert_eq!(simulated["source_fails"], serde_json::json!([1.2, 1.6]));
    let regions = simulated["regions"].as_array().unwrap();
    let names: Vec<_> = regions.iter().map(|region| region["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["dogpile", "strict", "resilient"]);
    for region in regions {
        let [requests, fresh, stale, errors] =
            ["requests", "fresh", "stale", "errors"].map(|name| region[name].as_u64().unwrap());
        assert_eq!(fresh + stale + errors, requests, "{region:#}");
        for (name, total) in [("fresh", fresh), ("stale", stale), ("errors", errors)] {
            assert_eq!(sum(region, name, 0..50), total, "{region:#}");
        }
        let creations = region["creations"].as_u64().unwrap();
        assert!(creations >= 2 && creations == sum(region, "creations", 0..50), "{region:#}");
        assert!(region["slowest_ms"].as_f64().unwrap() > 0.0);
        assert_eq!(sum(region, "errors", 0..9), 0, "nothing is down yet: {region:#}");
    }
    let [dogpile, strict, resilient] = &regions[..] else { unreachable!("there are three") };
    assert!(sum(dogpile, "errors", 10..20) > 0, "the cache is down: {dogpile:#}");
    assert!(dogpile["first_error"].as_str().unwrap().contains("simulated outage"), "{dogpile:#}");
    assert_eq!(strict["stale"], 0, "{strict:#}");
    let errors = |region: &Value| region["errors"].as_u64().unwrap();
    assert!(errors(resilient) < errors(dogpile), "{simulated:#}");
}

#[test]
fn outage_is_drawn_with_an_axis_a_legend_and_totals() {
    let place = Place::new();
    let answer = place.run(&SHORT);
    assert_eq!(answer.err, "", "progress is drawn on a terminal only");
    let drawn = answer.good();
    fits_a_terminal(&drawn);
    assert!(
        drawn.starts_with("seconds     0                        1                        2\n"),
        "{drawn}"
    );
    let cache = format!("\ncache       {}{}{}\n", "-".repeat(10), "X".repeat(10), "-".repeat(30));
    assert!(drawn.contains(&cache), "{drawn}");
    for text in [
        "\ndogpile: preset = \"dogpile\"\n",
        "\n  fresh     ",
        "\n  errors    ",
        "# most, + some, . a few",
        "2 keys, seed 1",
    ] {
        assert!(drawn.contains(text), "{text} in {drawn}");
    }
    let on_a_terminal = place.on_a_terminal(&SHORT.join(" "), "");
    assert!(on_a_terminal.contains("\r[#") && on_a_terminal.contains('\u{1b}'), "{on_a_terminal}");
}

#[test]
fn outage_takes_no_region() {
    let place = Place::new();
    for arguments in [&["stampede"][..], &["stampede", "a", "--outage"], &["stampede", "a", "--workers", "2"]]
    {
        let answer = place.run(arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {}", answer.err);
    }
}
