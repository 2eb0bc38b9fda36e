//! The parts of Swagger UI, as they stand in the binary.

use serde_json::json;

/// A part of the page.
pub struct Part {
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

macro_rules! part {
    ($name:literal, $content_type:literal) => {
        Part {
            content_type: $content_type,
            bytes: include_bytes!(concat!(env!("OUT_DIR"), "/", $name)),
        }
    };
}

/// The part of a name; the initializer is not one of them, since it names the documents.
pub fn part(name: &str) -> Option<Part> {
    Some(match name {
        "index.html" => part!("index.html", "text/html"),
        "index.css" => part!("index.css", "text/css"),
        "swagger-ui.css" => part!("swagger-ui.css", "text/css"),
        "swagger-ui-bundle.js" => part!("swagger-ui-bundle.js", "text/javascript"),
        "swagger-ui-standalone-preset.js" => part!("swagger-ui-standalone-preset.js", "text/javascript"),
        "favicon-16x16.png" => part!("favicon-16x16.png", "image/png"),
        "favicon-32x32.png" => part!("favicon-32x32.png", "image/png"),
        _ => return None,
    })
}

/// The script that shows documents, given as name and address; no validator elsewhere is asked, no token is kept.
pub fn initializer<'a>(documents: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let urls: Vec<_> = documents
        .map(|(name, url)| json!({ "name": name, "url": url }))
        .collect();
    let settings = json!({
        "dom_id": "#swagger-ui",
        "urls": urls,
        "deepLinking": true,
        "layout": "StandaloneLayout",
        "validatorUrl": "none",
        "persistAuthorization": false,
    });
    format!(
        "window.onload = function () {{\n  window.ui = SwaggerUIBundle(Object.assign({settings}, {{\n    presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],\n    plugins: [SwaggerUIBundle.plugins.DownloadUrl],\n  }}));\n}};\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_that_the_page_names_is_there() {
        let page = std::str::from_utf8(part("index.html").unwrap().bytes).unwrap();
        let named: Vec<&str> = page
            .split('"')
            .filter(|word| word.ends_with(".js") || word.ends_with(".css") || word.ends_with(".png"))
            .map(|word| word.trim_start_matches("./"))
            .collect();
        assert!(named.len() >= 7, "{named:?}");
        for name in named {
            assert!(
                name == "swagger-initializer.js" || part(name).is_some(),
                "{name} is missing"
            );
        }
    }
}
