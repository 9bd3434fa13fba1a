//! A page with a slow fragment. 64 requests need it at once, and it is rendered once.
//!
//! `cargo run --release --example template_fragments`

use std::error::Error;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use dogpile::{CacheRegion, RegionConfig};
use minijinja::{Environment, context};

const REQUESTS: usize = 64;
const SLOW: Duration = Duration::from_millis(50);

static LOCAL: CacheRegion = CacheRegion::new("local");
static QUERIES: AtomicU32 = AtomicU32::new(0);

const PAGE: &str = r#"<h1>Hello {{ user }}</h1>
{% call cached("bestsellers", region="local", timeout=60) -%}
<ul>{% for item in bestsellers() %}<li>{{ item }}</li>{% endfor %}</ul>
{%- endcall %}
"#;

/// Stands for a slow query.
fn bestsellers() -> Vec<&'static str> {
    QUERIES.fetch_add(1, SeqCst);
    thread::sleep(SLOW);
    vec!["tea", "cups & saucers"]
}

fn main() -> Result<(), Box<dyn Error>> {
    LOCAL.configure(RegionConfig::new("dogpile.cache.memory"))?;
    let mut env = Environment::new();
    env.add_function("bestsellers", bestsellers);
    let fragments = dogpile_minijinja::add_to(&mut env, [("local", &LOCAL)]);
    env.add_template("page.html", PAGE)?;

    let (start, begun) = (Barrier::new(REQUESTS), Instant::now());
    let request = |number| {
        start.wait();
        env.get_template("page.html")?.render(context!(user => format!("visitor {number}")))
    };
    let pages: Vec<String> = thread::scope(|scope| {
        let requests: Vec<_> = (0..REQUESTS).map(|number| scope.spawn(move || request(number))).collect();
        requests
            .into_iter()
            .map(|request| request.join().expect("no request panics"))
            .collect::<Result<_, _>>()
    })?;
    println!("{}", pages[7]);
    println!("{REQUESTS} requests took {:?}; the fragment was rendered {QUERIES:?} times", begun.elapsed());
    assert_eq!(QUERIES.load(SeqCst), 1);
    assert!(pages.iter().all(|page| page.contains("<li>cups &amp; saucers</li>")));

    fragments.invalidate("local", "bestsellers")?;
    request_once(&env)?;
    assert_eq!(QUERIES.load(SeqCst), 2, "it was invalidated");
    Ok(())
}

fn request_once(env: &Environment<'_>) -> Result<String, minijinja::Error> {
    env.get_template("page.html")?.render(context!(user => "a late visitor"))
}
