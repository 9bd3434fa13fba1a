use dogpile::CacheKey;

#[derive(CacheKey)]
union Bits {
    whole: u32,
    halves: [u16; 2],
}

#[derive(CacheKey)]
struct Misspelled {
    #[cache_key(skipp)]
    trace: u8,
}

#[derive(CacheKey)]
struct WithValue {
    #[cache_key(skip = true)]
    trace: u8,
}

#[derive(CacheKey)]
#[cache_key(skip)]
struct Skipped(u8);

#[derive(CacheKey)]
enum Color {
    #[cache_key(skip)]
    Red,
}

#[derive(CacheKey)]
#[cache_key(transparent)]
struct Two {
    a: u8,
    b: u8,
}

#[derive(CacheKey)]
#[cache_key(transparent)]
enum Transparent {
    A(u8),
}

#[derive(CacheKey)]
#[cache_key(transparent, name = "Id")]
struct Both(u8);

#[derive(CacheKey)]
#[cache_key(name = "a b")]
struct Named(u8);

#[derive(CacheKey)]
#[cache_key(name = 5)]
struct Numbered(u8);

fn main() {}
