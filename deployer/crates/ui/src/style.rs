//! Colours of text on a terminal.

use super::Sentiment;

/// Colours, or none: one value for all texts of an output.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Paint texts (SGR, ECMA-48).
    pub color: bool,
}

impl Style {
    /// Paints headings.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Paints secondary text in grey.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Paints failures.
    pub fn red(self, text: &str) -> String {
        self.paint("31", text)
    }

    /// Paints success.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Paints what is in progress.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Paints with one of the terminal's colours by its code (SGR, ECMA-48), such as 36 for cyan.
    pub fn hue(self, code: &str, text: &str) -> String {
        self.paint(code, text)
    }

    /// Paints in the colour of a sentiment.
    pub fn sentiment(self, sentiment: Sentiment, text: &str) -> String {
        match sentiment {
            Sentiment::Good => self.green(text),
            Sentiment::Busy => self.yellow(text),
            Sentiment::Bad => self.red(text),
            Sentiment::Neutral => text.to_owned(),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
