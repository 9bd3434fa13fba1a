//! [`NameRegistry`]: one shared object per name, for as long as it is in use.
// Source: dogpile.cache `util/nameregistry.py`, `NameRegistry`.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use parking_lot::Mutex;

/// A registry that hands out one shared object per name.
///
/// An object is created when its name is first requested, and dropped with its last [`Named`] handle.
///
/// ```
/// use dogpile::lock::NameRegistry;
///
/// let registry = NameRegistry::new(|name: &str| format!("object of {name}"));
/// let (this, that) = (registry.get("a"), registry.get("a"));
/// assert!(this.is_same(&that));
/// drop((this, that));
/// assert!(registry.is_empty());
/// ```
pub struct NameRegistry<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    objects: Mutex<HashMap<String, Arc<T>>>,
    creator: Box<dyn Fn(&str) -> T + Send + Sync>,
}

impl<T> NameRegistry<T> {
    /// Creates a registry that creates its objects with `creator`.
    pub fn new(creator: impl Fn(&str) -> T + Send + Sync + 'static) -> Self {
        NameRegistry { inner: Arc::new(Inner { objects: Mutex::default(), creator: Box::new(creator) }) }
    }

    /// Returns the object of `name`, creating it if needed.
    ///
    /// The creator runs while the registry is locked, so that it runs once. Other calls block meanwhile, and a creator that
    /// uses the same registry deadlocks.
    pub fn get(&self, name: &str) -> Named<T> {
        let mut objects = self.inner.objects.lock();
        let object = match objects.get(name) {
            Some(object) => Arc::clone(object),
            None => {
                let object = Arc::new((self.inner.creator)(name));
                objects.insert(name.to_owned(), Arc::clone(&object));
                object
            }
        };
        Named { object: Some(object), name: name.to_owned(), registry: Arc::clone(&self.inner) }
    }

    /// Returns the number of objects in use.
    pub fn len(&self) -> usize {
        self.inner.objects.lock().len()
    }

    /// Returns whether no object is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for NameRegistry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameRegistry({} in use)", self.len())
    }
}

/// A handle to an object of a [`NameRegistry`].
pub struct Named<T> {
    /// Always `Some`, except at the end of `drop`.
    object: Option<Arc<T>>,
    name: String,
    registry: Arc<Inner<T>>,
}

impl<T> Named<T> {
    /// Returns whether both handles refer to the same object.
    pub fn is_same(&self, other: &Self) -> bool {
        std::ptr::eq::<T>(&**self, &**other)
    }
}

impl<T> Deref for Named<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.object.as_deref().expect("a handle has its object until it is dropped")
    }
}

impl<T> Drop for Named<T> {
    fn drop(&mut self) {
        // Hold the registry's lock, so that no other caller gets the object between the count and the removal.
        let mut objects = self.registry.objects.lock();
        drop(self.object.take());
        let last = objects.get(&self.name).filter(|object| Arc::strong_count(object) == 1).is_some();
        let unused = if last { objects.remove(&self.name) } else { None };
        drop(objects);
        // Drop the object without the lock: its own `Drop` may use the registry.
        drop(unused);
    }
}

impl<T: fmt::Debug> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).field(&**self).finish()
    }
}
