//! The receiver and the arguments of a cached function, checked.

use proc_macro2::Ident;
use syn::visit_mut::VisitMut;
use syn::{
    Error, FnArg, ItemFn, Lifetime, Pat, PatType, Receiver, ReceiverKind, Result, Type, TypeFnPtr,
    TypeReference,
};

use crate::settings::Settings;

const MUTABLE: &str = "cannot cache a function that takes `&mut`: a cached value is returned without calling it, so that \
                       its changes would be lost, also with `ignore`; take the argument by value or as `&`, and return \
                       what changes";

const BORROWED: &str = "cannot evaluate this function in the background: the runner may call it after this borrow has \
                        ended; take an owned argument, such as `String` or `Arc<T>`, or remove `background`";

const BORROWED_BY_TASK: &str = "cannot detach this function from its caller: its task may go on after this borrow has ended; \
                                take an owned argument, such as `String` or `Arc<T>`, or remove `detach`";

const MUTABLE_SELF: &str = "cannot cache a method that takes `&mut self`: a cached value is returned without calling it, so \
                            that its changes would be lost, also with `ignore`; take `&self`, and return what changes";

const BORROWED_SELF: &str = "cannot evaluate this method in the background: the runner may call it after this borrow has \
                             ended; take `self: Arc<Self>`, or remove `background`";

const BORROWED_SELF_BY_TASK: &str = "cannot detach this method from its caller: its task may go on after this borrow has ended; \
                                     take `self: Arc<Self>`, or remove `detach`";

const PATTERN: &str = "an argument of a cached function needs a name, because the key is made of it; write a name, and \
                       destructure it in the body";

const UNNAMED_TYPE: &str = "the type of this argument needs a name, because the key contains it; write \
                            `fn name<T: ...>(argument: T)`, or leave it out with `ignore(...)`";

/// An argument other than `self`.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) is_ignored: bool,
}

/// Returns the receiver and the arguments of a function, and refuses those that cannot be cached.
pub(crate) fn read(item: &ItemFn, settings: &Settings) -> Result<(Option<Receiver>, Vec<Argument>)> {
    let (mut receiver, mut arguments) = (None, Vec::new());
    for input in &item.sig.inputs {
        match input {
            FnArg::Receiver(given) => receiver = Some(read_receiver(given, settings)?),
            FnArg::Typed(typed) => arguments.push(read_argument(typed, settings)?),
        }
    }
    refuse_unknown(&settings.ignore, &arguments)?;
    Ok((receiver, arguments))
}

fn read_receiver(given: &Receiver, settings: &Settings) -> Result<Receiver> {
    let mut found = Found::default();
    found.visit_receiver_mut(&mut given.clone());
    if found.is_mutable {
        return Err(Error::new_spanned(given, MUTABLE_SELF));
    }
    if found.is_borrowed
        && let Some(problem) = of_borrow(settings, BORROWED_SELF, BORROWED_SELF_BY_TASK)
    {
        return Err(Error::new_spanned(given, problem));
    }
    // Only the body needs to know whether `self` is mutable.
    Ok(Receiver { mutability: None, ..given.clone() })
}

fn read_argument(typed: &PatType, settings: &Settings) -> Result<Argument> {
    let Pat::Ident(pattern) = &*typed.pat else {
        return Err(Error::new_spanned(&typed.pat, PATTERN));
    };
    let (name, ty) = (pattern.ident.clone(), (*typed.ty).clone());
    let is_ignored = settings.ignore.contains(&name);
    if Found::in_type(&ty).is_mutable {
        return Err(Error::new_spanned(ty, MUTABLE));
    }
    if Found::in_type(without_slice(&ty, settings)).is_borrowed
        && let Some(problem) = of_borrow(settings, BORROWED, BORROWED_BY_TASK)
    {
        return Err(Error::new_spanned(ty, problem));
    }
    if !is_ignored && matches!(ty, Type::ImplTrait(_)) {
        return Err(Error::new_spanned(ty, UNNAMED_TYPE));
    }
    Ok(Argument { name, ty, is_ignored })
}

/// Returns what is wrong with a borrow, if the settings do not allow it: one text for `background`, the other for `detach`.
fn of_borrow(settings: &Settings, background: &'static str, detach: &'static str) -> Option<&'static str> {
    let background = settings.background.map(|_| background);
    background.or_else(|| settings.detach.map(|_| detach))
}

/// Returns the type of the items for the slice of a function of many keys, which are cloned.
fn without_slice<'t>(ty: &'t Type, settings: &Settings) -> &'t Type {
    match ty {
        Type::Reference(reference) if settings.is_multi => match &*reference.elem {
            Type::Slice(slice) => &slice.elem,
            _ => ty,
        },
        _ => ty,
    }
}

fn refuse_unknown(ignored: &[Ident], arguments: &[Argument]) -> Result<()> {
    let is_unknown =
        |name: &&Ident| *name != "self" && arguments.iter().all(|argument| argument.name != **name);
    let Some(name) = ignored.iter().find(is_unknown) else { return Ok(()) };
    let known: Vec<String> = arguments.iter().map(|argument| format!("`{}`", argument.name)).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let problem = format!("unknown argument `{name}` in `ignore`: expected one of {known}");
    Err(Error::new(name.span(), problem))
}

/// What a type contains, except in the types of functions.
#[derive(Default)]
struct Found {
    is_mutable: bool,
    /// Whether it contains a lifetime other than `'static`, or a reference without a lifetime.
    is_borrowed: bool,
}

impl Found {
    fn in_type(ty: &Type) -> Self {
        let mut found = Found::default();
        found.visit_type_mut(&mut ty.clone());
        found
    }
}

impl VisitMut for Found {
    fn visit_receiver_kind_mut(&mut self, kind: &mut ReceiverKind) {
        if let ReceiverKind::Reference(_, lifetime, mutability) = kind {
            self.is_mutable |= mutability.is_some();
            self.is_borrowed |= lifetime.is_none();
        }
        syn::visit_mut::visit_receiver_kind_mut(self, kind);
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        self.is_mutable |= reference.mutability.is_some();
        self.is_borrowed |= reference.lifetime.is_none();
        syn::visit_mut::visit_type_reference_mut(self, reference);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        self.is_borrowed |= lifetime.ident != "static";
    }

    // A function pointer takes its arguments later, and borrows nothing.
    fn visit_type_fn_ptr_mut(&mut self, _function: &mut TypeFnPtr) {}

    fn visit_parenthesized_generic_arguments_mut(
        &mut self,
        _arguments: &mut syn::ParenthesizedGenericArguments,
    ) {
    }
}
