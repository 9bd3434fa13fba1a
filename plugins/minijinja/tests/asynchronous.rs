//! Templates in an asynchronous program, as the README advises.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue fails")]

use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dogpile::{CacheRegion, RegionConfig};
use dogpile_minijinja::add_to;
use minijinja::{Environment, Value, context};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

/// The longest wait of a test.
const PATIENCE: Duration = Duration::from_secs(30);

/// The most pages that are rendered at a time.
const PLACES: usize = 3;

const PAGE: &str =
    "{{ enter() }}{% call cached('side', region='local') %}{{ slow() }}{% endcall %} {{ user }}{{ leave() }}";

/// The templates, and how many may be rendered at a time.
struct Pages {
    env: Environment<'static>,
    places: Arc<Semaphore>,
}

/// The renderings of a page, which the test counts and holds up.
#[derive(Default)]
struct Renderings {
    now: AtomicUsize,
    most: AtomicUsize,
    slow: AtomicUsize,
}

/// The program of the README.
async fn render(
    pages: Arc<Pages>,
    name: String,
    context: Value,
) -> Result<String, Box<dyn Error + Send + Sync>> {
    let place = Arc::clone(&pages.places).acquire_owned().await?;
    let page = spawn_blocking(move || {
        let _place = place;
        pages.env.get_template(&name)?.render(context)
    });
    Ok(page.await??)
}

/// Returns pages whose fragment is rendered once the returned sender sends, or is dropped.
fn pages() -> (Arc<Pages>, Arc<Renderings>, Sender<()>) {
    let region = Arc::new(CacheRegion::new("local"));
    region.configure(RegionConfig::new("dogpile.cache.memory")).unwrap();
    let (go, wait) = channel();
    let (renderings, wait) = (Arc::new(Renderings::default()), Mutex::new(wait));
    let mut env = Environment::new();
    let [entering, leaving, slow] = [(); 3].map(|()| Arc::clone(&renderings));
    env.add_function("enter", move || {
        let now = entering.now.fetch_add(1, SeqCst) + 1;
        entering.most.fetch_max(now, SeqCst);
        ""
    });
    env.add_function("leave", move || {
        leaving.now.fetch_sub(1, SeqCst);
        ""
    });
    env.add_function("slow", move || {
        slow.slow.fetch_add(1, SeqCst);
        let wait: &Receiver<()> = &wait.lock().unwrap();
        assert_ne!(wait.recv_timeout(PATIENCE), Err(RecvTimeoutError::Timeout), "the test went on");
        "slow"
    });
    add_to(&mut env, [("local", region)]);
    env.add_template("page.html", PAGE).unwrap();
    (Arc::new(Pages { env, places: Arc::new(Semaphore::new(PLACES)) }), renderings, go)
}

/// Returns a runtime with one thread, which a render would block.
fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn request(pages: &Arc<Pages>, user: usize) -> JoinHandle<Result<String, Box<dyn Error + Send + Sync>>> {
    tokio::spawn(render(Arc::clone(pages), "page.html".to_owned(), context!(user)))
}

/// Lets other tasks work until `holds` returns true.
async fn until(holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap();
}

#[test]
fn requests_render_a_fragment_once_beside_other_tasks() {
    let (pages, renderings, go) = pages();
    one_thread().block_on(async {
        let requests: Vec<_> = (0..64).map(|user| request(&pages, user)).collect();
        // This is a task of the only thread: it goes on while the renders wait for the fragment.
        until(|| renderings.now.load(SeqCst) == PLACES && renderings.slow.load(SeqCst) == 1).await;
        drop(go);
        for (user, request) in requests.into_iter().enumerate() {
            assert_eq!(request.await.unwrap().unwrap(), format!("slow {user}"));
        }
    });
    assert_eq!((renderings.slow.load(SeqCst), renderings.most.load(SeqCst)), (1, PLACES));
}

#[test]
fn render_of_a_dropped_caller_keeps_its_place() {
    let (pages, renderings, go) = pages();
    one_thread().block_on(async {
        let requests: Vec<_> = (0..PLACES).map(|user| request(&pages, user)).collect();
        until(|| renderings.now.load(SeqCst) == PLACES).await;
        requests.iter().for_each(JoinHandle::abort);
        for request in requests {
            assert!(request.await.unwrap_err().is_cancelled());
        }
        assert_eq!(pages.places.available_permits(), 0);
        drop(go);
        until(|| pages.places.available_permits() == PLACES).await;
        // The fragment was cached although its caller is gone.
        assert_eq!(request(&pages, 7).await.unwrap().unwrap(), "slow 7");
    });
    assert_eq!((renderings.slow.load(SeqCst), renderings.most.load(SeqCst)), (1, PLACES));
}
