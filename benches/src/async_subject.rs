//! [`AsyncSubject`]: a cache for tasks, to be measured.

use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;

use crate::subject::{Drive, Subject, Value};

/// A future that a task awaits.
pub type BoxFuture<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// A function that begins to create a number.
#[derive(Clone)]
pub struct AsyncCreator(Arc<dyn Fn() -> BoxFuture<'static, u64> + Send + Sync>);

impl AsyncCreator {
    /// Creates a creator from a function that returns a future.
    pub fn new<F: Future<Output = u64> + Send + 'static>(
        begin: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        AsyncCreator(Arc::new(move || Box::pin(begin())))
    }

    /// Begins to create a number.
    pub fn create(&self) -> BoxFuture<'static, u64> {
        (self.0)()
    }
}

/// A cache of numbers that tasks use: ours, or a rival.
pub trait AsyncCache: Send + Sync + 'static {
    /// Returns the value of `key`, awaiting `creator` if needed.
    fn get_or_create<'c>(
        &'c self,
        key: &'c str,
        creator: &'c AsyncCreator,
    ) -> impl Future<Output = u64> + Send + 'c;
}

/// A cache for tasks and its name.
pub struct AsyncSubject {
    /// The name in the tables.
    pub name: &'static str,
    cache: Arc<dyn Request>,
}

impl AsyncSubject {
    /// Creates a measured cache.
    pub fn new(name: &'static str, cache: impl AsyncCache) -> Self {
        AsyncSubject { name, cache: Arc::new(cache) }
    }

    /// Returns a future that requests `key`. It has not begun.
    pub fn request(&self, key: &str, creator: &AsyncCreator) -> BoxFuture<'static, u64> {
        Arc::clone(&self.cache).request(key.to_owned(), creator.clone())
    }
}

/// An [`AsyncCache`] of any type.
trait Request: Send + Sync {
    fn request(self: Arc<Self>, key: String, creator: AsyncCreator) -> BoxFuture<'static, u64>;
}

impl<C: AsyncCache> Request for C {
    fn request(self: Arc<Self>, key: String, creator: AsyncCreator) -> BoxFuture<'static, u64> {
        Box::pin(async move { self.get_or_create(&key, &creator).await })
    }
}

impl Subject {
    /// Creates a measured cache that tasks use: one on each thread.
    pub fn of_tasks(name: &'static str, cache: impl AsyncCache) -> Self {
        Subject { name, cache: Box::new(OnTasks(cache)) }
    }
}

/// An [`AsyncCache`] whose hits are measured beside those of other caches.
struct OnTasks<C>(C);

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime of one thread can be built");
}

impl<C: AsyncCache> Drive for OnTasks<C> {
    fn ask(&self, key: &str, creator: &mut dyn FnMut() -> Value) -> Value {
        let number = *creator();
        let creator = AsyncCreator::new(move || async move { number });
        Arc::new(RUNTIME.with(|runtime| runtime.block_on(self.0.get_or_create(key, &creator))))
    }

    fn hit(&self, keys: &[String], order: &[u32]) {
        static UNEXPECTED: LazyLock<AsyncCreator> = LazyLock::new(|| {
            AsyncCreator::new(|| async {
                panic!("a key is not cached, although every request must be a hit")
            })
        });
        let hits = async {
            for &index in order {
                let value = self.0.get_or_create(&keys[index as usize], &UNEXPECTED).await;
                std::hint::black_box(value);
            }
        };
        RUNTIME.with(|runtime| runtime.block_on(hits));
    }
}
