//! `Duration`.

use std::fmt::Write;
use std::time::Duration;

use crate::function::cache_key::{CacheKey, KeyForm, shape};

/// Written as seconds with as many decimals as needed, such as `1.5s`.
impl CacheKey for Duration {
    fn write(&self, key: &mut String, form: KeyForm) {
        self.as_secs().write(key, form);
        if self.subsec_nanos() > 0 {
            // Writing to a `String` cannot fail.
            let _ = write!(key, ".{:09}", self.subsec_nanos());
            key.truncate(key.trim_end_matches('0').len());
        }
        key.push('s');
    }

    shape!(Word);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_written_with_all_its_nanoseconds() {
        let text = |duration: Duration| {
            let mut key = String::new();
            duration.write(&mut key, KeyForm::default());
            key
        };
        assert_eq!(text(Duration::ZERO), "0s");
        assert_eq!(text(Duration::from_secs(100)), "100s");
        assert_eq!(text(Duration::from_millis(1500)), "1.5s");
        assert_eq!(text(Duration::MAX), "18446744073709551615.999999999s");
        assert_eq!(text(Duration::from_nanos(1)), "0.000000001s");
    }
}
