//! Types that derive `CacheKey`.

use dogpile::CacheKey;
use dogpile::function::{Argument, Function, FunctionCall, dogpile_key_generator};

use super::key_pieces::{Raw, key};

fn python_key(value: &dyn CacheKey) -> String {
    let (arguments, mut key) = ([Argument::new("argument", value)], String::new());
    dogpile_key_generator(&FunctionCall::new(&Function::new("m:f"), &arguments), &mut key);
    key
}

#[derive(CacheKey)]
struct UserId(u64);

#[derive(CacheKey)]
struct Name<'a>(&'a str, #[cache_key(skip)] ());

#[derive(CacheKey)]
struct Query<'a, T: ?Sized> {
    name: &'a T,
    page: u32,
    r#type: Option<Raw>,
    #[cache_key(skip)]
    #[expect(dead_code, reason = "it is not part of the key")]
    trace: std::cell::Cell<u8>,
}

#[derive(CacheKey)]
struct Point<const N: usize>(u8, [u8; N]);

#[derive(CacheKey)]
struct Unit;

#[derive(CacheKey)]
struct Braces {}

#[derive(CacheKey)]
#[cache_key(transparent)]
struct Wrapper<T> {
    value: T,
    #[cache_key(skip)]
    _kind: std::marker::PhantomData<fn()>,
}

#[derive(CacheKey)]
#[cache_key(name = "shop.Item")]
struct Renamed(u8);

#[derive(CacheKey)]
enum Color {
    Red,
    Green,
    #[expect(non_camel_case_types, reason = "it is a raw identifier")]
    r#dyn,
}

#[derive(CacheKey)]
#[cache_key(name = "S")]
enum Shape<T> {
    Empty(),
    Circle(T),
    Rectangle {
        width: T,
        height: T,
    },
    Hidden(
        #[cache_key(skip)]
        #[expect(dead_code, reason = "it is not part of the key")]
        std::cell::Cell<u8>,
    ),
}

#[derive(Debug, CacheKey)]
enum Never {}

#[test]
fn structs_are_written_like_python_dataclasses() {
    let query =
        Query { name: "it's", page: 2, r#type: Some(Raw("a, b".into())), trace: std::cell::Cell::new(1) };
    assert_eq!(key(None, &[&query]), r#"m:f|Query(name="it's", page=2, type="a, b")"#);
    assert_eq!(python_key(&query), r#"m:f|Query(name="it's", page=2, type=a, b)"#);
    assert_eq!(key(None, &[&Point(1, [2, 3])]), "m:f|Point(1, [2, 3])");
    assert_eq!(key(None, &[&Unit, &Braces {}]), "m:f|Unit() Braces()");
    assert_eq!(key(None, &[&Renamed(1)]), "m:f|shop.Item(1)");
}

#[test]
fn struct_of_one_field_is_written_like_the_field() {
    assert_eq!(key(None, &[&UserId(5), &"a b"]), "m:f|5 a b");
    assert_eq!(key(None, &[&Name("a b", ())]), "m:f|a b");
    assert_eq!(key(None, &[&Name("a b", ()), &"c"]), "m:f|\"a b\" c");
    assert_eq!(key(None, &[&vec![Name("a b", ())]]), "m:f|['a b']");
    let wrapper = |value| Wrapper { value, _kind: std::marker::PhantomData };
    assert_eq!(key(None, &[&Some(wrapper("None"))]), "m:f|Some(None)");
    assert_eq!(python_key(&[UserId(5)]), "m:f|[5]");
}

#[test]
fn enums_are_written_like_python_enums() {
    assert_eq!(
        key(None, &[&"a b", &Color::Red, &Color::Green, &Color::r#dyn]),
        "m:f|a b Color.Red Color.Green Color.dyn"
    );
    let shapes = [Shape::Empty(), Shape::Circle("x y"), Shape::Hidden(std::cell::Cell::new(1))];
    assert_eq!(key(None, &[&shapes]), "m:f|[S.Empty(), S.Circle('x y'), S.Hidden()]");
    assert_eq!(key(None, &[&Shape::Rectangle { width: 1, height: 2 }]), "m:f|S.Rectangle(width=1, height=2)");
    assert_eq!(key(None, &[&None::<Never>]), "m:f|None");
}

#[test]
fn fields_with_bars_are_quoted_as_a_whole() {
    let query = Query { name: "a|b", page: 1, r#type: None, trace: std::cell::Cell::new(1) };
    assert_eq!(key(None, &[&query]), "m:f|\"Query(name='a\\x7cb', page=1, type=None)\"");
    assert_eq!(key(Some("ns"), &[&query]), "m:f|ns|Query(name='a|b', page=1, type=None)");
}
