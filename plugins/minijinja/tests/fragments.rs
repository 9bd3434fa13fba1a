//! Template fragments in regions in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use dogpile::sdk::{BackendError, CacheBackend, CachedValue, ErrorKind, StoreOptions};
use dogpile::{CacheRegion, Expiration, ManualClock, OnBackendFailure, RegionConfig};
use dogpile_minijinja::{Fragments, add_to};
use minijinja::{Environment, Error, context};

const SECOND: Duration = Duration::from_secs(1);

/// An environment whose templates cache in the region "local" and count their renderings with `next()`.
struct Site {
    env: Environment<'static>,
    fragments: Fragments,
    region: Arc<CacheRegion>,
    clock: Arc<ManualClock>,
}

fn site(templates: &[(&'static str, &'static str)]) -> Site {
    let (region, clock) = (Arc::new(CacheRegion::new("local")), Arc::new(ManualClock::at(100.0)));
    let config = RegionConfig::new("dogpile.cache.memory").expiration_time(60 * SECOND);
    region.configure(config.clock(clock.clone())).unwrap();
    let (mut env, count) = (Environment::new(), AtomicU32::new(0));
    env.add_function("next", move || count.fetch_add(1, SeqCst) + 1);
    let fragments = add_to(&mut env, [("local", Arc::clone(&region))]);
    for (name, source) in templates {
        env.add_template(name, source).unwrap();
    }
    Site { env, fragments, region, clock }
}

impl Site {
    fn render(&self, name: &str, user: &str) -> Result<String, Error> {
        self.env.get_template(name)?.render(context!(user))
    }

    fn renders(&self, name: &str) -> String {
        self.render(name, "<Ada>").unwrap()
    }
}

const FRAGMENT: (&str, &str) =
    ("a.html", "{% call cached('side', region='local') %}{{ user }} {{ next() }}{% endcall %}");

/// Behavior: `template-cached-page`
#[test]
fn body_is_rendered_once_per_key_and_region() {
    let site = site(&[
        FRAGMENT,
        ("b.html", "{% call cached('side', region='local') %}{{ next() }}{% endcall %}"),
        ("c.html", "{% call cached('foot', region='local') %}{{ next() }}{% endcall %}"),
    ]);
    assert_eq!(site.renders("a.html"), "&lt;Ada&gt; 1");
    assert_eq!(site.renders("a.html"), "&lt;Ada&gt; 1");
    assert_eq!(site.renders("b.html"), "&lt;Ada&gt; 1", "the same key");
    assert_eq!(site.renders("c.html"), "2");
}

/// Behavior: `template-timeout-becomes-expiration`
#[test]
fn timeout_overrides_the_expiration_time() {
    let site = site(&[
        ("20.html", "{% call cached('20', region='local', timeout=20) %}{{ next() }}{% endcall %}"),
        ("half.html", "{% call cached('half', region='local', timeout='500ms') %}{{ next() }}{% endcall %}"),
        ("ever.html", "{% call cached('ever', region='local', timeout=-1) %}{{ next() }}{% endcall %}"),
        ("none.html", "{% call cached('none', region='local', timeout=none) %}{{ next() }}{% endcall %}"),
    ]);
    let all = || ["20.html", "half.html", "ever.html", "none.html"].map(|name| site.renders(name));
    assert_eq!(all(), ["1", "2", "3", "4"]);
    site.clock.advance(SECOND);
    assert_eq!(all(), ["1", "5", "3", "4"]);
    site.clock.advance(20 * SECOND);
    assert_eq!(all(), ["6", "7", "3", "4"]);
    site.clock.advance(40 * SECOND);
    assert_eq!(all(), ["8", "9", "3", "10"], "the region's expiration time is a minute");
}

#[test]
fn output_is_escaped_exactly_once() {
    const BODY: &str = "{% call cached('side', region='local') %}{{ user }}{% endcall %}";
    let site = site(&[("page.txt", BODY), ("page.html", BODY)]);
    assert_eq!([(); 2].map(|()| site.renders("page.txt")), ["<Ada>", "<Ada>"]);
    assert_eq!([(); 2].map(|()| site.renders("page.html")), ["&lt;Ada&gt;", "&lt;Ada&gt;"]);
    site.fragments.invalidate("local", "side").unwrap();
    assert_eq!([(); 2].map(|()| site.renders("page.html")), ["&lt;Ada&gt;", "&lt;Ada&gt;"]);
    assert_eq!(site.renders("page.txt"), "<Ada>");
}

