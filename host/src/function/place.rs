//! [`Place`]: where the attribute of a cached function is.

/// Where the attribute of a cached function is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The line and column in the source file. Within a macro, those of its invocation.
    pub at: (u32, u32),
    /// The line and column in the source file, or in the macro that contains it.
    pub written_at: (u32, u32),
    /// How many functions that attribute cached before. Zero outside of macros.
    pub occurrence: u32,
}

impl Place {
    /// Writes `@line:column`, followed by `/line:column` and, from the second function on, `#number` within a macro.
    pub(super) fn write(self, key: &mut String) {
        write_position(key, '@', self.at);
        if self.written_at != self.at {
            write_position(key, '/', self.written_at);
        }
        if self.occurrence > 0 {
            key.push('#');
            key.push_str(itoa::Buffer::new().format(self.occurrence));
        }
    }
}

fn write_position(key: &mut String, before: char, (line, column): (u32, u32)) {
    key.push(before);
    key.push_str(itoa::Buffer::new().format(line));
    key.push(':');
    key.push_str(itoa::Buffer::new().format(column));
}
