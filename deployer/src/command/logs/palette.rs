//! A colour for each service, the same from run to run.

use std::collections::BTreeMap;

use ui::Style;

/// The terminal's colours that are readable on dark and light backgrounds, without red and yellow, which have a meaning.
const HUES: [&str; 8] = ["36", "32", "35", "34", "96", "92", "95", "94"];

/// The prefixes of log lines.
pub struct Palette {
    style: Style,
    hues: BTreeMap<String, &'static str>,
    width: usize,
}

impl Palette {
    /// Hashes each name to a colour. If two services have the same one, the second in the alphabet gets the next free colour.
    pub fn new<'a>(services: impl Iterator<Item = &'a str>, style: Style) -> Self {
        let mut names: Vec<&str> = services.collect();
        names.sort_unstable();
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut hues: BTreeMap<String, &'static str> = BTreeMap::new();
        for name in names {
            let preferred = hash(name) as usize % HUES.len();
            let mut order = HUES.iter().cycle().skip(preferred).take(HUES.len());
            let free = order.find(|hue| !hues.values().any(|taken| taken == *hue));
            hues.insert(name.to_owned(), free.copied().unwrap_or(HUES[preferred]));
        }
        Self { style, hues, width }
    }

    /// Renders `2026-01-02T03:04:05Z auth-service   |`, the service in its colour.
    pub fn prefix(&self, service: &str, time: &str) -> String {
        let name = format!("{service:width$} |", width = self.width);
        let name = match self.hues.get(service) {
            Some(hue) => self.style.hue(hue, &name),
            None => name,
        };
        format!("{} {name}", self.style.dim(time))
    }
}

/// FNV-1a, because the standard library's hasher may change with a release.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_colour_independent_of_the_order() {
        let names = [
            "api-gateway",
            "auth-service",
            "billing-service",
            "patient-service",
            "web",
            "worker",
            "cart",
            "mail",
        ];
        let one = Palette::new(names.into_iter(), Style { color: true });
        let other = Palette::new(names.into_iter().rev(), Style { color: true });
        assert_eq!(one.hues, other.hues);
        let mut hues: Vec<_> = one.hues.values().collect();
        hues.sort_unstable();
        hues.dedup();
        assert_eq!(hues.len(), names.len());
    }

    #[test]
    fn without_colour_the_names_are_a_column() {
        let palette = Palette::new(["web", "billing"].into_iter(), Style::default());
        assert_eq!(palette.prefix("web", "T"), "T web     |");
    }
}
