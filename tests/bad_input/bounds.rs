//! Numbers and times out of bounds.

use dogpile::{CacheRegion, Configuration, RegionConfig};

use dogpile_tests::errors::told;

use super::says;

/// Durations that no setting accepts.
const NO_DURATIONS: [&str; 6] = ["-1", "-0.5", "nan", "inf", "1e300", "18446744073709551615"];
/// Durations that would overflow a clock.
const TOO_LONG: [&str; 2] = ["1e19", "9223372036854775807"];
/// Numbers that no count accepts.
const NO_COUNTS: [&str; 5] = ["-1", "0.5", "nan", "1e300", "340282366920938463463374607431768211456"];

/// Configures a region over `backend` with an ini file's arguments.
fn configured(backend: &str, arguments: &[(&str, &str)]) -> Result<CacheRegion, String> {
    let arguments: Vec<_> =
        arguments.iter().map(|(name, given)| (format!("arguments.{name}"), *given)).collect();
    let flat = arguments.iter().map(|(name, given)| (name.as_str(), *given)).chain([("backend", backend)]);
    let region = CacheRegion::new("bounds");
    let config = RegionConfig::from_flat(flat, "").unwrap();
    region.configure(config).map_err(|error| told(&error))?;
    Ok(region)
}

/// Checks that each of `given` is refused, with the name of the argument.
fn are_refused(backend: &str, required: &[(&str, &str)], argument: &str, given: &[&str]) {
    for given in given {
        let arguments = [required, &[(argument, *given)]].concat();
        let error = configured(backend, &arguments).err();
        let error = error.unwrap_or_else(|| panic!("{backend} accepts {argument} = {given}"));
        says(&error, &[&format!("invalid argument {argument:?}: ")]);
    }
}

#[test]
fn redis_arguments_out_of_bounds_are_refused() {
    let refuses = |argument, given: &[&str]| {
        are_refused("dogpile.cache.redis", &[("distributed_lock", "true")], argument, given);
    };
    for argument in [
        "socket_timeout",
        "socket_connect_timeout",
        "redis_expiration_time",
        "lock_timeout",
        "lock_sleep",
        "lock_blocking_timeout",
        "pool_idle_timeout",
    ] {
        refuses(argument, &[&NO_DURATIONS[..], &TOO_LONG, &["0"]].concat());
    }
    for argument in ["pool_size", "pool_max_idle", "max_value_bytes", "port"] {
        refuses(argument, &[&NO_COUNTS[..], &["9223372036854775807", "18446744073709551615"]].concat());
    }
    for argument in ["pool_size", "pool_max_idle", "port"] {
        refuses(argument, &["65536", "1000000000"]);
    }
    for argument in ["pool_size", "max_value_bytes", "port"] {
        refuses(argument, &["0"]);
    }
    refuses("db", &["-1", "4294967296", "nan"]);
}

#[test]
fn file_arguments_out_of_bounds_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (backend, counts) in
        [("dogpile.cache.dbm", &["max_bytes", "max_entries"][..]), ("dogpile.cache.lmdb", &["map_size"])]
    {
        let file = folder.path().join(backend).display().to_string();
        let required = [("filename", &*file)];
        are_refused(backend, &required, "busy_timeout", &[&NO_DURATIONS[..], &TOO_LONG].concat());
        are_refused(backend, &required, "lock_stripes", &[&NO_COUNTS[..], &["0", "4097"]].concat());
        for argument in counts {
            are_refused(backend, &required, argument, &[&NO_COUNTS[..], &["0"]].concat());
        }
    }
    let file = folder.path().join("lmdb").display().to_string();
    let error = configured("dogpile.cache.lmdb", &[("filename", &file), ("map_size", "9223372036854775807")]);
    says(&error.unwrap_err(), &["lower \"map_size\""]);
}

#[test]
fn memory_arguments_out_of_bounds_are_refused() {
    for argument in ["max_bytes", "max_entries"] {
        are_refused("dogpile.cache.memory", &[], argument, &[&NO_COUNTS[..], &["0"]].concat());
    }
}

/// Limits that are accepted work, however high they are.
#[test]
fn highest_limits_of_stores_work() {
    let folder = tempfile::tempdir().unwrap();
    let most = u64::MAX.to_string();
    for name in ["max_bytes", "max_entries"] {
        let file = folder.path().join(name).display().to_string();
        let regions = [
            configured("dogpile.cache.memory", &[(name, &*most)]).unwrap(),
            configured("dogpile.cache.dbm", &[("filename", &*file), (name, &*most)]).unwrap(),
        ];
        for region in regions {
            region.set("key", 7).unwrap();
            assert_eq!(region.get("key").unwrap(), Some(7));
        }
    }
}

#[test]
fn region_settings_out_of_bounds_are_refused_or_work() {
    let flat =
        |setting, given| RegionConfig::from_flat([("backend", "dogpile.cache.memory"), (setting, given)], "");
    for given in NO_DURATIONS {
        says(
            &told(&flat("creation_wait_timeout", given).unwrap_err()),
            &["creation_wait_timeout = ", "invalid"],
        );
        // -1 means never.
        if given != "-1" {
            says(&told(&flat("expiration_time", given).unwrap_err()), &["invalid expiration time"]);
        }
    }
    for (setting, given) in ["creation_wait_timeout", "expiration_time"]
        .into_iter()
        .flat_map(|setting| TOO_LONG.map(|given| (setting, given)))
    {
        let region = CacheRegion::new("long");
        region.configure(flat(setting, given).unwrap()).unwrap();
        assert_eq!(region.get_or_create("key", || 7).unwrap(), 7);
        assert_eq!(region.get("key").unwrap(), Some(7), "{setting} = {given}");
    }
}

/// As JSON, such a number would be null, and the argument would have its default.
#[test]
fn number_of_toml_that_is_not_finite_is_refused() {
    for given in ["nan", "inf", "-inf", "[1.0, nan]", "{ a = inf }"] {
        let document = format!(
            "[regions.users]\nbackend = 'dogpile.cache.redis'\narguments = {{ socket_timeout = {given} }}"
        );
        let error = told(&Configuration::from_toml(&document).unwrap_err());
        says(&error, &["line 3, ", "expected a finite one"]);
    }
    let document = "[regions.r]\nbackend = 'dogpile.cache.redis'\narguments = { socket_timeout = 1e19 }";
    let error = told(&Configuration::from_toml(document).unwrap().regions().unwrap_err());
    says(&error, &["\"socket_timeout\"", "is too long; use at most 36500d"]);
}
