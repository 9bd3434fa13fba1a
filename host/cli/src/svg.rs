//! [`Svg`]: a drawing for a browser.

use std::fmt::Write;

/// A drawing under construction.
pub(crate) struct Svg {
    width: f64,
    height: f64,
    content: String,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Svg { width, height, content: String::new() }
    }

    /// Adds a filled rectangle. A browser shows `told` as its tooltip.
    pub(crate) fn rectangle(&mut self, at: (f64, f64), size: (f64, f64), color: &str, told: &str) {
        let ((x, y), (width, height), told) = (at, size, escaped(told));
        self.push(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\">\
             <title>{told}</title></rect>"
        ));
    }

    /// Adds a text that begins at `at`.
    pub(crate) fn text(&mut self, at: (f64, f64), text: &str) {
        let ((x, y), text) = (at, escaped(text));
        self.push(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"));
    }

    /// A text that ends at `at`.
    pub(crate) fn text_before(&mut self, at: (f64, f64), text: &str) {
        let ((x, y), text) = (at, escaped(text));
        self.push(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{text}</text>"));
    }

    /// A text whose middle is at `at`.
    pub(crate) fn text_around(&mut self, at: (f64, f64), text: &str) {
        let ((x, y), text) = (at, escaped(text));
        self.push(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{text}</text>"));
    }

    /// A title that begins at `at`.
    pub(crate) fn title(&mut self, at: (f64, f64), text: &str) {
        let ((x, y), text) = (at, escaped(text));
        self.push(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" font-weight=\"bold\">{text}</text>"));
    }

    /// A thin vertical line.
    pub(crate) fn vertical(&mut self, x: f64, from: f64, to: f64) {
        self.push(&format!(
            "<line x1=\"{x:.1}\" y1=\"{from:.1}\" x2=\"{x:.1}\" y2=\"{to:.1}\" stroke=\"lightgray\"/>"
        ));
    }

    fn push(&mut self, element: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.content, "{element}");
    }

    /// Returns the contents of the file.
    pub(crate) fn finish(self) -> String {
        let Svg { width, height, content } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"monospace\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{content}</svg>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_drawing_is_escaped() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((0.0, 0.0), "<b> & \"c\"");
        assert!(svg.finish().contains(">&lt;b&gt; &amp; &quot;c&quot;</text>"));
    }
}
