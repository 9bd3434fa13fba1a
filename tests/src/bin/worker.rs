//! A process with a region, told what to do line by line.

fn main() {
    dogpile_tests::worker::serve();
}