#[test]
fn fragments_can_be_nested() {
    let site = site(&[(
        "page.html",
        "{% call cached('out', region='local') %}{{ user }}\
         {% call cached('in', region='local') %}<i>{{ next() }}</i>{% endcall %}{{ next() }}{% endcall %}",
    )]);
    assert_eq!(site.renders("page.html"), "&lt;Ada&gt;<i>1</i>2");
    site.fragments.invalidate("local", "out").unwrap();
    assert_eq!(site.renders("page.html"), "&lt;Ada&gt;<i>1</i>3");
}

#[test]
fn invalidate_removes_one_key_of_a_region() {
    let site = site(&[FRAGMENT]);
    assert_eq!(
        (site.renders("a.html"), site.renders("a.html")),
        ("&lt;Ada&gt; 1".into(), "&lt;Ada&gt; 1".into())
    );
    site.fragments.invalidate("local", "side").unwrap();
    assert_eq!(site.renders("a.html"), "&lt;Ada&gt; 2");
    site.fragments.invalidate("local", "never cached").unwrap();
    let error = site.fragments.invalidate("remote", "side").unwrap_err();
    assert!(error.to_string().contains("unknown region \"remote\": use one of local"), "{error}");
}

#[test]
fn whole_template_is_cached() {
    let site = site(&[("page.html", "{{ user }} {{ next() }}"), FRAGMENT]);
    let render = |name: &str, key: &str, expiration| {
        let template = site.env.get_template(name).unwrap();
        site.fragments.render_cached(&template, context!(user => "<Ada>"), "local", key, expiration)
    };
    let limit = Some(Expiration::After(SECOND));
    assert_eq!(render("page.html", "page", limit).unwrap(), "&lt;Ada&gt; 1");
    assert_eq!(render("page.html", "page", limit).unwrap(), "&lt;Ada&gt; 1");
    site.clock.advance(2 * SECOND);
    assert_eq!(render("page.html", "page", None).unwrap(), "&lt;Ada&gt; 1");
    assert_eq!(render("page.html", "page", limit).unwrap(), "&lt;Ada&gt; 2");
    // A text that was cached as a page is not used as a fragment.
    assert_eq!(render("page.html", "side", None).unwrap(), "&lt;Ada&gt; 3");
    assert_eq!(
        (site.renders("a.html"), site.renders("a.html")),
        ("&lt;Ada&gt; 4".into(), "&lt;Ada&gt; 5".into())
    );
    site.fragments.invalidate("local", "side").unwrap();
    assert_eq!(
        (site.renders("a.html"), site.renders("a.html")),
        ("&lt;Ada&gt; 6".into(), "&lt;Ada&gt; 6".into())
    );

    let template = site.env.get_template("page.html").unwrap();
    for (region, key, expected) in
        [("remote", "page", "unknown region \"remote\""), ("local", "", "invalid key \"\"")]
    {
        let error =
            site.fragments.render_cached(&template, context!(), region, key, None).unwrap_err().to_string();
        assert!(error.contains("template \"page.html\"") && error.contains(expected), "{error}");
    }
}

#[test]
fn invalid_call_error_names_template_and_line() {
    let cases = [
        ("region='remote'", "unknown region \"remote\": use one of local"),
        ("", "fragment \"side\" has no region; add region=\"...\""),
        ("region=7", "invalid region of fragment \"side\": 7 is not a name"),
        (
            "region='local', timeout='soon'",
            "invalid timeout 'soon' of fragment \"side\": expected seconds (0 or more), a duration",
        ),
        ("region='local', timeout=-2", "invalid timeout -2 of fragment \"side\""),
        ("region='local', timeout=true", "invalid timeout True of fragment \"side\""),
        ("region='local', timeuot=1", "unknown keyword argument 'timeuot'"),
    ];
    for (arguments, expected) in cases {
        let mut site = site(&[]);
        let source = format!("first line\n{{% call cached('side', {arguments}) %}}body{{% endcall %}}");
        site.env.add_template_owned("page.html", source).unwrap();
        let error = site.render("page.html", "Ada").unwrap_err();
        assert_eq!((error.name(), error.line()), (Some("page.html"), Some(2)), "{error}");
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("page.html:2"), "{text}");
    }
    let site = site(&[
        ("expression.html", "{{ cached('side', region='local') }}"),
        ("empty.html", "{% call cached('', region='local') %}{% endcall %}"),
    ]);
    let error = site.render("expression.html", "Ada").unwrap_err().to_string();
    assert!(error.contains("has no body; write {% call cached(...) %}...{% endcall %}"), "{error}");
    assert!(
        site.render("empty.html", "Ada").unwrap_err().to_string().contains("invalid key \"\" of a fragment")
    );
}

