//! A process with a region that obeys commands, one per line.

fn main() {
    dogpile_tests::worker::serve();
}
