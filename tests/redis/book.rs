//! The Python programs of the book, run with the real dogpile.cache over one cache with us.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use dogpile::RegionConfig;
use dogpile_tests::redis::RedisServer;
use dogpile_tests::regions::region_of;
use dogpile_tests::servers::python;

use crate::server;

/// What a program of the book is followed by: it shares a value in each direction.
const SHARING: &str = r#"
assert region.get("from rust") == {"té": 3.5}, region.get("from rust")
assert region.get_or_create("from rust", lambda: None) == {"té": 3.5}
region.set("from python", {"süß": 4.5})
"#;

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name)).unwrap()
}

/// Runs a program that configures `region` in Python, and shares values with a region that has this serializer.
fn share(server: &RedisServer, program: &str, serializer: Option<&str>) {
    let config = RegionConfig::new("dogpile.cache.redis")
        .argument("host", "127.0.0.1")
        .argument("port", server.port());
    let config = serializer.map_or_else(|| config.clone(), |name| config.clone().serializer_named(name));
    let region = region_of("of the book", config);
    region.set("from rust", HashMap::from([("té".to_owned(), 3.5)])).unwrap();
    region.delete("from python").unwrap();

    assert!(program.contains("redis://localhost/0"), "the program names another server:\n{program}");
    let url = format!("redis://127.0.0.1:{}/0", server.port());
    let program = program.replace("redis://localhost/0", &url) + SHARING;
    let output = Command::new(python().unwrap()).args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{program}\n{}", String::from_utf8_lossy(&output.stderr));
    let read = region.get("from python").unwrap();
    assert_eq!(read, Some(HashMap::from([("süß".to_owned(), 4.5)])), "{program}");
}

#[test]
#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
fn python_programs_of_the_book_share_values() {
    let server = server(&[]);
    let page = page("python.md");
    let programs: Vec<&str> =
        page.split("```python\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert!(!programs.is_empty(), "docs/python.md has no program");
    programs.iter().for_each(|program| share(&server, program, None));
}

/// Each row of the table of serializers has settings that agree.
#[test]
#[cfg_attr(any(missing_redis, missing_python), ignore = "needs redis-server and Python")]
fn python_serializers_of_the_book_agree_with_ours() {
    let server = server(&[]);
    let page = page("python.md");
    let (_, rows) = page.split_once("\n| Rust | Python |\n|---|---|\n").unwrap();
    let rows: Vec<&str> = rows.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    for row in rows {
        let (rust, python) = row.trim_matches(['|', ' ']).split_once(" | ").unwrap();
        let serializer = rust.strip_prefix("`serializer = \"").map(|rest| rest.trim_end_matches("\"`"));
        let (_, arguments) = python.trim_end_matches('`').rsplit_once('`').unwrap();
        assert!(arguments.starts_with("serializer="), "{row}");
        let program = format!(
            "import functools, json, msgpack, pickle\nfrom dogpile.cache import make_region\n\
             region = make_region({arguments}).configure(\n    'dogpile.cache.redis', arguments={{'url': 'redis://localhost/0'}})\n"
        );
        share(&server, &program, serializer);
        if python.contains("nothing to set for Redis") {
            share(&server, &program.replace(arguments, ""), serializer);
        }
    }
}