#[test]
fn failing_body_is_an_error_and_not_cached() {
    let site = site(&[(
        "page.html",
        "{% call cached('side', region='local') %}{{ next() }}\n{{ user.missing.missing }}{% endcall %}",
    )]);
    let error = site.render("page.html", "Ada").unwrap_err();
    assert_eq!((error.name(), error.line()), (Some("page.html"), Some(2)), "{error}");
    assert_eq!(site.region.get::<String>("side").unwrap(), None);
    assert!(!site.region.key_is_locked("side").unwrap());
}

#[test]
fn failing_region_does_not_prevent_rendering() {
    let (mut env, region) = (Environment::new(), Arc::new(CacheRegion::new("never configured")));
    add_to(&mut env, [("local", region)]);
    env.add_template(FRAGMENT.0, "{% call cached('side', region='local') %}{{ user }}{% endcall %}").unwrap();
    let page = env.get_template(FRAGMENT.0).unwrap();
    assert_eq!(page.render(context!(user => "Ada")).unwrap(), "Ada");
    assert_eq!(page.render(context!(user => "Bob")).unwrap(), "Bob");
}

/// A backend that is down.
#[derive(Debug)]
struct Down;

impl CacheBackend for Down {
    fn get(&self, _key: &str) -> Result<Option<CachedValue>, BackendError> {
        Err(down())
    }

    fn set(&self, _key: &str, _value: CachedValue, _options: &StoreOptions) -> Result<(), BackendError> {
        Err(down())
    }

    fn delete(&self, _key: &str) -> Result<(), BackendError> {
        Err(down())
    }
}

fn down() -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "it is down")
}

/// A template follows the policy of its region.
#[test]
fn degrading_region_renders_once_for_all_requests() {
    const REQUESTS: usize = 16;
    for (policy, is_shared) in [(OnBackendFailure::Degrade, true), (OnBackendFailure::Error, false)] {
        let (mut env, region) = (Environment::new(), Arc::new(CacheRegion::new("down")));
        region.configure(RegionConfig::from_instance(Arc::new(Down)).on_backend_failure(policy)).unwrap();
        let (count, start) = (Arc::new(AtomicU32::new(0)), Barrier::new(REQUESTS));
        let counted = Arc::clone(&count);
        env.add_function("next", move || counted.fetch_add(1, SeqCst) + 1);
        let fragments = add_to(&mut env, [("local", region)]);
        let body = "{% call cached('side', region='local') %}{{ next() }}{% endcall %}";
        env.add_template(FRAGMENT.0, body).unwrap();
        let (page, begun) = (env.get_template(FRAGMENT.0).unwrap(), Instant::now());
        std::thread::scope(|scope| {
            for _ in 0..REQUESTS {
                scope.spawn(|| {
                    start.wait();
                    page.render(context!()).unwrap();
                });
            }
        });
        let (rendered, seconds) = (count.load(SeqCst), u32::try_from(begun.elapsed().as_secs()).unwrap() + 1);
        assert!(if is_shared { rendered <= seconds } else { rendered == 16 }, "{policy:?}: {rendered}");
        assert_eq!(fragments.invalidate("local", "side").is_ok(), is_shared);
    }
}

#[test]
fn concurrent_requests_render_a_body_once() {
    const REQUESTS: usize = 16;
    let site = site(&[FRAGMENT]);
    let start = Barrier::new(REQUESTS);
    let render = || {
        start.wait();
        site.renders("a.html")
    };
    let pages: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..REQUESTS).map(|_| scope.spawn(render)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(pages, vec!["&lt;Ada&gt; 1"; REQUESTS]);
}
