//! A process that uses cache files under conditions that a test sets up around it.
//!
//! * `files use BACKEND FILE...` reads and writes each file, and prints one line for each.
//! * `files fill BACKEND FILE` stores values until one fails, prints the error, and reads the first value again.
//! * `files write BACKEND FILE` writes until it is killed.
//! * `files flood BACKEND FILE THREADS` stores, reads, and creates values on many threads at once.
//! * `files fork BACKEND FILE` forks, and uses the file in parent and child at once.
//! * `files spawn BACKEND FILE` opens the file, and runs `files use` in a program that it starts.

use std::error::Error;
use std::process::{Command, ExitCode};

use dogpile::{CacheRegion, RegionConfig};
use dogpile_tests::errors::told;
use dogpile_tests::threads::together;
use fork::{Fork, WEXITSTATUS, WIFEXITED};

/// The number of values that a forked process writes.
const WRITTEN: usize = 300;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        ["use", backend, ref files @ ..] => use_all(backend, files),
        ["fill", backend, file] => fill(backend, file),
        ["write", backend, file] => write_on(backend, file),
        ["flood", backend, file, threads] => flood(backend, file, threads),
        ["fork", backend, file] => fork(backend, file),
        ["spawn", backend, file] => spawn(backend, file),
        _ => Err("unknown arguments".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn region(backend: &str, file: &str) -> Result<CacheRegion, String> {
    let region = CacheRegion::new("files");
    let config = RegionConfig::new(backend).argument("filename", file);
    region.configure(config).map_err(|error| told(&error))?;
    Ok(region)
}

/// The value of the key `number`, from a few bytes up to several pages.
fn value(number: usize) -> String {
    format!("{number} ").repeat(1 + (number % 40) * (number % 40) * 3)
}

fn use_all(backend: &str, files: &[&str]) -> Outcome {
    for file in files {
        match region(backend, file) {
            Ok(region) => println!("{}", used(&region)?),
            Err(error) => println!("refused: {error}"),
        }
    }
    Ok(())
}

/// Reads and writes values. Errors and damaged values are allowed, but the value of another key is not.
fn used(region: &CacheRegion) -> Result<String, String> {
    let (mut found, mut errors) = (0, 0);
    for number in 0..100 {
        let key = number.to_string();
        match region.get::<String>(&key) {
            Ok(Some(text)) if (0..100).any(|other| other != number && text == value(other)) => {
                return Err(format!("key {key} has the value {text:.40}"));
            }
            Ok(Some(_)) => found += 1,
            Ok(None) => {}
            Err(_) => errors += 1,
        }
        errors += usize::from(region.set(&key, value(number)).is_err());
        errors += usize::from(region.delete(&(number / 2).to_string()).is_err());
    }
    Ok(format!("found {found}, {errors} errors"))
}

fn fill(backend: &str, file: &str) -> Outcome {
    let region = region(backend, file)?;
    region.set("first", 1)?;
    let long = "x".repeat(50_000);
    let failed = (0..1000).find_map(|number| region.set(&number.to_string(), long.clone()).err());
    println!("{}", told(&failed.ok_or("nothing fails")?));
    if region.get("first")? == Some(1) { Ok(()) } else { Err("the first value is lost".into()) }
}

fn write_on(backend: &str, file: &str) -> Outcome {
    let region = region(backend, file)?;
    let long = "x".repeat(200_000);
    // Its own writes may time out while the test stops it.
    loop {
        (0..50).for_each(|number| drop(region.set(&number.to_string(), long.clone())));
    }
}

fn flood(backend: &str, file: &str, threads: &str) -> Outcome {
    let region = region(backend, file)?;
    let outcomes = together(threads.parse()?, |thread| flooded(&region, thread));
    outcomes.into_iter().collect::<Result<(), _>>().map_err(Into::into)
}

fn flooded(region: &CacheRegion, thread: usize) -> Result<(), String> {
    let key = thread.to_string();
    region.set(&key, thread).map_err(|error| told(&error))?;
    let created = region.get_or_create(&format!("created {key}"), || thread).map_err(|error| told(&error))?;
    let found = region.get::<usize>(&key).map_err(|error| told(&error))?;
    if (created, found) == (thread, Some(thread)) { Ok(()) } else { Err(format!("key {key} has {found:?}")) }
}

/// Parent and child write and read at once. Then the parent closes the file, and the child goes on.
fn fork(backend: &str, file: &str) -> Outcome {
    let ours = region(backend, file)?;
    // Two backends of the file, of which the child first uses the one that the parent used last.
    let other = region(backend, file)?;
    write(&ours, "before")?;
    write(&other, "before")?;
    let mutex = ours.backend()?.get_mutex("held").ok_or("the backend has no mutexes")?;
    if !mutex.try_acquire()? {
        return Err("the mutex is held elsewhere".into());
    }
    match fork::fork()? {
        Fork::Child => {
            let done = child(&ours, &other);
            if let Err(error) = &done {
                println!("failed in the child: {error}");
            }
            std::process::exit(i32::from(done.is_err()));
        }
        Fork::Parent(child) => {
            write(&ours, "parent")?;
            mutex.release()?;
            drop((ours, other));
            let status = fork::waitpid(child)?;
            if !WIFEXITED(status) || WEXITSTATUS(status) != 0 {
                return Err(format!("the child ended with the status {status}").into());
            }
        }
    }
    let region = region(backend, file)?;
    ["before", "parent", "child", "later"].iter().try_for_each(|name| check(&region, name))
}

fn child(ours: &CacheRegion, other: &CacheRegion) -> Outcome {
    check(ours, "before")?;
    write(other, "child")?;
    write(ours, "child")?;
    // Wait until the parent has written everything, released its mutex, and begun to close the file.
    ours.get_or_create("held", || 1)?;
    write(ours, "later")?;
    check(other, "later")
}

fn write(region: &CacheRegion, name: &str) -> Outcome {
    (0..WRITTEN).try_for_each(|number| Ok(region.set(&format!("{name} {number}"), value(number))?))
}

fn check(region: &CacheRegion, name: &str) -> Outcome {
    for number in 0..WRITTEN {
        let key = format!("{name} {number}");
        let found = region.get::<String>(&key)?;
        if found.as_ref() != Some(&value(number)) {
            return Err(format!("{key}: {:?}", found.map(|found| found.len())).into());
        }
    }
    Ok(())
}

fn spawn(backend: &str, file: &str) -> Outcome {
    let region = region(backend, file)?;
    region.set("1", value(1))?;
    let said = Command::new(std::env::current_exe()?).args(["use", backend, file]).output()?;
    print!("{}", String::from_utf8_lossy(&said.stdout));
    Ok(())
}
