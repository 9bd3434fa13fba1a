//! [`NameRegistry`]: one shared object per name, for as long as it is in use.
// Source: dogpile.cache `util/nameregistry.py`, `NameRegistry`.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use dogpile_sdk::WeakRegistry;

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
    objects: WeakRegistry<String, T>,
    creator: Box<dyn Fn(&str) -> T + Send + Sync>,
}

impl<T> NameRegistry<T> {
    /// Creates a registry that creates its objects with `creator`.
    pub fn new(creator: impl Fn(&str) -> T + Send + Sync + 'static) -> Self {
        NameRegistry { objects: WeakRegistry::new(), creator: Box::new(creator) }
    }

    /// Returns the object of `name`, creating it if needed.
    ///
    /// The creator runs while the registry is locked, so that it runs once. Other calls block meanwhile, and a creator that
    /// uses the same registry deadlocks.
    pub fn get(&self, name: &str) -> Named<T> {
        let object = self.objects.get_or_create(name.to_owned(), || (self.creator)(name));
        Named { object, name: name.to_owned() }
    }

    /// Returns the number of objects in use.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Returns whether no object is in use.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl<T> fmt::Debug for NameRegistry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NameRegistry({} in use)", self.len())
    }
}

/// A handle to an object of a [`NameRegistry`].
pub struct Named<T> {
    object: Arc<T>,
    name: String,
}

impl<T> Named<T> {
    /// Returns whether both handles refer to the same object.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.object, &other.object)
    }
}

impl<T> Deref for Named<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T: fmt::Debug> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).field(&**self).finish()
    }
}
