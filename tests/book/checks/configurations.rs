//! The configurations on the pages are valid.

use dogpile::Configuration;

use crate::pages::Page;

/// Returns why `text` is not a valid configuration, if it is not.
fn problem(text: &str) -> Option<String> {
    // The folder of plugins is not on this machine.
    let text = text.replace("\"/usr/lib/dogpile\"", "");
    Configuration::from_toml(&text).err().map(|error| {
        let causes = std::iter::successors(std::error::Error::source(&error), |error| error.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    })
}

#[test]
fn configurations_on_all_pages_are_valid() {
    let mut found = 0;
    let mut invalid = Vec::new();
    for page in Page::all() {
        for (line, text) in page.blocks("toml") {
            if text.contains("[regions.") || text.contains("[plugins]") {
                found += 1;
                let at = format!("{}:{line}", page.path.display());
                invalid.extend(problem(&text).map(|problem| format!("{at}: {problem}")));
            }
        }
    }
    assert!(found > 5, "only {found} configurations were found");
    assert!(invalid.is_empty(), "invalid configurations:\n{}", invalid.join("\n"));
}
