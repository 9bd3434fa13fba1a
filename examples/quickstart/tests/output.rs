//! Runs the quickstart, and compares what it prints with what it claims.

use std::process::Command;

const THREADS: usize = 8;

/// Returns what the quickstart prints into a pipe, or as on a terminal.
fn printed(terminal: bool) -> String {
    let mut quickstart = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    quickstart.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    if terminal {
        quickstart.env("CLICOLOR_FORCE", "1");
    }
    let output = quickstart.output().expect("the quickstart starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8(output.stdout).expect("the output is UTF-8")
}

/// One picture: its bars, what each thread did, and the line below.
struct Panel {
    bars: Vec<String>,
    outcomes: Vec<String>,
    summary: String,
}

impl Panel {
    fn count(&self, outcome: &str) -> usize {
        self.outcomes.iter().filter(|found| *found == outcome).count()
    }

    /// Checks that each thread did one of `expected`, and that the line below names `queries`.
    fn check(&self, expected: &[&str], queries: &str) {
        assert_eq!(self.outcomes.len(), THREADS);
        for outcome in &self.outcomes {
            assert!(expected.contains(&outcome.as_str()), "{:?}", self.outcomes);
        }
        assert!(self.summary.starts_with(queries), "{} is not {queries}", self.summary);
    }
}

/// Returns the two pictures of the scene with this number.
fn scene(output: &str, number: u32) -> [Panel; 2] {
    let title = format!("{number}. ");
    let lines: Vec<&str> = output.lines().skip_while(|line| !line.starts_with(&title)).collect();
    let first = lines.iter().position(|line| line.starts_with(" 1 ")).expect("the scene has rows");
    // The columns are those of the plain text, which is ASCII.
    [3..40, 43..80].map(|columns| {
        let part =
            |line: &&str| line.get(columns.start..columns.end.min(line.len())).unwrap_or_default().to_owned();
        let rows: Vec<String> = lines[first..first + THREADS].iter().map(part).collect();
        Panel {
            bars: rows.iter().map(|row| row[..24].to_owned()).collect(),
            outcomes: rows.iter().map(|row| row[24..].trim().to_owned()).collect(),
            summary: part(&lines[first + THREADS + 1]),
        }
    })
}

#[test]
fn quickstart_shows_what_it_claims() {
    let output = printed(false);
    assert!(output.is_ascii(), "plain text has no escape sequences and no symbols:\n{output}");
    assert!(output.lines().all(|line| line.len() <= 80), "a line is too long:\n{output}");
    assert!(output.contains("a query takes 50 ms, and 2 queries run at a time"), "{output}");

    // A thread that comes late on a busy machine finds the new value, and is shown as one that waited.
    let [plain, region] = scene(&output, 1);
    assert!(plain.count("created") > 1, "a plain cache lets several threads create:\n{output}");
    plain.check(&["created", "waited"], &format!("{} queries", plain.count("created")));
    region.check(&["created", "waited"], "1 query,");

    let [plain, region] = scene(&output, 2);
    assert!(plain.count("created") > 1, "{output}");
    region.check(&["created", "old value", "waited"], "1 query,");
    assert!(region.count("old value") > 0, "{output}");

    let [panics, down] = scene(&output, 3);
    panics.check(&["panicked", "created", "waited"], "2 queries");
    assert_eq!((panics.count("panicked"), panics.count("created")), (1, 1), "{output}");
    assert!(panics.bars.iter().any(|bar| bar.contains('x')), "{output}");
    down.check(&["old value"], "");
    assert!(down.bars.iter().all(|bar| bar.contains('o')), "{output}");
    assert!(down.bars.iter().any(|bar| bar.contains("xo")), "one thread has tried:\n{output}");

    let [missing, expired] = scene(&output, 4);
    missing.check(&["created", "waited"], "1 query,");
    expired.check(&["created", "old value", "waited"], "1 query,");
    let library =
        format!("{}acme_dogpile_dylib{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    assert!(output.contains(&library), "{output}");
}

#[test]
fn quickstart_on_a_terminal_has_colors_and_bars() {
    let output = printed(true);
    for expected in ["\u{1b}[32m", "━", "┄", "◆", "╳"] {
        assert!(output.contains(expected), "{expected:?} is missing:\n{output}");
    }
}
